"""Figures of a run: latency, how it varies, and ratio to the baseline; each with a sentence that says it.

A figure is drawn per group, so that no axis is shared by what cannot be compared. Colours are those of
`palette` for a light page; whoever shows a figure on a dark one maps them with `palette.DARK`.
"""

from __future__ import annotations

import html
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray

from bench.answers import name
from bench.block import Block
from bench.decide import Verdict
from bench.numbers import difference, factor, interval, percent, quantity, time_unit, told
from bench.results import Group, Results, Row
from bench.stats import Estimate
from reports.palette import BAND, GRID, MUTED, TEXT, colours
from reports.quiet import Quiet, estimated
from reports.samples import steady_seconds
from reports.tables import in_order

Floats = NDArray[np.float64]
LOG_FROM = 10.0  # a larger spread than this takes a logarithmic axis
ROW_PX, FRAME_PX = 44, 70
CUT = 4.0  # intervals of ratios are drawn so far beyond the outermost value
BINS = (24, 96)


@dataclass(frozen=True, slots=True)
class Shown:
    """A figure ready to show: `caption` says in a sentence what it shows, for those who cannot see it.

    `sure`: whether it belongs beside the words about how sure the comparisons are.
    """

    id: str
    title: str
    caption: str
    figure: go.Figure
    height: int
    sure: bool = False


def figures(results: Results, quiet: Quiet) -> list[list[Shown]]:
    """The figures of each group, in the order of the groups; an empty list where nothing was measured."""
    palette = colours(row.case.backend for row in results.rows)
    return [group_figures(f"g{i}", g, results, palette, quiet) for i, g in enumerate(results.groups)]


def group_figures(
    key: str, group: Group, results: Results, palette: Mapping[str, str], quiet: Quiet
) -> list[Shown]:
    rows = [row for row in in_order(group) if told(row.latency.value)]
    if not rows:
        return []
    shown = [latency(f"{key}-latency", rows, palette)]
    if any(told(row.ratio.value) for row in rows):
        shown.append(ratios(f"{key}-ratio", rows, palette, results.run.relevant, quiet))
    return [*shown, variation(f"{key}-variation", rows, palette, results.blocks)]


def latency(key: str, rows: Sequence[Row], palette: Mapping[str, str]) -> Shown:
    """Dots with 95 % intervals, one row a case, fastest first."""
    unit = time_unit(row.latency.value for row in rows)
    ends = [end * unit.per_base for row in rows for end in _ends(row.latency)]
    figure = _dots(
        rows, palette, lambda row: row.latency, unit.per_base, lambda row: quantity(row.latency.value, unit)
    )
    log = max(ends) > LOG_FROM * min(ends)
    axis = _log_axis(min(ends), max(ends)) if log else {"range": [0, max(ends) * 1.08], "nticks": 6}
    figure.update_xaxes(title_text=f"latency in {unit.name}{', log scale' if log else ''}", **axis)
    fastest, slowest = (min(rows, key=_value), max(rows, key=_value))
    caption = (
        f"Latency of one inference with its 95 % interval, less is better: from "
        f"{interval(fastest.latency, unit)} ({name(fastest, rows)}) to "
        f"{interval(slowest.latency, unit)} ({name(slowest, rows)})."
    )
    if len(rows) == 1:
        caption = f"Latency of one inference: {interval(rows[0].latency, unit)}."
    return _shown(key, "Latency", caption + _hollow(rows), figure, len(rows))


def ratios(key: str, rows: Sequence[Row], palette: Mapping[str, str], relevant: float, quiet: Quiet) -> Shown:
    """A forest plot: latency over the baseline's, a line at 1 and the difference that matters around it.

    Rows that would read differently without the disturbed rounds have a cross at that second ratio.
    """
    compared = [row for row in rows if told(row.ratio.value)]
    values = [_value_of(row.ratio) for row in compared]
    seconds = [(i, row, verdict) for i, row in enumerate(compared) if (verdict := quiet.changed(row))]
    crosses = [_value_of(row.quiet_ratio) for _, row, _ in seconds if told(row.quiet_ratio.value)]
    reach = (min(values) / CUT, max(values) * CUT)  # a few generations may allow nearly anything
    drawn = {row.case.id: _cut_to(row.ratio, *reach) for row in compared}
    figure = _dots(compared, palette, lambda row: drawn[row.case.id], 1.0, _judged)
    for i, row, verdict in seconds:
        if told(row.quiet_ratio.value):
            figure.add_trace(_cross(i, row, verdict, rows))
    ends = [end for row in compared for end in _ends(drawn[row.case.id])] + crosses
    low, high = min([*ends, 1 - 2 * relevant]), max([*ends, 1 + 2 * relevant])
    for value, dot in zip(values, figure.data, strict=False):  # the long labels grow away from the ends
        place = math.log(value / low) / math.log(high / low)
        dot.textposition = f"top {'right' if place < 0.3 else 'left' if place > 0.7 else 'center'}"
    figure.update_xaxes(title_text="ratio to the baseline, log scale", **_log_axis(low, high))
    figure.add_vrect(x0=1 / (1 + relevant), x1=1 + relevant, fillcolor=BAND, line_width=0, layer="below")
    figure.add_vline(x=1, line={"color": MUTED, "width": 1.5}, layer="below")
    best = min(compared, key=lambda row: (not row.ranked, _value_of(row.ratio)))
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
    return _shown(key, "Ratio to the baseline", caption + _hollow(compared), figure, len(compared), sure=True)


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


def variation(
    key: str, rows: Sequence[Row], palette: Mapping[str, str], blocks: Mapping[str, Sequence[Block]]
) -> Shown:
    """How the steady samples of each case spread around its own median: a histogram a row, none left out.

    Counted in bins rather than smoothed: two modes stay two, and large runs need no subsample.
    """
    figure = go.Figure()
    samples = [steady_seconds(blocks.get(row.case.id, ())) for row in rows]
    around = [s / np.median(s) if s.size else s for s in samples]
    everything = np.concatenate(around)
    low = max(0.5, float(np.quantile(everything, 0.001)) / 1.01)
    high = min(3.0, float(np.quantile(everything, 0.998)) * 1.01)
    for i, (row, own, ratio) in enumerate(zip(rows, samples, around, strict=True)):
        if own.size:
            median = float(np.median(own))
            figure.add_trace(_hill(i, ratio, low, high, palette[row.case.backend], _hover(row, rows, median)))
            line = {"color": TEXT, "width": 1.5}
            mark = {"x": [1, 1], "y": [i + 0.4, i - 0.4], "mode": "lines", "line": line, "hoverinfo": "skip"}
            figure.add_trace(go.Scatter(mark))
    _rows_axis(figure, rows)
    figure.update_xaxes(title_text="sample over own median, log scale", **_log_axis(low, high, 0.01))
    beyond = int(np.sum((everything < low) | (everything > high)))
    caption = (
        f"All {everything.size:,} steady samples, each over its own case’s median (the line at 1), counted "
        f"in bins; every row has a height of its own. Two hills are two speeds of the machine or the runtime."
    )
    if beyond:
        caption += f" Beyond the axis: {beyond:,} ({percent(beyond / everything.size)})."
    return _shown(key, "How it varies", caption, figure, len(rows))


def _hill(i: int, values: Floats, low: float, high: float, colour: str, hover: str) -> go.Scatter:
    """A histogram over log values as a closed outline that stands on row i."""
    logs = np.log(values[values > 0])  # a broken clock's samples are the linter's
    quarter, three_quarters = np.quantile(logs, [0.25, 0.75])
    width = 2 * (three_quarters - quarter) / logs.size ** (1 / 3)  # Freedman and Diaconis 1981
    wanted = (math.log(high) - math.log(low)) / width if width > 0 else BINS[0]
    edges = np.linspace(math.log(low), math.log(high), int(np.clip(wanted, *BINS)) + 1)
    counts, _ = np.histogram(logs, edges)
    floor, height = i + 0.4, 0.8 * counts / max(1, counts.max())
    x = np.repeat(np.exp(edges), 2)
    y = np.concatenate([[floor], np.repeat(floor - height, 2), [floor]])
    inside = np.flatnonzero(y < floor)
    keep = slice(max(0, inside[0] - 1), inside[-1] + 2) if inside.size else slice(0, 0)
    return go.Scatter(
        x=np.round(x[keep], 4).tolist(),
        y=np.round(y[keep], 3).tolist(),
        fill="toself",
        fillcolor=colour,
        opacity=0.8,
        mode="lines",
        line={"width": 0, "color": colour},
        hoveron="fills",
        text=hover,
        hoverinfo="text",
    )


def _dots(
    rows: Sequence[Row],
    palette: Mapping[str, str],
    choose: Callable[[Row], Estimate],
    scale: float,
    text: Callable[[Row], str],
) -> go.Figure:
    figure = go.Figure()
    for i, row in enumerate(rows):
        estimate, colour = choose(row), palette[row.case.backend]
        value, low, high = (end * scale for end in (_value_of(estimate), *_ends(estimate)))
        error = {
            "array": [high - value],
            "arrayminus": [value - low],
            "color": colour,
            "thickness": 3,
            "width": 0,
            "symmetric": False,
        }
        marker = {
            "size": 11,
            "color": colour,
            "symbol": "circle" if row.ranked else "circle-open",
            "line": {"width": 2.5, "color": colour},
        }
        figure.add_trace(
            go.Scatter(
                x=[value],
                y=[i],
                error_x=error if high > low else None,
                mode="markers+text",
                marker=marker,
                text=[text(row)],
                textposition="top center",
                textfont={"color": TEXT, "size": 12},
                cliponaxis=False,
                hovertext=_hover(row, rows, row.latency.value),
                hoverinfo="text",
            )
        )
    _rows_axis(figure, rows)
    return figure


def _rows_axis(figure: go.Figure, rows: Sequence[Row]) -> None:
    figure.update_yaxes(
        tickvals=list(range(len(rows))),
        ticktext=[_tick(row, rows) for row in rows],
        range=[len(rows) - 0.4, -0.75],
        automargin=True,
        showgrid=False,
        zeroline=False,
        tickfont={"color": TEXT, "size": 13},
        ticks="",
    )


def _shown(key: str, title: str, caption: str, figure: go.Figure, rows: int, *, sure: bool = False) -> Shown:
    height = FRAME_PX + ROW_PX * rows
    axis = {"gridcolor": GRID, "linecolor": GRID, "zeroline": False, "tickfont": {"color": MUTED, "size": 12}}
    figure.update_xaxes(**axis, title_font={"color": MUTED, "size": 12}, title_standoff=8, fixedrange=True)
    figure.update_yaxes(fixedrange=True)
    figure.update_layout(
        template="none",
        height=height,
        margin={"l": 8, "r": 28, "t": 6, "b": 52},
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
        font={"family": "system-ui, -apple-system, 'Segoe UI', Roboto, sans-serif", "color": TEXT},
        showlegend=False,
        hovermode="closest",
        dragmode=False,
        hoverlabel={"align": "left", "bgcolor": BAND, "font": {"color": TEXT, "size": 13}},
    )
    return Shown(key, title, caption, figure, height, sure)


def _log_axis(low: float, high: float, room: float = 0.2) -> dict[str, object]:
    """A logarithmic axis with about six round ticks; `room` is left at each end for labels, relative."""
    margin = max(room * math.log10(high / low), 0.004) if high > low else 0.1
    ends = [math.log10(low) - margin, math.log10(high) + margin]
    values = ticks(10 ** ends[0], 10 ** ends[1])
    labels = [f"{value:,.10g}" for value in values]
    return {"type": "log", "range": ends, "tickvals": values, "ticktext": labels}


def ticks(low: float, high: float, most: int = 6) -> list[float]:
    """Round numbers between two positive ones: 1-2-5 steps, evenly spaced ones within less than a decade."""
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
    for steps in ((1, 2, 5), (1, 3), (1,)):
        found = [s * 10.0**p for p in range(first, last + 1) for s in steps if low <= s * 10.0**p <= high]
        if 3 <= len(found) <= most:
            return [float(f"{value:.6g}") for value in found]
    if high / low > 1000:
        every = math.ceil((last - first) / most)
        return [10.0**power for power in range(first, last + 1, every) if low <= 10.0**power <= high]
    step = next(
        s * 10.0**p
        for p in range(math.floor(math.log10(high - low)) - 2, last + 2)
        for s in (1, 2, 5)
        if (high - low) / (s * 10.0**p) <= most
    )
    return [
        float(f"{k * step:.6g}") for k in range(math.ceil(low / step), math.floor(high / step) + 1) if k > 0
    ]


def _value_of(estimate: Estimate) -> float:
    return estimate.value if estimate.value is not None else math.nan


def _value(row: Row) -> float:
    return _value_of(row.latency)


def _ends(estimate: Estimate) -> tuple[float, float]:
    """The interval's ends, the value itself where there is none."""
    value = _value_of(estimate)
    low = estimate.low if estimate.low is not None and estimate.low > 0 else value
    high = estimate.high if estimate.high is not None and math.isfinite(estimate.high) else value
    return low, high


def _tick(row: Row, rows: Sequence[Row]) -> str:
    """The backend, and below it what tells its rows apart. Escaped: plotly reads some markup."""
    backend = row.case.backend
    details = name(row, rows).removeprefix(backend).lstrip(":= ")
    second = " · ".join(part for part in (_cut(details, 20), "baseline" if row.baseline else "") if part)
    small = f"<br><span style='font-size:11px'>{html.escape(second)}</span>" if second else ""
    return f"{html.escape(_cut(backend, 16))}{small} "


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else text[: most - 1] + "…"


def _hover(row: Row, rows: Sequence[Row], seconds: float | None) -> str:
    unit = time_unit([seconds])
    lines = [f"<b>{html.escape(name(row, rows))}</b>", interval(row.latency, unit)]
    if told(row.ratio.value):
        judged = f": {row.verdict.word}" if row.verdict else ""
        lines.append(f"{estimated(row.ratio)} of the baseline’s{judged}")
    if not row.ranked:
        lines.append(f"not ranked: {html.escape(row.unranked_because[:80])}")
    return "<br>".join(lines)


def _hollow(rows: Sequence[Row]) -> str:
    return " Hollow: not ranked." if any(not row.ranked for row in rows) else ""
