"""Estimates as people read them: a value, how rough it is, and its interval or –."""

from __future__ import annotations

from bench.interfaces.estimate import Estimate
from bench.text.numbers import UNTOLD, Unit, factor, percent, quantity, significant, told

SHARP = 0.03  # a ratio whose half width is over this is marked


WIDE = 0.25  # a half width over this is shown as its two ends: the interval is no longer symmetric


NOTHING = 9.0  # and over this its ends are no numbers that anybody has use for: ten times, or a tenth


def rough(ratio: Estimate) -> bool:
    """Whether it is not known to within `SHARP`."""
    half = ratio.half_width
    return told(ratio.value) and (half is None or not half <= SHARP)


def ratio(estimate: Estimate) -> str:
    """`0.563×`; `~0.563×` where it is rough."""
    return ("~" if rough(estimate) else "") + factor(estimate.value)


def spread(estimate: Estimate, unit: Unit | None = None) -> str:
    """The interval alone: `±1.2 %`, `[9.8, 14.1]` in `unit` where it is wide, `±over 900 %`, or `–`."""
    low, high, half = estimate.low, estimate.high, estimate.half_width
    if low is None or high is None or half is None or not (told(low) and told(high)):
        return UNTOLD
    if half <= WIDE:
        return f"±{percent(half)}"
    if half > NOTHING:
        return f"±over {percent(NOTHING)}"
    scale = unit.per_base if unit else 1.0
    return f"[{significant(low * scale)}, {significant(high * scale)}]"


def interval(estimate: Estimate, unit: Unit) -> str:
    """`12.3 ms ±1.2 %`, `12.3 ms [9.8, 14.1]`, or `12.3 ms` where there is no interval."""
    shown, around = quantity(estimate.value, unit), spread(estimate, unit)
    return shown if UNTOLD in (shown, around) else f"{shown} {around}"


def estimated(ratio: Estimate) -> str:
    """`0.91× ±1.9 %`, or the value alone where no interval can be told."""
    around = spread(ratio)
    return factor(ratio.value) + (f" {around}" if around != UNTOLD else "")
