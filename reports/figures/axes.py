"""Axes from zero or logarithmic, with few and round ticks."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

Axis = dict[str, Any]  # plotly's options
LOG_FROM = 10.0  # a larger spread than this takes a logarithmic axis


def fitted(values: Sequence[float], title: str, room: float = 0.2) -> Axis:
    """An axis for these positive values: from zero, or logarithmic where they spread widely."""
    low, high = min(values), max(values)
    if high > LOG_FROM * low > 0:
        return {"title_text": f"{title}, log scale", **log_axis(low, high, room)}
    return {"title_text": title, "range": [0, high * 1.08], "nticks": 6, "separatethousands": True}


def place(axis: Axis, value: float) -> float:
    """Where a value lies on an axis, from 0 to 1."""
    start, end = (float(end) for end in axis["range"])
    return ((math.log10(value) if axis.get("type") == "log" else value) - start) / (end - start)


def log_axis(low: float, high: float, room: float = 0.2) -> Axis:
    """A logarithmic axis with about six round ticks; `room` is left at each end for labels, relative."""
    margin = max(room * math.log10(high / low), 0.004) if high > low else 0.1
    ends = [math.log10(low) - margin, math.log10(high) + margin]
    values = ticks(10 ** ends[0], 10 ** ends[1])
    labels = [_label(value) for value in values]
    return {"type": "log", "range": ends, "tickvals": values, "ticktext": labels}


def _label(value: float) -> str:
    """`1,000`, `0.02`, and under a thousandth `2×10⁻⁶`, raised by plotly."""
    if value >= 1e-3:
        return f"{value:,.10g}"
    digits, power = f"{value:.6e}".split("e")
    raised = f"10<sup>\N{MINUS SIGN}{abs(int(power))}</sup>"
    return raised if float(digits) == 1 else f"{float(digits):g}×{raised}"


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
