"""An ExecuTorch program (.pte) in fp32 from the origin: of one batch and one length."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from backends.executorch.formats import graph
from bench.interfaces.converter import Converter, Job


def make(job: Job) -> Mapping[str, Any]:
    graph.lower(job, job.restore())
    return {"lineage": {"exporter": graph.LOWERED}}


CONVERTER = Converter(
    kind="executorch",
    file="model.pte",
    revision=1,
    parents=("origin",),
    axes=("batch", "length"),
    distributions=("executorch", "torch"),
    make=make,
    model=True,
    tools="to-executorch",
)
