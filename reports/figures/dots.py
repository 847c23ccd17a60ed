"""Dots with their intervals, one row a case."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import plotly.graph_objects as go

from bench.compare.results import Row
from bench.interfaces.estimate import Estimate
from reports.figures.marks import ends_of, hover, tick, value_of
from reports.palette import TEXT

ROW_PX = 44


def rows_px(rows: Sequence[Row]) -> int:
    """Height that so many rows take."""
    return ROW_PX * len(rows)


def dots(
    rows: Sequence[Row],
    palette: Mapping[str, str],
    choose: Callable[[Row], Estimate],
    scale: float,
    text: Callable[[Row], str],
) -> go.Figure:
    figure = go.Figure()
    for i, row in enumerate(rows):
        estimate, colour = choose(row), palette[row.case.backend]
        value, low, high = (end * scale for end in (value_of(estimate), *ends_of(estimate)))
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
                hovertext=hover(row, rows, row.latency.value),
                hoverinfo="text",
            )
        )
    rows_axis(figure, rows)
    return figure


def rows_axis(figure: go.Figure, rows: Sequence[Row]) -> None:
    figure.update_yaxes(
        tickvals=list(range(len(rows))),
        ticktext=[tick(row, rows) for row in rows],
        range=[len(rows) - 0.4, -0.75],
        automargin=True,
        showgrid=False,
        zeroline=False,
        tickfont={"color": TEXT, "size": 13},
        ticks="",
    )
