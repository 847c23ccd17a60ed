"""The timed loops. Nothing happens between two clock readings but the calls that are measured.

Two boundaries, each with a loop of its own: `host` (stage, run and fetch: host arrays in, host arrays out)
and `device` (run alone: inputs staged, outputs complete where the runtime leaves them). Reading the clock
twice more within one loop would add 150 ns to each `host` sample.
"""

from __future__ import annotations

import gc
from array import array
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import repeat
from time import monotonic_ns, perf_counter_ns
from typing import Any

from bench.interfaces.tensors import Array
from bench.worker.kept import Calls

SLOW_NS = 1_000_000_000  # from here on one inference a turn
LEAST = 3  # inferences of a burst up to there


@dataclass(frozen=True, slots=True)
class Own:
    """Where the device's own times go, and what tells that of the last run in ns."""

    samples: array[int]
    tell: Callable[[], int]


@contextmanager
def no_gc() -> Iterator[None]:
    """Garbage collection off, and back to what it was."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def buffer(capacity: int) -> array[int]:
    """A preallocated array for samples in ns."""
    return array("q", bytes(8 * capacity))


def host_loop(
    session: Calls, inputs: Mapping[str, Array], samples: array[int], burst_ns: int, at_least: int
) -> int:
    """`host` boundary, one sample an inference: until `burst_ns` have passed and there are `at_least`.

    Returns the number of samples; a full array ends it too. Beyond the calls an iteration makes no object
    but the sample's integers.
    """
    stage, run, fetch, clock = session.stage, session.run, session.fetch, perf_counter_ns
    capacity = len(samples)
    i = 0
    end = clock() + burst_ns
    while True:
        start = clock()
        fetch(run(stage(inputs)))
        stop = clock()
        samples[i] = stop - start
        i += 1
        if (stop >= end and i >= at_least) or i == capacity:
            return i


def device_loop(
    session: Calls, staged: Any, samples: array[int], burst_ns: int, at_least: int, own: Own | None = None
) -> int:
    """`device` boundary: as `host_loop`, on inputs that are staged.

    `own` gets the device's own time of each of these inferences, asked for outside of their samples.
    """
    run, clock = session.run, perf_counter_ns
    capacity = len(samples)
    i = 0
    end = clock() + burst_ns
    while True:
        start = clock()
        run(staged)
        stop = clock()
        samples[i] = stop - start
        if own is not None:
            own.samples[i] = own.tell()
        i += 1
        if (stop >= end and i >= at_least) or i == capacity:
            return i


def host_looped(
    session: Calls, inputs: Mapping[str, Array], samples: array[int], burst_ns: int, inner: int
) -> int:
    """For inferences so short that the clock would cost over 1 %: a sample is the mean of `inner`."""
    stage, run, fetch, clock = session.stage, session.run, session.fetch, perf_counter_ns
    capacity = len(samples)
    i = 0
    end = clock() + burst_ns
    while True:
        start = clock()
        for _ in repeat(None, inner):
            fetch(run(stage(inputs)))
        stop = clock()
        samples[i] = (stop - start) // inner
        i += 1
        if (stop >= end and i >= LEAST) or i == capacity:
            return i


def device_looped(
    session: Calls, staged: Any, samples: array[int], burst_ns: int, inner: int, own: Own | None = None
) -> int:
    """`device` boundary: as `host_looped`, on inputs that are staged; `own` gets the last of each sample."""
    run, clock = session.run, perf_counter_ns
    capacity = len(samples)
    i = 0
    end = clock() + burst_ns
    while True:
        start = clock()
        for _ in repeat(None, inner):
            run(staged)
        stop = clock()
        samples[i] = (stop - start) // inner
        if own is not None:
            own.samples[i] = own.tell()
        i += 1
        if (stop >= end and i >= LEAST) or i == capacity:
            return i


def sustain(session: Calls, inputs: Mapping[str, Array], least_ns: int) -> tuple[int, int, int]:
    """Runs without a pause at the `host` boundary, at least once: long enough for power and clocks to settle.

    Returns:
        count, and the beginning and the end in ns of the monotonic clock.
    """
    stage, run, fetch, clock = session.stage, session.run, session.fetch, monotonic_ns
    count = 0
    start = clock()
    while True:
        fetch(run(stage(inputs)))
        count += 1
        now = clock()
        if now - start >= least_ns:
            return count, start, now


def settled(samples: array[int], count: int, tolerance: float = 0.03) -> bool:
    """Whether the median of the last third is within `tolerance` of the third before."""
    third = count // 3
    if third < 1:
        return False
    last = _median(samples[count - third : count])
    before = _median(samples[count - 2 * third : count - third])
    return abs(last - before) <= tolerance * before


def _median(values: array[int]) -> float:
    ordered = sorted(values)
    middle = len(ordered) // 2
    return float(ordered[middle]) if len(ordered) % 2 else (ordered[middle - 1] + ordered[middle]) / 2


def warm_up(
    session: Calls, inputs: Mapping[str, Array], *, least_ns: int, most_ns: int, least: int = 3
) -> tuple[int, int, bool, float]:
    """Runs until the steady state shows.

    Returns:
        count, ns spent, whether it was capped, and the median of the last third in ns.
    """
    clock = perf_counter_ns
    capacity = 4096
    samples = buffer(capacity)
    count = total = 0
    start = clock()
    check_at = start + least_ns
    while True:
        t0 = clock()
        session.fetch(session.run(session.stage(inputs)))
        t1 = clock()
        if count == capacity:  # halved, oldest first: the last third is all that is looked at
            samples[: capacity // 2] = samples[capacity // 2 :]
            count = capacity // 2
        samples[count] = t1 - t0
        count += 1
        total += 1
        elapsed = t1 - start
        if count < least or t1 < check_at:
            continue
        steady = settled(samples, count)
        if steady or elapsed >= most_ns:
            third = max(1, count // 3)
            return total, elapsed, not steady, _median(samples[count - third : count])
        check_at = t1 + max(least_ns // 3, elapsed // 10)
