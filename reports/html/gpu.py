"""What the page says of rows on a GPU: its own clock, memory, clocks, power and energy, as words."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from bench.compare.answer import listed
from bench.compare.results import Group, OnGpu, Row
from bench.text.estimates import spread
from bench.text.numbers import UNTOLD, Unit, count, megabytes, percent, quantity, significant, time_unit
from reports.html.views import Cell, details

COLUMNS = ("device boundary", "its own clock", "share of limit", "memory", "clock", "sustained", "energy")
OF_ITS_PROCESS = "told for its process"


@dataclass(frozen=True, slots=True)
class GpuLine:
    """A row, its cells in the order of `COLUMNS`, and sentences that stand below the table."""

    label: str
    details: str
    cells: tuple[Cell, ...]
    notes: tuple[str, ...]


def lines(group: Group) -> list[GpuLine]:
    """The measured rows of a group that ran on a GPU, or whose device told of its own time."""
    rows = [row for row in group.in_order() if row.latency.value and (row.gpu or row.own_latency.value)]
    unit = time_unit(row.device_latency.value for row in rows)
    return [_line(row, row.gpu or OnGpu(), unit) for row in rows]


def notes(lines: Sequence[GpuLine]) -> list[str]:
    """What stands below the table, once for all that it holds for."""
    whose: dict[str, list[str]] = defaultdict(list)
    for line in lines:
        for note in line.notes:
            whose[note].append(f"{line.label} ({line.details})")
    return [f"{'All' if len(who) == len(lines) > 1 else listed(who)}: {note}." for note, who in whose.items()]


def _line(row: Row, gpu: OnGpu, unit: Unit) -> GpuLine:
    limit = row.roofline
    ran = f"kernels ran {percent(1 - row.launch_share)}" if row.launch_share is not None else ""
    cells = (
        Cell(quantity(row.device_latency.value, unit), spread(row.device_latency, unit)),
        Cell(quantity(row.own_latency.value, unit), ran),
        Cell(percent(limit.value), limit.of) if limit else Cell(UNTOLD),
        Cell(megabytes(gpu.memory_bytes)),
        _clock(gpu),
        Cell(quantity(gpu.sustained, unit), _against(gpu.sustained, row.latency.value)),
        Cell(joules(gpu.energy_j), _power(gpu)),
    )
    return GpuLine(row.case.backend_spec, details(row), cells, tuple(_notes(gpu)))


def _clock(gpu: OnGpu) -> Cell:
    """`1,980 MHz`, and what it settles at: `1,755 sustained`."""
    settled = f"{significant(gpu.sustained_sm_mhz)} sustained" if gpu.sustained_sm_mhz else ""
    return Cell(_of(gpu.sm_mhz, "MHz"), settled)


def _power(gpu: OnGpu) -> str:
    """`at 480 W`, and that it is in doubt."""
    doubt = ", in doubt" if gpu.energy_valid is False else ""
    return f"at {_of(gpu.power_w, 'W')}{doubt}" if gpu.power_w is not None else ""


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
    """What is to be known of the cells, in sentences."""
    said = [f"energy in doubt: {doubt}" for doubt in gpu.energy_doubts]
    if gpu.memory_how and gpu.memory_how != OF_ITS_PROCESS:
        said.append(f"memory: {gpu.memory_how}")
    held = [("bursts", gpu.throttled), ("the window", gpu.sustained_throttled)]
    slowed = " and ".join(f"{percent(share)} of {when}" for when, share in held if share)
    if slowed:
        why = f" by {', '.join(gpu.throttles)}" if gpu.throttles else ""
        said.append(f"clocks were held back{why} in {slowed}")
    if gpu.others:
        said.append(f"{count(gpu.others, 'other process', 'other processes')} held the GPU")
    return [*said, *([gpu.lost] if gpu.lost else [])]
