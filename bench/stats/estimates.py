"""Estimates with intervals. Plain functions on arrays; the rules are DESIGN's 'Statistics'."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from bench.interfaces.estimate import Estimate

Floats = NDArray[np.float64]


def hodges_lehmann(values: ArrayLike) -> float:
    """Median of the Walsh averages (x_i + x_j) / 2, i ≤ j (Hodges and Lehmann 1963)."""
    x: Floats = np.asarray(values, dtype=np.float64)
    rows, columns = np.triu_indices(x.size)
    return float(np.median((x[rows] + x[columns]) / 2))


def t_interval(values: ArrayLike, level: float = 0.95) -> tuple[float, float, float]:
    """Mean and Student's t interval of independent values; the interval is infinite for one value."""
    from scipy.special import stdtrit  # scipy.stats takes seconds to import

    x: Floats = np.asarray(values, dtype=np.float64)
    mean = float(x.mean())
    if x.size < 2:
        return mean, -np.inf, np.inf
    half = float(stdtrit(x.size - 1, (1 + level) / 2) * x.std(ddof=1) / np.sqrt(x.size))
    return mean, mean - half, mean + half


def log_estimate(values: ArrayLike, level: float = 0.95) -> Estimate:
    """Geometric mean of positive values with the interval of the mean of their logarithms."""
    x: Floats = np.asarray(values, dtype=np.float64)
    if x.size == 0:
        return Estimate(None, None, None, 0)
    mean, low, high = t_interval(np.log(x), level)
    if x.size < 2:
        return Estimate(float(np.exp(mean)), None, None, 1)
    return Estimate(float(np.exp(mean)), float(np.exp(low)), float(np.exp(high)), int(x.size))


def ratio_estimate(per_replicate: ArrayLike, level: float = 0.95) -> Estimate:
    """Ratio from one log ratio a replicate: exp of their mean with its t interval."""
    x: Floats = np.asarray(per_replicate, dtype=np.float64)
    return log_estimate(np.exp(x), level)
