"""Memory by precision: what the model added to the resident memory of its worker."""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence

import plotly.graph_objects as go

from bench.compare.naming import name
from bench.compare.results import Row
from bench.text.numbers import megabytes, told
from reports.figures.keys import apart, by_width
from reports.figures.marks import cut, hollow, hover, precisions
from reports.figures.shown import Shown, shown
from reports.palette import TEXT

BAR_PX = 24


def memory(key: str, rows: Sequence[Row], palette: Mapping[str, str]) -> Shown | None:
    """Bars under the name of their backend, the widest precision first; None where there are no two
    precisions with a figure."""
    drawn = sorted((row for row in rows if told(row.model_bytes)), key=lambda row: _place(row, rows))
    if precisions(drawn) < 2:
        return None
    figure, labels = go.Figure(), list[str]()
    for i, row in enumerate(drawn):
        if i == 0 or row.case.backend != drawn[i - 1].case.backend:
            labels.append(f"<b>{html.escape(cut(row.case.backend, 16))}</b> ")
        figure.add_trace(_bar(len(labels), row, rows, palette[row.case.backend]))
        labels.append(_label(row, rows))
    most = max(_size(row) for row in drawn) * 1e-6
    figure.update_xaxes(title_text="memory in MB", range=[0, most * 1.2], nticks=6)
    figure.update_yaxes(
        tickvals=list(range(len(labels))),
        ticktext=labels,
        range=[len(labels) - 0.4, -0.6],
        automargin=True,
        showgrid=False,
        zeroline=False,
        tickfont={"color": TEXT, "size": 12},
        ticks="",
    )
    ranked = [row for row in drawn if row.ranked] or drawn
    least, largest = (find(ranked, key=_size) for find in (min, max))
    among = " of the ranked" if len(ranked) < len(drawn) else ""
    caption = (
        f"What the model added to the resident memory of its worker, less is better: from "
        f"{megabytes(least.model_bytes)} ({name(least, rows)}) to "
        f"{megabytes(largest.model_bytes)} ({name(largest, rows)}){among}."
    )
    title = "Memory by precision"
    return shown(key, title, caption + hollow(drawn), figure, BAR_PX * len(labels))


def _bar(i: int, row: Row, rows: Sequence[Row], colour: str) -> go.Bar:
    fill = colour if row.ranked else "rgba(0,0,0,0)"
    return go.Bar(
        x=[_size(row) * 1e-6],
        y=[i],
        width=0.56,
        orientation="h",
        marker={"color": fill, "line": {"color": colour, "width": 1.5}},
        text=[megabytes(row.model_bytes)],
        textposition="outside",
        textfont={"color": TEXT, "size": 12},
        cliponaxis=False,
        hovertext=f"{hover(row, rows, row.latency.value)}<br>peak {megabytes(row.peak_bytes)}",
        hoverinfo="text",
    )


def _place(row: Row, rows: Sequence[Row]) -> tuple[str, str, tuple[int, str]]:
    return row.case.backend, apart(row, rows), by_width(row.case.target.precision)


def _label(row: Row, rows: Sequence[Row]) -> str:
    """`int8:qdq · 2 threads`: what the bar is beside its backend."""
    parts = (row.case.target.precision, apart(row, rows))
    return f"{html.escape(cut(' · '.join(filter(None, parts)), 24))} "


def _size(row: Row) -> float:
    return row.model_bytes or 0.0
