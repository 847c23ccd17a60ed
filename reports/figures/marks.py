"""What a mark says: its place, its interval, its label and what hovers over it."""

from __future__ import annotations

import html
import math
from collections.abc import Sequence

from bench.compare.naming import name
from bench.compare.results import Row
from bench.interfaces.estimate import Estimate
from bench.text.estimates import estimated, interval
from bench.text.numbers import time_unit, told
from reports.palette import PAGE


def value_of(estimate: Estimate) -> float:
    return estimate.value if estimate.value is not None else math.nan


def ends_of(estimate: Estimate) -> tuple[float, float]:
    """The interval's ends, the value itself where there is none."""
    value = value_of(estimate)
    low = estimate.low if estimate.low is not None and estimate.low > 0 else value
    high = estimate.high if estimate.high is not None and math.isfinite(estimate.high) else value
    return low, high


def tick(row: Row, rows: Sequence[Row]) -> str:
    """The backend, and below it what tells its rows apart. Escaped: plotly reads some markup."""
    backend = row.case.backend
    details = name(row, rows).removeprefix(backend).lstrip(":= ")
    second = " · ".join(part for part in (cut(details, 20), "baseline" if row.baseline else "") if part)
    small = f"<br><span style='font-size:11px'>{html.escape(second)}</span>" if second else ""
    return f"{html.escape(cut(backend, 16))}{small} "


def cut(text: str, most: int) -> str:
    return text if len(text) <= most else text[: most - 1] + "…"


def hover(row: Row, rows: Sequence[Row], seconds: float | None) -> str:
    unit = time_unit([seconds])
    lines = [f"<b>{html.escape(name(row, rows))}</b>", interval(row.latency, unit)]
    if told(row.ratio.value):
        judged = f": {row.verdict.word}" if row.verdict else ""
        lines.append(f"{estimated(row.ratio)} of the baseline’s{judged}")
    if not row.ranked:
        lines.append(f"not ranked: {html.escape(row.unranked_because[:80])}")
    return "<br>".join(lines)


def hollow(rows: Sequence[Row]) -> str:
    """What a caption says of hollow marks: rows that may not win, and how many of them were not right."""
    out = sum(not row.ranked for row in rows)
    wrong = sum(row.status == "wrong-output" for row in rows)
    failed = f", {'' if wrong == out else f'{wrong} of {out} '}for wrong output" if wrong else ""
    return f" Hollow: not ranked{failed}." if out else ""


def filled(rows: Sequence[Row], colour: str, symbol: str, size: int = 10) -> dict[str, object]:
    """Marks in one colour; those of unranked rows are hollow."""
    return {
        "size": size,
        "symbol": symbol,
        "color": [colour if row.ranked else PAGE for row in rows],
        "opacity": 1,
        "line": {"width": 2, "color": colour},
    }


def precisions(rows: Sequence[Row]) -> int:
    """How many precisions there are."""
    return len({row.case.target.precision for row in rows})
