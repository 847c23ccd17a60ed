"""Throughput against latency over batches: what a larger batch gains, and what it costs."""

from __future__ import annotations

import html
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace

import plotly.graph_objects as go

from bench.compare.answer import listed
from bench.compare.naming import name
from bench.compare.results import Results, Row
from bench.text.numbers import quantity, significant, span, time_unit, told
from reports.figures.axes import Axis, fitted, place
from reports.figures.keys import apart, dashes, legend
from reports.figures.marks import filled, hollow, hover
from reports.figures.shown import Shown, shown
from reports.palette import MUTED

PLOT_PX = 380
MANY = 8  # more batches than these are told by the first and the last
NEAR = (0.035, 0.06)  # of the axes: one label serves the points of a batch that lie so near
TOUCH = (0.02, 0.035)  # nearer than this even labels of two batches would touch


def batches(
    results: Results, palette: Mapping[str, str], symbols: Mapping[str, str]
) -> dict[str, list[Shown]]:
    """Workload → a figure for each of its shapes in which a configuration was measured at two batches."""
    shapes: dict[tuple[object, ...], list[Row]] = defaultdict(list)
    for row in results.rows:
        if told(row.latency.value) and told(row.rate):
            case = row.case
            shapes[case.workload, case.content, case.scenario, case.sequence, case.context].append(row)
    swept = [rows for rows in shapes.values() if any(len(line) > 1 for line in _lines(rows))]
    found: dict[str, list[Shown]] = defaultdict(list)
    for i, rows in enumerate(swept):
        case = rows[0].case
        several = len({one[0].case.content for one in swept if one[0].case.workload == case.workload}) > 1
        weights = (case.weights_name or "seeded weights") if several else ""
        found[case.workload].append(_figure(f"s{i}-batches", rows, weights, palette, symbols))
    return dict(found)


def _lines(rows: Sequence[Row]) -> list[list[Row]]:
    """The rows of each configuration, the smallest batch first: cases that differ in nothing else."""
    found: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        found[replace(row.case, batch=0).id].append(row)
    return [sorted(line, key=lambda row: row.case.batch) for line in found.values()]


def _figure(
    key: str, rows: Sequence[Row], weights: str, palette: Mapping[str, str], symbols: Mapping[str, str]
) -> Shown:
    unit, lines = time_unit(row.latency.value for row in rows), dashes(rows)
    points = [(_seconds(row) * unit.per_base, row.rate or 0.0) for row in rows]
    x = fitted([x for x, _ in points], f"latency of one inference in {unit.name}", 0.08)
    y = fitted([y for _, y in points], f"{rows[0].unit}s per second", 0.12)
    above = html.escape(y.pop("title_text"))
    figure = go.Figure()
    for line in _lines(rows):
        case = line[0].case
        figure.add_trace(
            go.Scatter(
                x=[_seconds(row) * unit.per_base for row in line],
                y=[row.rate for row in line],
                mode="lines+markers",
                line={"color": palette[case.backend], "width": 2, "dash": lines[apart(line[0], rows)]},
                marker=filled(line, palette[case.backend], symbols[case.target.precision]),
                cliponaxis=False,
                hovertext=[_hover(row, rows) for row in line],
                hoverinfo="text",
            )
        )
    figure.add_trace(_labels(rows, x, y, unit.per_base))
    figure.update_xaxes(x)
    figure.update_yaxes(y)
    case = rows[0].case
    shape = case.shape.removeprefix(f"b{case.batch}").strip()
    title = ", ".join(filter(None, ["Throughput against latency", shape, weights]))
    keys = legend(rows, palette, symbols, lines)
    return shown(key, title, _caption(rows) + hollow(rows), figure, PLOT_PX, keys=keys, above=above)


def _labels(rows: Sequence[Row], x: Axis, y: Axis, scale: float) -> go.Scatter:
    """The batch above each point. Latency and rate give the batch, so points that touch share theirs, and
    one label serves them all."""
    labelled: list[tuple[int, float, float, Row]] = []
    for row in sorted(rows, key=_seconds):
        own, across, up = row.case.batch, place(x, _seconds(row) * scale), place(y, row.rate or 0.0)
        room = ((NEAR if own == batch else TOUCH, across - a, up - u) for batch, a, u, _ in labelled)
        if not any(abs(dx) < least[0] and abs(dy) < least[1] for least, dx, dy in room):
            labelled.append((own, across, up, row))
    return go.Scatter(
        x=[_seconds(row) * scale for *_, row in labelled],
        y=[row.rate for *_, row in labelled],
        mode="markers+text",
        marker={"size": 12, "opacity": 0},
        text=[f"{batch:,}" for batch, *_ in labelled],
        textposition="top center",
        textfont={"color": MUTED, "size": 11},
        cliponaxis=False,
        hoverinfo="skip",
    )


def _caption(rows: Sequence[Row]) -> str:
    found = sorted({row.case.batch for row in rows})
    sizes = listed([f"{size:,}" for size in found]) if len(found) <= MANY else span(found)
    best = max(rows, key=lambda row: (row.ranked, row.rate or 0.0))
    own = next(line for line in _lines(rows) if best in line)
    said = (
        f"{name(best, rows)} with {_rate(best)} at batch {best.case.batch:,} ({_latency(best)} an inference)"
    )
    if own[0] is not best:
        said += f"; at batch {own[0].case.batch:,} it gives {_rate(own[0])} ({_latency(own[0])})"
    return (
        f"A point a batch ({sizes}), a line a configuration; up and left is better. "
        f"{'Highest' if best.ranked else 'Highest, though not ranked'}: {said}."
    )


def _hover(row: Row, rows: Sequence[Row]) -> str:
    first, *rest = hover(row, rows, row.latency.value).split("<br>")
    return "<br>".join([f"{first}, batch {row.case.batch:,}", html.escape(_rate(row)), *rest])


def _seconds(row: Row) -> float:
    return row.latency.value or 0.0


def _rate(row: Row) -> str:
    return f"{significant(row.rate)} {row.unit}s/s"


def _latency(row: Row) -> str:
    return quantity(row.latency.value, time_unit([row.latency.value]))
