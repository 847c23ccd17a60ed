"""How sure each comparison is, and what that took: the table below the plot of ratios, as plain data."""

from __future__ import annotations

from dataclasses import dataclass

from bench.compare.results import Group, Noise, Row, Verdict
from bench.text.estimates import spread
from bench.text.numbers import UNTOLD, factor, percent, probability, signed, span, told
from reports.chips import Chip, chip
from reports.html.views import Cell, details

COLUMNS = ("Possible", "Would find", "Noise", "Replicates × rounds", "Undisturbed")


@dataclass(frozen=True, slots=True)
class Comparison:
    """A case against the baseline: `cells` in the order of `COLUMNS`.

    `second`: the verdict without the disturbed rounds, where that reads differently.
    """

    label: str
    details: str
    chip: Chip
    p: str
    cells: tuple[Cell, ...]
    second: Chip | None


def comparisons(group: Group) -> list[Comparison]:
    """The rows of a group with a verdict other than `not comparable`, as they are ordered elsewhere."""
    return [
        _comparison(row, row.verdict)
        for row in group.in_order()
        if row.verdict is not None and row.verdict.word != "not comparable" and group.baseline is not None
    ]


def _comparison(row: Row, verdict: Verdict) -> Comparison:
    return Comparison(
        row.case.backend_spec,
        details(row),
        chip(verdict.word),
        "" if verdict.adjusted is None else f"p {probability(verdict.adjusted)}",
        (
            Cell(possible(verdict), _level(verdict)),
            Cell(percent(verdict.detectable), "8 times in 10" if told(verdict.detectable) else ""),
            _noise(row.noise),
            Cell(f"{row.replicates} × {span(row.rounds)}", row.ended),
            _quiet(row),
        ),
        chip(row.second.word) if row.second is not None else None,
    )


def possible(verdict: Verdict) -> str:
    """`−44 % to −41 %`: the interval of the ratio as a difference, at the level of the verdict's look."""
    low, high = verdict.ratio.low, verdict.ratio.high
    if low is None or high is None or not told(high):
        return UNTOLD
    return " to ".join(signed(end - 1).replace("-", "−") for end in (low, high))


def _level(verdict: Verdict) -> str:
    if not told(verdict.ratio.high):
        return ""
    middle = f", {factor(verdict.middle)} by Hodges-Lehmann" if verdict.middle is not None else ""
    return f"{verdict.level * 100:.3g} % interval{middle}"


def _noise(seen: Noise | None) -> Cell:
    """How much one round scatters, and what fresh replicates differ beyond that."""
    if seen is None:
        return Cell(UNTOLD)
    return Cell(f"{percent(seen.within)} a round", f"{percent(seen.between)} a replicate")


def _quiet(row: Row) -> Cell:
    if not row.marked:
        return Cell(UNTOLD, "none was disturbed")
    return Cell(factor(row.quiet_ratio.value), spread(row.quiet_ratio))
