"""What the page says of rows on a GPU: its own clock, memory, clocks, power and energy, as words."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from bench.ceilings import Share, share
from bench.numbers import UNTOLD, Unit, interval, megabytes, percent, quantity, significant, time_unit
from bench.results import Group, OnGpu, Row
from reports.tables import in_order
from reports.views import Cell, details

COLUMNS = (
    "device boundary",
    "its own clock",
    "share of its limit",
    "memory",
    "clock in bursts",
    "sustained",
    "clock sustained",
    "power",
    "energy an inference",
)


@dataclass(frozen=True, slots=True)
class GpuLine:
    """A row, its cells in the order of `COLUMNS`, and sentences that stand below the table."""

    label: str
    details: str
    cells: tuple[Cell, ...]
    notes: tuple[str, ...]


def lines(group: Group, machine: Mapping[str, Any]) -> list[GpuLine]:
    """The measured rows of a group that ran on a GPU, or whose device told of its own time."""
    rows = [row for row in in_order(group) if row.latency.value and (row.gpu or row.own_latency.value)]
    unit = time_unit(row.device_latency.value for row in rows)
    return [_line(row, row.gpu or OnGpu(), unit, share(machine, row)) for row in rows]


def _line(row: Row, gpu: OnGpu, unit: Unit, limit: Share | None) -> GpuLine:
    launching = f"{percent(row.launch_share)} launching" if row.launch_share is not None else ""
    cells = (
        Cell(interval(row.device_latency, unit)),
        Cell(interval(row.own_latency, unit), launching),
        Cell(percent(limit.value), f"of its {limit.of}") if limit else Cell(UNTOLD),
        Cell(megabytes(gpu.memory_bytes), gpu.memory_how),
        _clock(gpu.sm_mhz, gpu.throttled, ", ".join(gpu.throttles)),
        Cell(quantity(gpu.sustained, unit), _against(gpu.sustained, row.latency.value)),
        _clock(gpu.sustained_sm_mhz, gpu.sustained_throttled),
        Cell(_of(gpu.power_w, "W")),
        Cell(joules(gpu.energy_j), "" if gpu.energy_valid is not False else "in doubt"),
    )
    return GpuLine(row.case.backend_spec, details(row), cells, tuple(_notes(gpu)))


def _clock(mhz: float | None, held: float | None, why: str = "") -> Cell:
    """`1,980 MHz`, and how much of the time something held it back."""
    said = f"held back {percent(held)}{f' ({why})' if why else ''}" if held else ""
    return Cell(_of(mhz, "MHz"), said)


def _against(sustained: float | None, burst: float | None) -> str:
    """`1.12 times a burst's`: what bursts hide."""
    return f"{significant(sustained / burst)} times a burst's" if sustained and burst else ""


def _of(value: float | None, unit: str) -> str:
    return UNTOLD if value is None else f"{significant(value)} {unit}"


def joules(value: float | None) -> str:
    """`12.3 mJ`, `1.23 J`."""
    if value is None:
        return UNTOLD
    return f"{significant(value)} J" if value >= 1 else f"{significant(value * 1e3)} mJ"


def _notes(gpu: OnGpu) -> list[str]:
    said = [f"energy in doubt: {doubt}" for doubt in gpu.energy_doubts]
    said += [f"{gpu.others} other processes held the GPU"] if gpu.others else []
    return [*said, *([gpu.lost] if gpu.lost else [])]
