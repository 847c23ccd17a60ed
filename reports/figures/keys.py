"""What tells marks apart where they are not named one by one: colour is the backend, the symbol the
precision, the line whatever else differs. And the legend that says so, for the page to draw.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from bench.compare.naming import name
from bench.compare.results import Row
from reports.palette import DARK, MUTED

SYMBOLS: Mapping[str, str] = {  # plotly's name → the same as an SVG path around (15, 6)
    "circle": "M10 6a5 5 0 1 0 10 0a5 5 0 1 0 -10 0z",
    "square": "M10.5 1.5h9v9h-9z",
    "diamond": "M15 0l6 6l-6 6l-6 -6z",
    "triangle-up": "M15 .5l5.8 10h-11.6z",
    "triangle-down": "M15 11.5l5.8 -10h-11.6z",
    "cross": "M13.2 .5h3.6v3.7h3.7v3.6h-3.7v3.7h-3.6v-3.7h-3.7v-3.6h3.7z",
    "hexagon": "M15 .3l5 2.9v5.6l-5 2.9l-5 -2.9v-5.6z",
    "star": "M15 0l1.5 4.2h4.4l-3.5 2.7l1.3 4.3l-3.7 -2.6l-3.7 2.6l1.3 -4.3l-3.5 -2.7h4.4z",
    "hourglass": "M10 1h10l-10 10h10z",
    "bowtie": "M10 1v10l10 -10v10z",
}
DASHES: Mapping[str, str] = {  # plotly's name → the same as SVG's
    "solid": "none",
    "dash": "6 3",
    "dot": "1.5 3",
    "dashdot": "6 3 1.5 3",
    "longdash": "10 3",
    "longdashdot": "10 3 1.5 3",
}


@dataclass(frozen=True, slots=True)
class Key:
    """An entry of a legend: a symbol, a line, or both, in a colour for light pages and one for dark."""

    text: str
    light: str
    path: str = ""
    dash: str = ""

    @property
    def dark(self) -> str:
        return DARK[self.light]


def symbols(precisions: Iterable[str]) -> dict[str, str]:
    """Precision → plotly's name of its symbol, the same in all figures of a report.

    From the eleventh precision on symbols repeat: what hovers over a mark names it.
    """
    known = list(SYMBOLS)
    return {one: known[i % len(known)] for i, one in enumerate(sorted(set(precisions), key=by_width))}


def by_width(precision: str) -> tuple[int, str]:
    """Orders precisions from the widest: fp32, bf16, fp16, int8:qdq, int4-weight."""
    bits = re.search(r"\d+", precision)
    return (-int(bits[0][:6]) if bits else 0, precision)


def apart(row: Row, rows: Sequence[Row]) -> str:
    """What tells the row apart beside backend and precision: `compile`, `2 threads`, or ''."""
    words = name(row, rows).removeprefix(row.case.backend)
    return words.replace(f" {row.case.target.precision}", "", 1).lstrip(":= ")


def dashes(rows: Sequence[Row]) -> dict[str, str]:
    """What tells rows apart beside backend and precision → plotly's name of its line; the first is solid."""
    known = list(DASHES)
    return {
        one: known[i % len(known)] for i, one in enumerate(dict.fromkeys(apart(row, rows) for row in rows))
    }


def legend(
    rows: Sequence[Row],
    palette: Mapping[str, str],
    marks: Mapping[str, str],
    lines: Mapping[str, str] | None = None,
) -> tuple[Key, ...]:
    """Backends by colour, then precisions by symbol, then lines; what does not differ is left out."""
    backends = sorted({row.case.backend for row in rows})
    precisions = sorted({row.case.target.precision for row in rows}, key=by_width)
    found = [Key(one, palette[one], dash="none") for one in backends]
    if len(precisions) > 1:
        found += [Key(one, MUTED, path=SYMBOLS[marks[one]]) for one in precisions]
    if lines and len(lines) > 1:
        found += [Key(one, MUTED, dash=DASHES[dash]) for one, dash in lines.items() if one]
    return tuple(found)
