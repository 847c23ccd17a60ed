"""Inputs that give activations their ranges: seeded, and apart from those of verification and timing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bench.interfaces.converter import Converter, Job
from bench.interfaces.workload import CALIBRATION_SEED
from bench.prepare.converters.inputs import save

SAMPLES = 16
STEPS = 64  # where a sample is a single token, and shows as little


def make(job: Job) -> Mapping[str, Any]:
    workload = job.workload
    count = STEPS if workload.axis == "context" else SAMPLES
    arrays = workload.inputs(count, workload.default_length, CALIBRATION_SEED)
    save(arrays, job.output)
    return {"samples": count, "seed": CALIBRATION_SEED}


CONVERTER = Converter(
    kind="calibration",
    file="calibration.npz",
    revision=2,
    parents=(),
    axes=(),
    distributions=("numpy",),
    make=make,
)
