"""How noisy a comparison is here, and what that asks for: rounds, replicates, time.

Two sources (Kalibera and Jones 2013): the rounds of a replicate scatter, and replicates of fresh
processes differ beyond that. The variance of a replicate's log ratio is between² + within² / rounds.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache

import numpy as np
from numpy.typing import NDArray

from bench.stats.estimates import Floats, hodges_lehmann

# Of a comparison that nothing is known about: what the pairs of docs/logs/verdicts.jsonl showed on a
# virtual machine of two cores with neighbours.
ASSUMED_WITHIN, ASSUMED_BETWEEN = 0.10, 0.01
PRIOR = 4


@dataclass(frozen=True, slots=True)
class Noise:
    """Standard deviations of a log ratio.

    Attributes:
        within: of one round, as far as the Hodges-Lehmann estimate feels it: `within² / rounds` is the
            variance of a replicate's estimate about that replicate's own truth.
        between: of the replicates' truths.
        rounds: mean number of rounds of a replicate it was seen with; 0 where it is assumed.
        replicates: how many it was seen with.
    """

    within: float
    between: float
    rounds: float = 0.0
    replicates: int = 0

    def of_replicate(self, rounds: float) -> float:
        """Standard deviation of the log ratio of a replicate of `rounds`."""
        return math.hypot(self.between, self.within / math.sqrt(rounds))


ASSUMED = Noise(ASSUMED_WITHIN, ASSUMED_BETWEEN)


def noise(paired: Mapping[int, Sequence[Floats]]) -> Noise | None:
    """From log ratios per round: replicate → one array a part. None under two replicates.

    within² / rounds is the jackknife variance of each replicate's Hodges-Lehmann estimate; between² is
    what the replicates scatter beyond its mean, at least 0.
    """
    parts = [part for found in paired.values() for part in found if part.size > 1]
    estimates = [float(np.mean([hodges_lehmann(p) for p in found])) for found in paired.values()]
    if len(estimates) < 2 or not parts:
        return None
    own = float(np.mean([jackknife_variance(part) for part in parts]))
    rounds = float(np.mean([part.size for part in parts]))
    # A case with two parts in a replicate averages them.
    return from_replicates(estimates, own, rounds, parts_each=len(parts) / len(paired))


def from_replicates(
    estimates: Sequence[float], variance: float, rounds: float, parts_each: float = 1.0
) -> Noise:
    """From the log ratio of each replicate and the mean variance that its rounds give it."""
    beyond = max(0.0, float(np.var(estimates, ddof=1)) - variance / parts_each)
    return Noise(math.sqrt(variance * rounds), math.sqrt(beyond), rounds, len(estimates))


def tempered(seen: Noise) -> Noise:
    """What to choose rounds by: `between` averaged with what is assumed, which counts as `PRIOR` replicates.

    A few replicates say little of how replicates scatter, and where they show nothing a replicate would
    be given all the rounds there may be.
    """
    freedom = max(0, seen.replicates - 1)
    square = (freedom * seen.between**2 + PRIOR * ASSUMED_BETWEEN**2) / (freedom + PRIOR)
    return replace(seen, between=math.sqrt(square))


def jackknife_variance(values: Floats) -> float:
    """Variance of the Hodges-Lehmann estimate of these values, by leaving each out in turn (Tukey 1958).

    It errs upwards (Efron and Stein 1981): for normal values by 16 % with 10, 9 % with 20 and 4 % with 40.
    """
    n = values.size
    rows, columns = np.triu_indices(n)
    left_out = np.median(((values[rows] + values[columns]) / 2)[_pairs_without(n)], axis=1)
    return float((n - 1) / n * np.sum((left_out - left_out.mean()) ** 2))


@cache
def _pairs_without(n: int) -> NDArray[np.intp]:
    """[n, n (n - 1) / 2]: row i holds the places, among the pairs (j ≤ k), of those without value i."""
    rows, columns = np.triu_indices(n)
    return np.stack([np.flatnonzero((rows != i) & (columns != i)) for i in range(n)])


def half_width(noise: Noise, rounds: float, replicates: int, level: float = 0.95) -> float:
    """Expected half width of the ratio's interval, as a fraction; infinite under two replicates."""
    from scipy.special import stdtrit

    if replicates < 2:
        return math.inf
    quantile = float(stdtrit(replicates - 1, (1 + level) / 2))
    return math.expm1(quantile * noise.of_replicate(rounds) / math.sqrt(replicates))


def replicates_for(noise: Noise, rounds: float, width: float, level: float = 0.95, most: int = 1000) -> int:
    """Least number of replicates whose expected half width is at most `width`; `most` if none is."""
    return next((n for n in range(2, most) if half_width(noise, rounds, n, level) <= width), most)


@dataclass(frozen=True, slots=True)
class Costs:
    """Seconds: of a replicate before and after its rounds (start, load, verify, warm up), and of a round."""

    replicate_s: float
    round_s: float

    def of(self, rounds: float) -> float:
        return self.replicate_s + rounds * self.round_s


def best_rounds(noise: Noise, costs: Costs, least: int, most: int) -> int:
    """Rounds a replicate with which a given time buys the narrowest interval.

    Minimises (between² + within² / rounds) × (replicate_s + rounds × round_s): rounds =
    √(replicate_s / round_s) × within / between (Kalibera and Jones 2013, section 6), kept in bounds.
    """
    if noise.between <= 0 or costs.round_s <= 0:
        return most
    ideal = math.sqrt(costs.replicate_s / costs.round_s) * noise.within / noise.between
    return int(min(max(round(ideal), least), most))


def best_rounds_within(
    noise: Noise, costs: Costs, least: int, most: int, left_s: float, done: int, replicates: int
) -> int:
    """Rounds a replicate with which the interval at the end of `left_s` is narrowest.

    Unlike `best_rounds` this feels that few replicates make a wide t interval however good each is.

    Args:
        done: replicates that there are already, taken to be as good as those to come.
        replicates: at most so many in all.
    """

    def width(rounds: int) -> float:
        reached = min(replicates, done + int(left_s / costs.of(rounds)))
        return half_width(noise, rounds, reached) if reached > done else math.inf

    return min(range(least, most + 1), key=width)
