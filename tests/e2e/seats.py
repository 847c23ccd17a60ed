"""Jobs for real workers of the backends that need no model."""

from __future__ import annotations

import random
from typing import Any

from bench.interfaces.backend import Target
from bench.interfaces.block import Block
from bench.interfaces.case import HARNESS, Case
from bench.interfaces.job import Job
from bench.interfaces.tensors import IOSpec, TensorSpec
from bench.measure.turns import Limits, Seat, measure_part

IO = IOSpec((TensorSpec("x", "float32", (16,)),), (TensorSpec("y", "float32", (16,)),))


def seat(backend: str = "reference", memory_bytes: int | None = None, **options: Any) -> Seat:
    role = {"null": "overhead", "anchor": "anchor"}.get(backend, "test")
    case = Case(HARNESS, "h", 1, None, backend, Target(threads=1, options=options), role=role)
    warmup = {"least_s": 0.05, "most_s": 0.3}
    return Seat(Job(case, None, IO, burst_ns=20_000_000, memory_bytes=memory_bytes, warmup=warmup))


def measured(*seats: Seat, rounds: int = 3, limits: Limits | None = None) -> list[Block]:
    return measure_part(
        seats,
        replicate=0,
        part=0,
        rounds=rounds,
        limits=limits or Limits(),
        order=random.Random(0),
        listener=lambda event, facts: None,
    ).blocks
