"""p values of paired log ratios, what could have been found, and corrections for many comparisons."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from bench.stats.estimates import Floats

ALPHA = 0.05
POWER = 0.8
LEAST = 2  # replicates without which there is no interval
MOST_LOG = 700.0  # e to more is no float


def p_value(logs: ArrayLike) -> float:
    """Two-sided p of Student's one-sample t test against 0; 1 where there is no variance to judge by."""
    mean, error, n = _mean_and_error(logs)
    if n < LEAST:
        return 1.0
    if error == 0:
        return 0.0 if mean else 1.0
    return 2 * _upper_tail(abs(mean) / error, n - 1)


def tost_p(logs: ArrayLike, relevant: float) -> float:
    """p of the two one-sided tests that the ratio lies within 1/(1 + relevant) and 1 + relevant.

    Schuirmann (1987): the larger of the two; under α exactly if the 1 − 2α interval lies inside.
    """
    mean, error, n = _mean_and_error(logs)
    margin = math.log1p(relevant)
    if n < LEAST:
        return 1.0
    if error == 0:
        return 0.0 if abs(mean) < margin else 1.0
    return _upper_tail((margin - abs(mean)) / error, n - 1)


def detectable(logs: ArrayLike, alpha: float = ALPHA) -> float | None:
    """The difference, as a fraction, that a test at `alpha` on this much data finds with 80 % power."""
    _, error, n = _mean_and_error(logs)
    return least_found(error, n - 1, alpha) if n >= LEAST else None


def least_found(error: float, freedom: float, alpha: float) -> float:
    """The difference, as a fraction, that a t test at `alpha` finds with 80 % power, by the noncentral t.

    Args:
        error: standard error of the mean logarithm, as it was seen with so many degrees of `freedom`. Few
            values more often show too little scatter than too much: it is divided by what its median is of
            the true one, so that the result is as often too large as too small.
    """
    from scipy.special import chdtri, nctdtrinc, stdtrit

    median = math.sqrt(chdtri(freedom, 0.5) / freedom)
    errors = float(nctdtrinc(freedom, 1 - POWER, stdtrit(freedom, 1 - alpha / 2)))
    least = errors * error / median
    return math.expm1(least) if least < MOST_LOG else math.inf


def benjamini_hochberg(p: Sequence[float]) -> list[float]:
    """Adjusted p values that keep the false discovery rate (Benjamini and Hochberg 1995)."""
    order = np.argsort(p, kind="stable")[::-1]  # the largest first
    adjusted, least = [0.0] * len(p), 1.0
    for rank, index in zip(range(len(p), 0, -1), order, strict=True):
        least = min(least, p[index] * len(p) / rank)
        adjusted[index] = least
    return adjusted


def holm(p: Sequence[float]) -> list[float]:
    """Adjusted p values that keep the chance of any false one (Holm 1979)."""
    adjusted, most = [0.0] * len(p), 0.0
    for rank, index in enumerate(np.argsort(p, kind="stable")):
        most = max(most, min(1.0, p[index] * (len(p) - rank)))
        adjusted[index] = most
    return adjusted


def _mean_and_error(logs: ArrayLike) -> tuple[float, float, int]:
    x: Floats = np.asarray(logs, dtype=np.float64)
    if x.size < LEAST:
        return (float(x.mean()) if x.size else 0.0), math.inf, int(x.size)
    return float(x.mean()), float(x.std(ddof=1) / math.sqrt(x.size)), int(x.size)


def _upper_tail(t: float, freedom: int) -> float:
    from scipy.special import stdtr  # scipy.stats takes seconds to import

    return float(stdtr(freedom, -t))
