"""Welch's t test on the logarithms of ratios: two sets of runs that were not measured together."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from bench.interfaces.estimate import Estimate
from bench.stats.estimates import Floats
from bench.stats.significance import ALPHA, LEAST, least_found


@dataclass(frozen=True, slots=True)
class Welch:
    """A difference of two means of logarithms, new − base.

    Attributes:
        difference: of the means.
        error: its standard error; infinite where a side has fewer than two values.
        freedom: Welch and Satterthwaite's degrees of freedom.
        n: values on both sides.
    """

    difference: float
    error: float
    freedom: float
    n: int

    @property
    def p(self) -> float:
        """Two-sided p of no difference; 1 where there is no variance to judge by."""
        if self.error == 0:
            return 0.0 if self.difference else 1.0
        return 2 * self._tail(abs(self.difference) / self.error) if math.isfinite(self.error) else 1.0

    def tost_p(self, relevant: float) -> float:
        """p of the two one-sided tests that the ratio lies within 1/(1 + relevant) and 1 + relevant."""
        margin = math.log1p(relevant)
        if self.error == 0:
            return 0.0 if abs(self.difference) < margin else 1.0
        return self._tail((margin - abs(self.difference)) / self.error) if math.isfinite(self.error) else 1.0

    def ratio(self, level: float = 1 - ALPHA) -> Estimate:
        """New over base with its interval."""
        value = math.exp(self.difference)
        if not math.isfinite(self.error):
            return Estimate(value, None, None, self.n)
        half = self._quantile((1 + level) / 2) * self.error
        return Estimate(value, math.exp(self.difference - half), math.exp(self.difference + half), self.n)

    def detectable(self, alpha: float = ALPHA) -> float | None:
        """The difference, as a fraction, that a test at `alpha` on this much data finds with 80 % power."""
        return least_found(self.error, self.freedom, alpha) if math.isfinite(self.error) else None

    def _quantile(self, share: float) -> float:
        from scipy.special import stdtrit  # scipy.stats takes seconds to import

        return float(stdtrit(self.freedom, share)) if self.error else 0.0

    def _tail(self, t: float) -> float:
        from scipy.special import stdtr

        return float(stdtr(self.freedom, -t))


def welch(new: Sequence[float], base: Sequence[float]) -> Welch:
    """Compares the means of two independent sets of unequal variance (Welch 1947).

    The variance of the difference is the sum of the means' variances s²/n; its degrees of freedom are
    Satterthwaite's, (Σ s²/n)² / Σ ((s²/n)² / (n − 1)).
    """
    sides: list[Floats] = [np.asarray(side, dtype=np.float64) for side in (new, base)]
    n = sum(side.size for side in sides)
    if min(side.size for side in sides) == 0:
        return Welch(0.0, math.inf, 1.0, n)
    difference = float(sides[0].mean() - sides[1].mean())
    if min(side.size for side in sides) < LEAST:
        return Welch(difference, math.inf, 1.0, n)
    own = [float(side.var(ddof=1) / side.size) for side in sides]
    return pooled(difference, own, [side.size - 1 for side in sides], n)


def cautious(new: Sequence[float], base: Sequence[float]) -> Welch:
    """`welch` with no more degrees of freedom than two sides as small as the smaller would have.

    Welch's own are too many where three values stand against many of like scatter: at 3 against 20 a test at
    5 % is wrong in 7.4 % of like pairs, and so in 5.4 % (simulated).
    """
    found = welch(new, base)
    return replace(found, freedom=min(found.freedom, 2.0 * max(1, min(len(new), len(base)) - 1)))


def pooled(difference: float, variances: Sequence[float], freedoms: Sequence[int], n: int) -> Welch:
    """A difference whose variance is the sum of these, each estimated with its own degrees of freedom."""
    total = sum(variances)
    if total == 0 or not math.isfinite(total):
        return Welch(difference, math.sqrt(total), float(max(1, sum(freedoms))), n)
    freedom = total**2 / sum(v**2 / f for v, f in zip(variances, freedoms, strict=True))
    return Welch(difference, math.sqrt(total), freedom, n)
