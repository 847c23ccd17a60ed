"""The same cases on several machines, as the page shows them: a table a group, a column a machine."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from bench.compare.results import OnMachines, Results, Standing
from bench.machine.label import label
from bench.text.estimates import interval, ratio, spread
from bench.text.numbers import UNTOLD, Unit, time_unit
from reports.chips import Chip, chip
from reports.html.views import Cell, details


@dataclass(frozen=True, slots=True)
class MachineCell:
    """One machine's latency with what ran there, and against the first machine the ratio and the word for
    it.
    """

    latency: Cell
    ratio: Cell | None = None
    chip: Chip | None = None
    why: str = ""


@dataclass(frozen=True, slots=True)
class MachineTable:
    """A group: the names of its rows, and for each a cell a machine (None where it has not measured that)."""

    title: str
    rows: tuple[tuple[str, tuple[MachineCell | None, ...]], ...]


@dataclass(frozen=True, slots=True)
class Machines:
    """All of it; no columns where there is but one machine."""

    columns: tuple[str, ...]
    tables: tuple[MachineTable, ...]


def machines(shown: Results) -> Machines:
    """The run that the page is about comes first, and the ratios are over it."""
    found = shown.machines
    columns = tuple(dict.fromkeys(one.machine for row in found for one in row.standings))
    if len(columns) < 2:
        return Machines((), ())
    first = label(shown.run)
    columns = (first, *(name for name in columns if name != first))
    titles = dict.fromkeys(row.title for row in found)
    return Machines(
        columns, tuple(_table(title, [r for r in found if r.title == title], columns) for title in titles)
    )


def reasons(found: Machines) -> list[str]:
    """Why words are no stronger, each once."""
    cells = (cell for table in found.tables for _, row in table.rows for cell in row if cell and cell.chip)
    whys = dict.fromkeys((cell.chip.text, cell.why) for cell in cells if cell.chip and cell.why)
    return list(dict.fromkeys(f"{word}: {_general(why)}" for word, why in whys))


def _general(why: str) -> str:
    """Without the figure of one comparison, which stands in its cell."""
    return why.partition(" within the runs, but ")[2] or why


def _table(title: str, rows: Sequence[OnMachines], columns: Sequence[str]) -> MachineTable:
    unit = time_unit(one.row.latency.value for row in rows for one in row.standings)
    made = []
    for row in rows:
        by_machine = {one.machine: _cell(one, unit, row.name) for one in row.standings}
        made.append((row.name, tuple(by_machine.get(name) for name in columns)))
    return MachineTable(title, tuple(made))


def _cell(one: Standing, unit: Unit, name: str) -> MachineCell:
    row = one.row
    # A case's own name is the row's: only where it ran is left to say.
    ran = (
        f"{row.case.backend_spec} · {details(row)}" if name.startswith("the best") else row.case.target.device
    )
    latency = Cell(interval(row.latency, unit) if row.latency.value else UNTOLD, ran)
    if one.verdict is None:
        return MachineCell(latency)
    found = one.verdict
    return MachineCell(latency, Cell(ratio(found.ratio), spread(found.ratio)), chip(found.word), found.reason)
