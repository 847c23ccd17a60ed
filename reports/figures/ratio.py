"""Ratios to the baseline: a forest plot."""

from __future__ import annotations

import html
import math
from collections.abc import Mapping, Sequence

import plotly.graph_objects as go

from bench.compare.naming import name
from bench.compare.results import Row, Verdict
from bench.interfaces.estimate import Estimate
from bench.text.estimates import estimated
from bench.text.numbers import difference, factor, told
from reports.figures.axes import log_axis
from reports.figures.dots import dots, rows_px
from reports.figures.marks import ends_of, hollow, value_of
from reports.figures.shown import Shown, shown
from reports.palette import BAND, MUTED, TEXT

CUT = 4.0  # intervals are drawn so far beyond the outermost value


def ratios(key: str, rows: Sequence[Row], palette: Mapping[str, str], relevant: float) -> Shown:
    """A forest plot: latency over the baseline's, a line at 1 and the difference that matters around it.

    Rows that would read differently without the disturbed rounds have a cross at that second ratio.
    """
    compared = [row for row in rows if told(row.ratio.value)]
    values = [value_of(row.ratio) for row in compared]
    seconds = [(i, row, verdict) for i, row in enumerate(compared) if (verdict := row.second)]
    crosses = [value_of(row.quiet_ratio) for _, row, _ in seconds if told(row.quiet_ratio.value)]
    reach = (min(values) / CUT, max(values) * CUT)  # a few replicates may allow nearly anything
    drawn = {row.case.id: _cut_to(row.ratio, *reach) for row in compared}
    figure = dots(compared, palette, lambda row: drawn[row.case.id], 1.0, _judged)
    for i, row, verdict in seconds:
        if told(row.quiet_ratio.value):
            figure.add_trace(_cross(i, row, verdict, rows))
    ends = [end for row in compared for end in ends_of(drawn[row.case.id])] + crosses
    low, high = min([*ends, 1 - 2 * relevant]), max([*ends, 1 + 2 * relevant])
    for value, dot in zip(values, figure.data, strict=False):  # the long labels grow away from the ends
        place = math.log(value / low) / math.log(high / low)
        dot.textposition = f"top {'right' if place < 0.3 else 'left' if place > 0.7 else 'center'}"
    figure.update_xaxes(title_text="ratio to the baseline, log scale", **log_axis(low, high))
    figure.add_vrect(x0=1 / (1 + relevant), x1=1 + relevant, fillcolor=BAND, line_width=0, layer="below")
    figure.add_vline(x=1, line={"color": MUTED, "width": 1.5}, layer="below")
    best = min(compared, key=lambda row: (not row.ranked, value_of(row.ratio)))
    base = next((f", {name(row, rows)}," for row in rows if row.baseline), "")
    level = max((row.verdict.level for row in compared if row.verdict), default=0.95)
    caption = (
        f"Latency over that of the baseline{base} with {level * 100:.3g} % intervals; left of 1 is faster, "
        f"and the shaded band of {difference(relevant)} is too small to matter. "
        f"Lowest: {name(best, rows)} at {estimated(best.ratio)}."
    )
    if any(drawn[row.case.id] != row.ratio for row in compared):
        caption += " Intervals that leave the axis are cut."
    if crosses:
        caption += " Cross: without the rounds that others disturbed, where that reads differently."
    return shown(
        key, "Ratio to the baseline", caption + hollow(compared), figure, rows_px(compared), sure=True
    )


def _judged(row: Row) -> str:
    """`0.835× faster`."""
    return f"{factor(row.ratio.value)} {row.verdict.word if row.verdict else ''}".strip()


def _cut_to(estimate: Estimate, low: float, high: float) -> Estimate:
    if estimate.low is None or estimate.high is None:
        return estimate
    return Estimate(estimate.value, max(estimate.low, low), min(estimate.high, high), estimate.n)


def _cross(i: int, row: Row, verdict: Verdict, rows: Sequence[Row]) -> go.Scatter:
    said = html.escape(f"{estimated(row.quiet_ratio)}: {verdict.word}")
    hover = f"<b>{html.escape(name(row, rows))}</b><br>without the disturbed rounds<br>{said}"
    mark = {"symbol": "x-thin", "size": 10, "line": {"width": 2.5, "color": TEXT}}
    point = {"x": [row.quiet_ratio.value], "y": [i], "mode": "markers", "marker": mark}
    return go.Scatter(point, hovertext=hover, hoverinfo="text", cliponaxis=False)
