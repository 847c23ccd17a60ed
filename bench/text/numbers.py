"""Numbers as people read them: three significant digits, a unit, and – where it cannot be told.

One unit serves a whole column (`time_unit`), so that the eye can compare down it.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import NamedTuple

UNTOLD = "–"


class Unit(NamedTuple):
    """A name and how many of it make one of the base unit (seconds, bytes)."""

    name: str
    per_base: float


NANOSECONDS = Unit("ns", 1e9)
MICROSECONDS = Unit("µs", 1e6)
MILLISECONDS = Unit("ms", 1e3)
SECONDS = Unit("s", 1.0)
MEGABYTES = Unit("MB", 1e-6)
DECIMAL = ("B", "kB", "MB", "GB", "TB")
BINARY = (("TiB", 2**40), ("GiB", 2**30), ("MiB", 2**20), ("KiB", 2**10))


def told(value: float | None) -> bool:
    """Whether there is a finite number to show."""
    return value is not None and math.isfinite(value)


def significant(value: float | None, digits: int = 3) -> str:
    """`0.0123`, `12.3`, `1,230`, `1.23e-07`; powers only where zeros would hide the number."""
    if value is None or not math.isfinite(value):
        return UNTOLD
    if value == 0:
        return "0"
    size = abs(value)
    if size < 1e-4 or size >= 1e9:
        return f"{value:.{digits - 1}e}"
    rounded = float(f"{value:.{digits - 1}e}")
    places = max(0, digits - 1 - math.floor(math.log10(abs(rounded))))
    return f"{rounded:,.{places}f}"


def time_unit(seconds: Iterable[float | None]) -> Unit:
    """The unit in which the middle one of the values has one to three digits before the point."""
    values = sorted(value for value in seconds if value is not None and 0 < value < math.inf)
    if not values:
        return MILLISECONDS
    middle = values[len(values) // 2]
    for unit in (SECONDS, MILLISECONDS, MICROSECONDS):
        # 0.999 999 s is shown as 1.00 s: the rounded number decides.
        if float(f"{middle * unit.per_base:.2e}") >= 1:
            return unit
    return NANOSECONDS


def quantity(value: float | None, unit: Unit) -> str:
    """`12.3 ms`."""
    if value is None or not math.isfinite(value):
        return UNTOLD
    return f"{significant(value * unit.per_base)} {unit.name}"


def duration(seconds: float | None) -> str:
    """A time in the unit that suits it; minutes from 120 s."""
    if seconds is None or not math.isfinite(seconds):
        return UNTOLD
    if seconds >= 120:
        minutes, rest = divmod(round(seconds), 60)
        return f"{minutes} min {rest} s" if rest else f"{minutes} min"
    return quantity(seconds, time_unit([seconds])) if seconds else "0 s"


def rounded_time(seconds: float) -> str:
    """A time that is planned or waited for: `45 s`, `6 min`, `1 h 30 min`."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    hours, minutes = divmod(minutes, 60)
    if not hours:
        return f"{minutes} min"
    return f"{hours} h {minutes} min" if minutes else f"{hours} h"


def ago(seconds: float) -> str:
    """How long ago: `just now`, `12 min ago`, `5 h ago`, `30 d ago`."""
    for length, name in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= length:
            return f"{int(seconds // length)} {name} ago"
    return "just now"


def megabytes(size: float | None) -> str:
    """`310 MB`; a megabyte is 10⁶ bytes. One unit for a column of them."""
    return quantity(size, MEGABYTES)


def file_size(size: float) -> str:
    """Bytes of files, three digits in powers of 1000: `540 MB`, `1.09 GB`, `41 B`."""
    power = 0
    while float(f"{size:.3g}") >= 1000 and power < len(DECIMAL) - 1:
        size, power = size / 1000, power + 1
    digits = f"{size:#.3g}".rstrip(".") if power else f"{size:.0f}"
    return f"{digits} {DECIMAL[power]}"


def memory_size(size: float) -> str:
    """Bytes in binary units, as memory and caches are sold: `32 KiB`, `23.5 GiB`."""
    for unit, scale in BINARY:
        value = size / scale
        if float(f"{value:.3g}") >= 1:  # the rounded number decides, as it is what is read
            return f"{value:.0f} {unit}" if value >= 999.5 else f"{value:.3g} {unit}"
    return f"{size:g} B"


def percent(fraction: float | None) -> str:
    """`1.2 %`, `0.4 %`, `12 %`: two significant digits."""
    if fraction is None or not math.isfinite(fraction):
        return UNTOLD
    return f"{significant(fraction * 100, 2)} %"


def signed(fraction: float) -> str:
    """`+3.1 %`, `-0.4 %`: a change."""
    return f"{fraction * 100:+.1f} %"


def probability(value: float | None) -> str:
    """`.0312`, `< .0001`, `1`."""
    if value is None:
        return UNTOLD
    if value > 0.9999:
        return "1"
    return "< .0001" if value < 1e-4 else f"{value:.4f}".removeprefix("0")


def difference(fraction: float) -> str:
    """A setting as it was set: `2 %`, `0.5 %`."""
    return f"{fraction * 100:g} %"


def factor(ratio: float | None) -> str:
    """`0.563×`."""
    return f"{significant(ratio)}×" if told(ratio) else UNTOLD


def count(number: int, one: str, many: str = "") -> str:
    """`1 round`, `12 rounds`, `1,203 samples`."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def span(values: Iterable[float | None], digits: int = 3) -> str:
    """`3`, `10 to 40`, or `–`: the least and the most of the values."""
    present = sorted(value for value in values if value is not None and math.isfinite(value))
    if not present:
        return UNTOLD
    low, high = significant_count(present[0], digits), significant_count(present[-1], digits)
    return low if low == high else f"{low} to {high}"


def significant_count(value: float, digits: int = 3) -> str:
    """A whole number in full, any other with significant digits."""
    return f"{value:,.0f}" if value == int(value) else significant(value, digits)
