"""Which samples the steady figures rest on: what figures draw and exports mark."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from bench.interfaces.block import Block, Burst
from bench.stats import pairs


def steady_seconds(blocks: Iterable[Block]) -> NDArray[np.float64]:
    """The steady host samples of all blocks in s, float64, in the order in which they were taken."""
    parts = [pairs.steady(block) for block in blocks]
    return np.concatenate(parts).astype(np.float64) * 1e-9 if parts else np.empty(0)


def steady_samples(block: Block, burst: Burst) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Whether each sample of a burst is steady: those of the host boundary, and those of the device's."""
    host = block.host_ns[burst.start : burst.start + burst.count] > 0
    host[: pairs.cold_samples(block, burst)] = False
    start = burst.device_start
    return host, block.device_ns[start : start + burst.device_count] > 0
