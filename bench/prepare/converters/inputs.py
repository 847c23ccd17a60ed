"""The timed input: one batch that the verification samples do not hold."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from bench.interfaces.converter import Converter, Job
from bench.interfaces.tensors import Array
from bench.interfaces.workload import TIMED_SEED


def make(job: Job) -> Mapping[str, Any]:
    workload = job.workload
    arrays = workload.inputs(int(job.facts["batch"]), job.facts["length"], TIMED_SEED)
    save(arrays, job.output)
    return {}


def save(arrays: Mapping[str, Array], path: Path) -> None:
    """Name → array as npz."""
    with path.open("wb") as file:
        np.savez(file, **arrays)  # type: ignore[arg-type]  # NumPy's stub takes the names for its own flags


CONVERTER = Converter(
    kind="inputs",
    file="inputs.npz",
    revision=1,
    parents=(),
    axes=("batch", "length"),
    distributions=("numpy",),
    make=make,
)
