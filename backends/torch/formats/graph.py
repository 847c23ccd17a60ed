"""The exported program as PyTorch eager runs it: operations and tensors, quick to read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from backends.torch import graph
from bench.interfaces.converter import Converter, Job


def make(job: Job) -> Mapping[str, Any]:
    import torch

    graph.save(torch.export.load(job.parents["exported"].path), job.output)
    return {}


CONVERTER = Converter(
    kind="torch-graph",
    file="graph.pt",
    revision=1,
    parents=("exported",),
    axes=(),
    distributions=("torch",),
    make=make,
    model=True,
)
