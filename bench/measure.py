"""The timed loops. Nothing happens between two clock readings but the calls that are measured.

Each inference gives two samples: `host` (stage, run and fetch: host arrays in, host arrays out) and within
it `device` (run alone: inputs staged, outputs complete where the runtime leaves them).
"""

from __future__ import annotations

import gc
from array import array
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from itertools import repeat
from time import perf_counter_ns

from backends.base import Array, Session

SLOW_NS = 1_000_000_000  # from here on one inference a turn


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


def timed_loop(
    session: Session,
    inputs: Mapping[str, Array],
    host: array[int],
    device: array[int],
    burst_ns: int,
    at_least: int,
) -> int:
    """One sample an inference until `burst_ns` have passed and there are `at_least`, or `host` is full.

    Returns the number of samples. Beyond the calls an iteration makes no object but the sample's integers.
    """
    stage, run, fetch, clock = session.stage, session.run, session.fetch, perf_counter_ns
    capacity = len(host)
    at_least = min(at_least, capacity)
    i = 0
    end = clock() + burst_ns
    while True:
        t0 = clock()
        staged = stage(inputs)
        t1 = clock()
        outputs = run(staged)
        t2 = clock()
        fetch(outputs)
        t3 = clock()
        host[i] = t3 - t0
        device[i] = t2 - t1
        i += 1
        if (t3 >= end and i >= at_least) or i == capacity:
            return i


def looped(
    session: Session,
    inputs: Mapping[str, Array],
    host: array[int],
    device: array[int],
    burst_ns: int,
    inner: int,
) -> int:
    """For inferences so short that the clock would cost over 1 %: a sample is the mean of `inner` of them.

    Both boundaries are looped one after the other, half of `burst_ns` each.
    """
    stage, run, fetch, clock = session.stage, session.run, session.fetch, perf_counter_ns
    capacity = len(host)
    i = 0
    staged = stage(inputs)
    end = clock() + burst_ns
    while True:
        t0 = clock()
        for _ in repeat(None, inner):
            fetch(run(stage(inputs)))
        t1 = clock()
        for _ in repeat(None, inner):
            run(staged)
        t2 = clock()
        host[i] = (t1 - t0) // inner
        device[i] = (t2 - t1) // inner
        i += 1
        if (t2 >= end and i >= 3) or i == capacity:
            return i


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
    session: Session, inputs: Mapping[str, Array], *, least_ns: int, most_ns: int, least: int = 3
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
