"""What the readings of a GPU come to: memory, clocks, throttling, and the energy of an inference. Pure
functions.

Energy and power are those of the whole GPU, with what it draws when idle: that is what its owner pays for.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from bench.machine.gpu.nvml import Reading, throttles

Span = tuple[int, int]  # from, to, in ns of the monotonic clock
WINDOW_S = 10.0  # of a window that tells energy, at least
GAP_S = 1.0  # between two readings of it, at most
UPDATES_A_SECOND = 2.0  # of the energy counter, at least
DRIFT = 0.05  # of the power, between the halves of the window
BUSY = 0.02  # share of the GPU that another process takes, from which on a burst is disturbed


@dataclass(frozen=True, slots=True)
class Life:
    """When a worker lived on the GPU: begun, ready (loaded and warm), and the spans of its bursts."""

    pid: int
    born_ns: int
    ready_ns: int
    bursts: tuple[Span, ...]


def block_figures(
    readings: Sequence[Reading], life: Life, foreign: Collection[int], window: tuple[Span, int] | None
) -> dict[str, Any]:
    """What a block keeps of its GPU, JSON-able; a key is absent where nothing told it.

    Args:
        readings: from before the worker was born to its end, oldest first.
        foreign: processes that are none of ours.
        window: the uninterrupted window and the inferences in it, if there was one.

    Returns:
        `memory_bytes` and `memory_how`; over the bursts means of `sm_mhz`, `memory_mhz`, `temperature_c`, and
        `throttled` (share of the readings) with the words in `throttles`; `others` (processes that are none
        of ours) and `sustained` (see `sustained`).
    """
    seen = within(readings, life.bursts)
    found: dict[str, Any] = {**memory(readings, life), **_speeds(seen), "others": len(foreign)}
    if window is not None:
        span, count = window
        found["sustained"] = sustained(within(readings, [span]), span, count, foreign)
    return {name: value for name, value in found.items() if value is not None}


def within(readings: Iterable[Reading], spans: Sequence[Span]) -> list[Reading]:
    """Those that were taken in one of the spans."""
    return [one for one in readings if any(start <= one.at_ns <= end for start, end in spans)]


def memory(readings: Sequence[Reading], life: Life) -> dict[str, Any]:
    """The most that the worker's process had, and how that is known.

    In a container the driver tells the ids of the host. The worker then is the process that came while it
    was started and loaded, if one alone did; where none is listed, it is what was used more by then.
    """
    if sizes := _sizes(readings, life.pid):
        return {"memory_bytes": max(sizes), "memory_how": "told for its process"}
    before = [one for one in readings if one.at_ns < life.born_ns][-1:]
    loaded = within(readings, [(life.born_ns, life.ready_ns)])
    known = {pid for one in before for pid in one.processes}
    came = {pid for one in loaded for pid in one.processes} - known
    if before and len(came) == 1 and (sizes := _sizes(readings, came.pop())):
        return {"memory_bytes": max(sizes), "memory_how": "told for the one process that came with it"}
    used = [one.used_bytes for one in loaded if one.used_bytes is not None]
    if used and before and before[0].used_bytes is not None:
        more = max(0, max(used) - before[0].used_bytes)
        return {"memory_bytes": more, "memory_how": "what the GPU had in use more once it was loaded"}
    return {}


def _sizes(readings: Iterable[Reading], pid: int) -> list[int]:
    return [size for one in readings if (size := one.processes.get(pid))]


def _speeds(seen: Sequence[Reading]) -> dict[str, Any]:
    bits = [one.throttle for one in seen if one.throttle is not None]
    words = dict.fromkeys(word for bit in bits for word in throttles(bit))
    return {
        "sm_mhz": mean(one.sm_mhz for one in seen),
        "memory_mhz": mean(one.memory_mhz for one in seen),
        "temperature_c": mean(one.temperature_c for one in seen),
        "throttled": mean(float(bool(throttles(bit))) for bit in bits),
        "throttles": list(words) or None,
    }


def mean(values: Iterable[float | None]) -> float | None:
    """Of those that are known; None of none."""
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None


def strangers(before: Sequence[Reading], ours: Collection[int], readings: Sequence[Reading]) -> set[int]:
    """Processes on the GPU that are none of ours.

    Where the driver tells our ids, all others; in a container, where it tells the host's, those that were
    there before any of ours.
    """
    listed = {pid for one in readings for pid in one.processes}
    if listed & set(ours):
        return listed - set(ours)
    return {pid for one in before[-1:] for pid in one.processes}


def disturbed(readings: Iterable[Reading], burst: Span, foreign: Collection[int]) -> bool:
    """Whether another process's kernels ran in a burst, as far as the driver tells."""
    return any(one.busy.get(pid, 0.0) > BUSY for one in within(readings, [burst]) for pid in foreign)


def sustained(inside: Sequence[Reading], span: Span, count: int, foreign: Collection[int]) -> dict[str, Any]:
    """An uninterrupted window: what an inference takes when the GPU is held to its cap, and its energy.

    Energy is the counter's difference between the first and the last reading in the window, at the window's
    own rate; without a counter the integral of the power that was read (trapezoids).

    Args:
        inside: the readings in it, oldest first.
        count: inferences that ran in it.

    Returns:
        `window_s`, `count`, `inference_ns`, where told `power_w`, `energy_j` (of one inference) and its
        `source`, `sm_mhz`, `throttled`; `doubts`: sentences that say why the energy is not valid, [] if it
        is.
    """
    window_s = (span[1] - span[0]) * 1e-9
    speeds = _speeds(inside)
    found: dict[str, Any] = {
        "window_s": window_s,
        "count": count,
        "inference_ns": (span[1] - span[0]) / count,
        "sm_mhz": speeds["sm_mhz"],
        "throttled": speeds["throttled"],
        "throttles": speeds["throttles"],
    }
    doubts = [*_doubts(inside, window_s, foreign)]
    joules, source = _energy(inside)
    if joules is None:
        doubts.append("the driver tells neither energy nor power")
    else:
        seconds = (inside[-1].at_ns - inside[0].at_ns) * 1e-9
        found |= {
            "power_w": joules / seconds,
            "energy_j": joules / seconds * window_s / count,
            "source": source,
        }
    return {name: value for name, value in found.items() if value is not None} | {"doubts": doubts}


def _energy(inside: Sequence[Reading]) -> tuple[float | None, str]:
    """Joules between the first and the last reading, and where they come from."""
    if len(inside) < 2 or inside[-1].at_ns <= inside[0].at_ns:
        return None, ""
    first, last = inside[0].energy_j, inside[-1].energy_j
    if first is not None and last is not None and last > first:
        return last - first, "counter"
    powers = [(one.at_ns * 1e-9, one.power_w) for one in inside if one.power_w is not None]
    if len(powers) < 2:
        return None, ""
    return sum((later - at) * (watts + more) / 2 for (at, watts), (later, more) in pairwise(powers)), "power"


def _doubts(inside: Sequence[Reading], window_s: float, foreign: Collection[int]) -> list[str]:
    said = []
    if window_s < WINDOW_S:
        said.append(f"the window lasted {window_s:.1f} s; it takes {WINDOW_S:g}")
    gaps = [(later.at_ns - one.at_ns) * 1e-9 for one, later in pairwise(inside)]
    if max(gaps, default=window_s) > GAP_S:
        said.append(f"{max(gaps, default=window_s):.1f} s of it went by without a reading")
    counter = {one.energy_j for one in inside if one.energy_j is not None}
    if counter and len(counter) < UPDATES_A_SECOND * window_s:
        said.append(f"the energy counter moved {len(counter) - 1} times in it")
    halves = [inside[: len(inside) // 2], inside[len(inside) // 2 :]]
    early, late = (mean(one.power_w for one in half) for half in halves)
    if early and late and abs(late / early - 1) > DRIFT:
        said.append(f"the power still changed, from {early:.0f} to {late:.0f} W")
    busy = [pid for pid in foreign if any(one.busy.get(pid, 0.0) > BUSY for one in inside)]
    if busy:
        said.append(f"{len(busy)} other process{'es' if len(busy) > 1 else ''} computed on the GPU")
    return said
