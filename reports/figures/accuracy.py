"""Accuracy against speed: what a lower precision gains, and what it costs."""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence

import plotly.graph_objects as go

from bench.compare.answer import listed
from bench.compare.naming import name
from bench.compare.results import Row
from bench.text.numbers import quantity, time_unit, told
from reports.figures.axes import fitted, log_axis
from reports.figures.keys import legend
from reports.figures.marks import filled, hollow, hover, precisions
from reports.figures.shown import Shown, shown
from reports.html.views import band, error
from reports.palette import MUTED

PLOT_PX = 300


def accuracy(
    key: str, rows: Sequence[Row], palette: Mapping[str, str], symbols: Mapping[str, str]
) -> Shown | None:
    """Error over latency, a mark a case; None where there are no two precisions with an error to show."""
    drawn = [row for row in rows if told(row.error) and _error(row) > 0]
    if precisions(drawn) < 2:
        return None
    unit = time_unit(row.latency.value for row in drawn)
    bands = [row for row in drawn if told(row.band_high) and (row.band_high or 0.0) > 0]
    figure = go.Figure(_bands(bands, unit.per_base))
    for row in drawn:
        mark = filled([row], palette[row.case.backend], symbols[row.case.target.precision], 12)
        point = {"x": [_seconds(row) * unit.per_base], "y": [row.error], "mode": "markers", "marker": mark}
        figure.add_trace(go.Scatter(point, cliponaxis=False, hovertext=_hover(row, rows), hoverinfo="text"))
    figure.update_xaxes(
        fitted([_seconds(row) * unit.per_base for row in drawn], f"latency in {unit.name}", 0.08)
    )
    levels = [*(_error(row) for row in drawn), *(row.band_high or 0.0 for row in bands)]
    figure.update_yaxes(log_axis(min(levels), max(levels), 0.06))
    caption = _caption(drawn) + (" Tick: the most that its precision may show." if bands else "")
    lost = [name(row, rows) for row in rows if row not in drawn]
    caption += f" Without an error that this axis can show: {listed(lost)}." if lost else ""
    return shown(
        key,
        "Accuracy against speed",
        caption + hollow(drawn),
        figure,
        PLOT_PX,
        keys=legend(drawn, palette, symbols),
        above="error against the fp64 reference, log scale",
    )


def _bands(rows: Sequence[Row], scale: float) -> go.Scatter:
    """A faint tick at the upper end of each band."""
    return go.Scatter(
        x=[_seconds(row) * scale for row in rows],
        y=[row.band_high for row in rows],
        mode="markers",
        marker={"symbol": "line-ew", "size": 14, "line": {"width": 1.5, "color": MUTED}},
        opacity=0.6,
        cliponaxis=False,
        hoverinfo="skip",
    )


def _caption(rows: Sequence[Row]) -> str:
    ranked = [row for row in rows if row.ranked] or rows
    right, fast = min(ranked, key=_error), min(ranked, key=_seconds)
    best = f"{_told(right, rows)} has the least error"
    fastest = f"{_told(fast, rows)} the least latency" if fast is not right else "the least latency"
    among = "Of the ranked, " if len(ranked) < len(rows) else ""
    return f"A mark a case; down and left is better. {among}{best} and {fastest}."


def _told(row: Row, rows: Sequence[Row]) -> str:
    seconds = row.latency.value
    return f"{name(row, rows)} ({error(row.error)} at {quantity(seconds, time_unit([seconds]))})"


def _hover(row: Row, rows: Sequence[Row]) -> str:
    first, *rest = hover(row, rows, row.latency.value).split("<br>")
    return "<br>".join([first, html.escape(f"error {error(row.error)}, band {band(row)}"), *rest])


def _error(row: Row) -> float:
    return row.error or 0.0


def _seconds(row: Row) -> float:
    return row.latency.value or 0.0
