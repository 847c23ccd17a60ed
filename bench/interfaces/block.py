"""A block: what one fresh worker measured of one case. The unit of statistics. NumPy alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

Status = Literal[
    "ok",
    "unverified",
    "unsupported",
    "missing",
    "failed",
    "crashed",
    "out-of-memory",
    "timeout",
    "wrong-output",
]
FAILURES: tuple[Status, ...] = ("failed", "crashed", "out-of-memory", "timeout")
MEASURED: tuple[Status, ...] = ("ok", "unverified", "wrong-output")  # those with figures
BROKEN: tuple[Status, ...] = (*FAILURES, "wrong-output")  # what a runtime that takes the case must not do
Samples = NDArray[np.int64]


def no_samples() -> Samples:
    return np.empty(0, dtype=np.int64)


@dataclass(frozen=True, slots=True)
class Burst:
    """What a worker measured at one command.

    Attributes:
        round: number of the round within the block, from 0.
        order: place within the round's random order, from 0.
        start, count: which of the block's `host_ns` are its own.
        device_start, device_count: which of its `device_ns`.
        disturbance: what others took meanwhile; see `bench.worker.disturbance`.
        disturbed: whether that is over the limit.
    """

    round: int
    order: int
    start: int
    count: int
    device_start: int
    device_count: int
    disturbance: Mapping[str, float] = field(default_factory=dict)
    disturbed: bool = False


@dataclass(slots=True)
class Block:
    """Everything kept of one worker.

    Attributes:
        replicate: number of the fresh workers that were alive together, from 0.
        part: number of the part within the run; blocks of one part took turns and may be paired.
        status, reason, log: how it ended, in a sentence, and the end of what the worker printed.
        figures: name → number: `build_ns`, `spawn_ns` (process start to the worker's first answer),
            `import_ns` (the runtime's own import), `load_ns`, `first_ns` (first inference), `ready_ns`
            (process start to ready for the first inference), `idle_bytes` (resident with the runtime
            imported), `peak_bytes` (highest resident), `model_bytes` (peak less idle), `cpu_ns` (during the
            bursts), `inner` (inferences per sample: over 1 only where one takes under 20 µs), `part_ns` and
            `turns_ns` (the whole part it lived in, and its rounds).
        warmup: `count`, `ns`, `capped`, `median_ns`.
        verification: `before` and `after`, each with `error` (worst over inputs and outputs), `max_abs`,
            `cosine`, `repeated` (outputs that are the same for different inputs); `low` and `high` of the
            band; `inputs`.
        faithful: whether the row did what its scheme says: `static` (stored weights against the origin's) and
            `arithmetic` (outputs against an emulated run of the file's own scheme), each with `value`, `low`,
            `high`, `n` and the `limit` that it is held to; empty where neither was checked.
        quality: what the scheme itself loses: figure → `value`, `low`, `high` (its interval), `n`, and which
            is `better`, `lower` or `higher`; empty where nothing was judged.
        actual: `bench.interfaces.backend.Actual` as a dict, None where the worker did not get so far or
            an earlier block of the case has proven it.
        versions: distribution → version in the worker's environment.
        host_ns: one sample an inference, host arrays in to host arrays out, in ns.
        device_ns: other inferences, from staged inputs to outputs complete where the runtime leaves them.
        own_ns: of the inferences of `device_ns` what the device took by its own clock; empty where it has
            none, or the runtime does not tell.
        gpu: what the watcher read of its GPU (`bench.measure.gpu.figures.block_figures`), or why nothing
            (`lost`); empty for a block that used none.
    """

    case_id: str
    replicate: int
    part: int
    status: Status
    reason: str = ""
    log: str = ""
    started: str = ""
    figures: dict[str, float] = field(default_factory=dict)
    warmup: dict[str, Any] = field(default_factory=dict)
    verification: dict[str, Any] = field(default_factory=dict)
    faithful: dict[str, Any] = field(default_factory=dict)
    quality: dict[str, Any] = field(default_factory=dict)
    actual: dict[str, Any] | None = None
    versions: dict[str, str] = field(default_factory=dict)
    bursts: list[Burst] = field(default_factory=list)
    host_ns: Samples = field(default_factory=no_samples)
    device_ns: Samples = field(default_factory=no_samples)
    own_ns: Samples = field(default_factory=no_samples)
    gpu: dict[str, Any] = field(default_factory=dict)
