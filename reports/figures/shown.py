"""A figure ready to show: its frame, which all share, and the words beside it."""

from __future__ import annotations

from dataclasses import dataclass

import plotly.graph_objects as go

from reports.figures.keys import Key
from reports.palette import BAND, GRID, MUTED, TEXT

TITLE_PX = 32
FRAME_PX = 70  # what the axis below takes, beside the rows


@dataclass(frozen=True, slots=True)
class Shown:
    """A figure ready to show: `caption` says in a sentence what it shows, for those who cannot see it.

    `sure`: whether it belongs beside the words about how sure the comparisons are. `keys`: what colours,
    symbols and lines stand for, where the figure does not name each mark.
    """

    id: str
    title: str
    caption: str
    figure: go.Figure
    height: int
    sure: bool = False
    keys: tuple[Key, ...] = ()


def shown(
    key: str,
    title: str,
    caption: str,
    figure: go.Figure,
    plot: int,
    *,
    sure: bool = False,
    keys: tuple[Key, ...] = (),
    above: str = "",
) -> Shown:
    """Frames a figure whose marks take `plot` pixels of height; `above` names an axis that goes up."""
    top = TITLE_PX if above else 6
    height = FRAME_PX + plot + top - 6
    small = {"color": MUTED, "size": 12}
    axis = {"gridcolor": GRID, "linecolor": GRID, "zeroline": False, "tickfont": small}
    upright = {"automargin": True, "ticksuffix": " ", **axis} if above else {}
    if above:  # level, where it can be read, rather than upright beside the axis
        place = {"xref": "paper", "yref": "paper", "x": 0, "y": 1, "xanchor": "left", "yanchor": "bottom"}
        figure.add_annotation(place, text=above, font=small, showarrow=False, yshift=6)
    figure.update_layout(
        xaxis={**axis, "title": {"font": small, "standoff": 8}, "fixedrange": True},
        yaxis={**upright, "fixedrange": True},
        template="none",
        height=height,
        margin={"l": 8, "r": 28, "t": top, "b": 52},
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
        font={"family": "system-ui, -apple-system, 'Segoe UI', Roboto, sans-serif", "color": TEXT},
        showlegend=False,
        hovermode="closest",
        dragmode=False,
        hoverlabel={"align": "left", "bgcolor": BAND, "font": {"color": TEXT, "size": 13}},
    )
    return Shown(key, title, caption, figure, height, sure, keys)
