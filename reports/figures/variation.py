"""How the samples of each case vary: a histogram a row."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray

from bench.compare.results import Row
from bench.compare.samples import steady_seconds
from bench.interfaces.block import Block
from bench.text.numbers import percent
from reports.figures.axes import log_axis
from reports.figures.dots import rows_axis, rows_px
from reports.figures.marks import hover
from reports.figures.shown import Shown, shown
from reports.palette import TEXT

Floats = NDArray[np.float64]
BINS = (24, 96)


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
            figure.add_trace(_hill(i, ratio, low, high, palette[row.case.backend], hover(row, rows, median)))
            line = {"color": TEXT, "width": 1.5}
            mark = {"x": [1, 1], "y": [i + 0.4, i - 0.4], "mode": "lines", "line": line, "hoverinfo": "skip"}
            figure.add_trace(go.Scatter(mark))
    rows_axis(figure, rows)
    figure.update_xaxes(title_text="sample over own median, log scale", **log_axis(low, high, 0.01))
    beyond = int(np.sum((everything < low) | (everything > high)))
    caption = (
        f"All {everything.size:,} steady samples, each over its own case’s median (the line at 1), counted "
        f"in bins; every row has a height of its own. Two hills are two speeds of the machine or the runtime."
    )
    if beyond:
        caption += f" Beyond the axis: {beyond:,} ({percent(beyond / everything.size)})."
    return shown(key, "How it varies", caption, figure, rows_px(rows))


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
