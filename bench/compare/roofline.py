"""How much a row takes of what its device can at most: the matrix rate of its precision, or the bandwidth.

`bench.measure.gpu.peaks` measures; this reads what stands with a machine's facts.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bench.compare.results import Row, Share
from bench.interfaces.precision import runs_as
from bench.machine.gpu.devices import KIND
from bench.measure.gpu.peaks import positive

COPY = "copy_bytes_per_s"


def share(machine: Mapping[str, Any], row: Row) -> Share | None:
    """By the roofline (Williams, Waterman and Patterson 2009): no inference takes less than its operations at
    the matrix rate of its precision, nor than its bytes at the copy's bandwidth; the larger of the two binds.

    Of the `device` boundary's time. None where limits, cost or latency are unknown. Over 1 where what counts
    as read from memory lay in the GPU's cache.
    """
    known, cost, took = _of(machine, row.case.target.device), row.record.cost, row.device_latency.value
    rate = known.get(f"{runs_as(row.case.target.arithmetic)}_flops_per_s")
    flops, moved, bandwidth = cost.get("flops"), cost.get("bytes"), known.get(COPY)
    bounds = []
    if flops and rate:
        bounds.append((flops / rate, f"{runs_as(row.case.target.arithmetic)} matrix rate"))
    if moved and bandwidth:
        bounds.append((moved / bandwidth, "memory bandwidth"))
    if not bounds or not took:
        return None
    seconds, of = max(bounds)
    return Share(seconds / took, of)


def _of(machine: Mapping[str, Any], device: str) -> Mapping[str, float]:
    """The limits of a device in a machine's facts; of an instance those of no one: they are another's."""
    kind, _, place = device.partition(":")
    gpus = machine.get("gpus")
    if kind != KIND or not isinstance(gpus, list) or not place.isdigit() or int(place) >= len(gpus):
        return {}
    found = gpus[int(place)].get("ceilings", {})
    return {name: value for name, value in found.items() if positive(value)}
