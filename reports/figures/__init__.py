"""Figures of a run, each with a sentence that says it; one file a figure.

A figure is drawn per group, so that no axis is shared by what cannot be compared; only `sweeps` joins the
batches of a workload. Colours are those of `palette` for a light page; whoever shows a figure on a dark one
maps them with `palette.DARK`.
"""

from __future__ import annotations

from collections.abc import Mapping

from bench.compare.results import Group, Results
from bench.text.numbers import told
from reports.figures.accuracy import accuracy
from reports.figures.axes import ticks
from reports.figures.batches import batches
from reports.figures.keys import Key, symbols
from reports.figures.latency import latency
from reports.figures.memory import memory
from reports.figures.ratio import ratios
from reports.figures.shown import Shown
from reports.figures.variation import variation
from reports.palette import colours

__all__ = ["Key", "Shown", "figures", "sweeps", "ticks"]


def figures(results: Results) -> list[list[Shown]]:
    """The figures of each group, in the order of the groups; an empty list where nothing was measured."""
    palette, marks = _told_apart(results)
    return [_of_group(f"g{i}", g, results, palette, marks) for i, g in enumerate(results.groups)]


def sweeps(results: Results) -> dict[str, list[Shown]]:
    """Workload → its figures over several groups: those that differ in batch alone. None without a sweep."""
    return batches(results, *_told_apart(results))


def _told_apart(results: Results) -> tuple[Mapping[str, str], Mapping[str, str]]:
    """The colour of each backend and the symbol of each precision, the same in all figures."""
    cases = [row.case for row in results.rows]
    return colours(case.backend for case in cases), symbols(case.target.precision for case in cases)


def _of_group(
    key: str,
    group: Group,
    results: Results,
    palette: Mapping[str, str],
    marks: Mapping[str, str],
) -> list[Shown]:
    rows = [row for row in group.in_order() if told(row.latency.value)]
    if not rows:
        return []
    compared = any(told(row.ratio.value) for row in rows)
    found = (
        latency(f"{key}-latency", rows, palette),
        ratios(f"{key}-ratio", rows, palette, results.run.relevant) if compared else None,
        variation(f"{key}-variation", rows, palette, results.blocks),
        accuracy(f"{key}-accuracy", rows, palette, marks),
        memory(f"{key}-memory", rows, palette),
    )
    return [shown for shown in found if shown is not None]
