"""Durations, sizes and percentages as people write them, read. How they are shown: `bench.text.numbers`.

Standard library alone.
"""

from __future__ import annotations

import re

_DURATION = re.compile(r"(?:(\d+(?:\.\d+)?)h)?(?:(\d+(?:\.\d+)?)m)?(?:(\d+(?:\.\d+)?)s)?", re.ASCII)
_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([kmgt]?)(i?)b?", re.ASCII | re.IGNORECASE)
_AGE = re.compile(r"(\d+(?:\.\d+)?)\s*([hdw])", re.ASCII)
_HOURS = {"h": 1, "d": 24, "w": 7 * 24}
_PERCENT = re.compile(r"(\d+(?:\.\d+)?)\s*(%?)", re.ASCII)
_POWERS = {"": 0, "k": 1, "m": 2, "g": 3, "t": 4}


def seconds(text: str) -> float:
    """`90s`, `10m`, `1h30m`, or a plain number of seconds. ValueError for anything else, and for nothing."""
    match = _DURATION.fullmatch(text.strip().replace(" ", ""))
    if match and any(match.groups()):
        hours, minutes, rest = (float(group or 0) for group in match.groups())
        value = hours * 3600 + minutes * 60 + rest
    else:
        try:
            value = float(text)
        except ValueError:
            value = 0.0
    if not 0 < value < 1e9:
        raise ValueError(f"{text!r} is no duration; write it like 10m, 90s or 1h30m")
    return value


def size(text: str) -> int:
    """Bytes of `8GB` (powers of 1000), `8GiB` (powers of 1024) or a plain number. ValueError for others."""
    match = _SIZE.fullmatch(text.strip())
    value = int(float(match[1]) * (1024 if match[3] else 1000) ** _POWERS[match[2].lower()]) if match else 0
    if value <= 0:
        raise ValueError(f"{text!r} is no size; write it like 8GB, 512MiB or in bytes")
    return value


def age(text: str) -> float:
    """Seconds of `12h`, `30d` or `6w`. ValueError for others: a bare number could be hours or days."""
    match = _AGE.fullmatch(text.strip())
    if not match or not float(match[1]):
        raise ValueError(f"{text!r} is no age; write it like 30d, 12h or 6w")
    return float(match[1]) * _HOURS[match[2]] * 3600


def percent(text: str) -> float:
    """The fraction that `5%`, `5 %` or `5` means: 0.05.

    ValueError for others, and for a number under 1 without the sign: 0.05 may be meant as 5 %.
    """
    match = _PERCENT.fullmatch(text.strip())
    value = float(match[1]) if match else 0.0
    if match and 0 < value < 1 and not match[2]:
        raise ValueError(f"{text!r} could mean {value:g} % or {value * 100:g} %; write it with the sign")
    if not 0 < value <= 1000:
        raise ValueError(f"{text!r} is no percentage; write it like 5% or 2.5%")
    return value / 100
