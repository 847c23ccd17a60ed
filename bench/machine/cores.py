"""Kinds of cores of one machine: fast and slow ones, which a count makes look alike. Standard library alone.

Three sources, the surest first. Intel's kernel driver has a counter unit for each kind (`cpu_core`,
`cpu_atom`, `cpu_lowpower`). The scheduler's own figure is `cpu_capacity`: 1024 for the fastest core (Arm, and
others lately). The highest clock is the weakest: the best cores of a chip may go a few percent higher than
their neighbours (favoured cores) and are no other kind, so it counts only across a wide gap, and only where
the scheduler says nothing (AMD's dense cores).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.machine.topology import CPUS, Cpu, cpu_list, read_int, read_text

UNITS = ("cpu_core", "cpu_atom", "cpu_lowpower")  # the fastest first
UNIT_FOLDERS = ("sys/devices", "sys/bus/event_source/devices")
# Clusters of one core are binned a few percent apart; a prime core of the same design is 15 % above the rest.
CAPACITY_GAP = 0.10
# Favoured cores go down in steps of a few percent; dense cores end a third below the others.
CLOCK_GAP = 0.20


@dataclass(frozen=True, slots=True)
class Kind:
    """Cores that are alike: what the system calls them, their online logical CPUs, and how many cores."""

    name: str
    cpus: tuple[int, ...]
    cores: int


def core_kinds(root: Path, cpus: Sequence[Cpu]) -> tuple[Kind, ...]:
    """The kinds among these CPUs, the fastest first; () where the system tells of one kind alone."""
    numbers = [cpu.number for cpu in cpus]
    found = [
        (", ".join(filter(None, (unit, figure))) or "no name", members)
        for unit, share in _by_unit(root, numbers).items()
        for figure, members in _by_figure(root, share).items()
    ]
    if len(found) < 2:
        return ()
    core = {cpu.number: cpu.core for cpu in cpus}
    return tuple(Kind(name, tuple(own), len({core[cpu] for cpu in own})) for name, own in found)


def counted(kinds: Iterable[Kind]) -> dict[str, int]:
    """Name → physical cores."""
    return {kind.name: kind.cores for kind in kinds}


def _by_unit(root: Path, cpus: Sequence[int]) -> dict[str, list[int]]:
    """Counter unit → its CPUs; '' for those of none."""
    units = {name: _unit_cpus(root, name) for name in UNITS}
    found = {name: [cpu for cpu in cpus if cpu in own] for name, own in units.items()}
    found[""] = [cpu for cpu in cpus if not any(cpu in own for own in units.values())]
    return {name: own for name, own in found.items() if own}


def _unit_cpus(root: Path, name: str) -> tuple[int, ...]:
    lists = (cpu_list(read_text(root / folder / name / "cpus")) for folder in UNIT_FOLDERS)
    return next(filter(None, lists), ())


def _by_figure(root: Path, cpus: Sequence[int]) -> Mapping[str, Sequence[int]]:
    """Parted by capacity, or by the highest clock where no capacity is shown; {'': all} where alike."""
    if values := _figures(root, cpus, "cpu_capacity"):
        return _parted(values, CAPACITY_GAP, lambda value: f"capacity {value}")
    values = _figures(root, cpus, "cpufreq/cpuinfo_max_freq")
    return _parted(values, CLOCK_GAP, lambda khz: f"up to {khz // 1000} MHz") or {"": cpus}


def _figures(root: Path, cpus: Sequence[int], name: str) -> dict[int, int]:
    """CPU → its figure; nothing unless all of them have one."""
    values = {cpu: read_int(root / CPUS / f"cpu{cpu}" / name) for cpu in cpus}
    known = {cpu: value for cpu, value in values.items() if value is not None and value > 0}
    return known if len(known) == len(values) else {}


def _parted(values: Mapping[int, int], gap: float, name: Callable[[int], str]) -> dict[str, list[int]]:
    """The CPUs parted wherever the next lower figure is more than `gap` below, the highest first; a part is
    named by its highest."""
    parts: list[tuple[int, list[int]]] = []
    before = 0
    for value in sorted({*values.values()}, reverse=True):
        own = [cpu for cpu, figure in values.items() if figure == value]
        if parts and value >= before * (1 - gap):
            parts[-1][1].extend(own)
        else:
            parts.append((value, own))
        before = value
    return {name(top) if len(parts) > 1 else "": sorted(own) for top, own in parts}
