"""Latency: dots with their intervals, one row a case."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from bench.compare.naming import name
from bench.compare.results import Row
from bench.text.estimates import interval
from bench.text.numbers import quantity, time_unit
from reports.figures.axes import fitted
from reports.figures.dots import dots, rows_px
from reports.figures.marks import ends_of, hollow, value_of
from reports.figures.shown import Shown, shown


def latency(key: str, rows: Sequence[Row], palette: Mapping[str, str]) -> Shown:
    """Dots with 95 % intervals, one row a case, fastest first."""
    unit = time_unit(row.latency.value for row in rows)
    ends = [end * unit.per_base for row in rows for end in ends_of(row.latency)]
    figure = dots(
        rows, palette, lambda row: row.latency, unit.per_base, lambda row: quantity(row.latency.value, unit)
    )
    figure.update_xaxes(fitted(ends, f"latency in {unit.name}"))
    fastest, slowest = (find(rows, key=lambda row: value_of(row.latency)) for find in (min, max))
    caption = (
        f"Latency of one inference with its 95 % interval, less is better: from "
        f"{interval(fastest.latency, unit)} ({name(fastest, rows)}) to "
        f"{interval(slowest.latency, unit)} ({name(slowest, rows)})."
    )
    if len(rows) == 1:
        caption = f"Latency of one inference: {interval(rows[0].latency, unit)}."
    return shown(key, "Latency", caption + hollow(rows), figure, rows_px(rows))
