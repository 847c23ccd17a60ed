"""What this machine does to a comparison of something with itself: false verdicts, noise, and power.

From recorded rounds of one configuration in two workers, comparisons are resampled: replicates with
replacement, their rounds with replacement, the two sides exchanged at random (they are alike, so either
could have been called A). Each resampled comparison is then measured as `bakeoff ab` would: pilot, rounds
chosen by it, looks, budget. Adding a constant to its log ratios makes a slow-down of known size.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from bench.stats import noise
from bench.stats.estimates import Floats, hodges_lehmann, t_interval
from bench.stats.noise import Costs, Noise
from bench.stats.pairs import replicate_logs
from bench.stats.verdict import Word, judge_together
from bench.suite.profiles import ROUNDS, Profile

SEED = 0
FALSE: tuple[Word, ...] = ("faster", "slower")  # 'equivalent' is true of two like sides
SLOWDOWNS = (0.01, 0.03, 0.05)
LEVEL = 0.95


@dataclass(frozen=True, slots=True)
class Share:
    """`count` of `of`, with the exact binomial interval (Clopper and Pearson 1934) at 95 %."""

    count: int
    of: int

    @property
    def interval(self) -> tuple[float, float]:
        from scipy.special import betaincinv

        tail = (1 - LEVEL) / 2
        low = float(betaincinv(self.count, self.of - self.count + 1, tail)) if self.count else 0.0
        high = (
            float(betaincinv(self.count + 1, self.of - self.count, 1 - tail)) if self.count < self.of else 1.0
        )
        return low, high


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a comparison ended: the word, after how many seconds and replicates."""

    word: Word
    seconds: float
    replicates: int


@dataclass(frozen=True, slots=True)
class Power:
    """A slow-down of known size: how often it is found within the budget, and the median time it takes.

    `seconds` is None where fewer than half are found; `needed_s` is then what it would take.
    """

    slowdown: float
    found: Share
    seconds: float | None
    needed_s: float


@dataclass(frozen=True, slots=True)
class Machine:
    """What `bakeoff aa` finds.

    Attributes:
        replicates, rounds: recorded.
        noise: within and between replicates.
        bias: mean log ratio of the recorded replicates with its 95 % interval: 0 for like sides.
        costs: of a replicate and a round of two workers.
        false: verdicts of faster or slower among the resampled comparisons.
        equivalent: how many of them were proven equivalent.
        budget_s: that each of them had.
        power: for each of `SLOWDOWNS`.
    """

    replicates: int
    rounds: float
    noise: Noise
    bias: tuple[float, float, float]
    costs: Costs
    false: Share
    equivalent: Share
    budget_s: float
    power: tuple[Power, ...]


def study(
    paired: Mapping[int, Sequence[Floats]],
    costs: Costs,
    profile: Profile,
    relevant: float,
    budget_s: float,
    comparisons: int = 400,
) -> Machine | None:
    """Judges the machine from an A/A recording; None with fewer than three replicates.

    Args:
        paired: as `bench.stats.pairs.paired_rounds` gives it.
        profile: whose looks, pilot and most replicates the comparisons follow.
        budget_s: that each resampled comparison has.
    """
    seen = noise.noise(paired)
    if seen is None or len(paired) < 3:
        return None
    recorded = [part for parts in paired.values() for part in parts]
    rng = np.random.default_rng(SEED)
    setting = (costs, profile, relevant, budget_s)
    like = [resample(recorded, 0.0, *setting, rng) for _ in range(comparisons)]
    power = tuple(_power(recorded, seen, slowdown, *setting, rng, comparisons) for slowdown in SLOWDOWNS)
    return Machine(
        replicates=len(paired),
        rounds=seen.rounds,
        noise=seen,
        bias=t_interval(replicate_logs(paired), LEVEL),
        costs=costs,
        false=Share(sum(one.word in FALSE for one in like), comparisons),
        equivalent=Share(sum(one.word == "equivalent" for one in like), comparisons),
        budget_s=budget_s,
        power=power,
    )


def resample(
    recorded: Sequence[Floats],
    shift: float,
    costs: Costs,
    profile: Profile,
    relevant: float,
    budget_s: float,
    rng: np.random.Generator,
) -> Outcome:
    """One comparison as `bakeoff ab` would measure it, from recorded log ratios per round.

    Args:
        recorded: log ratios of each recorded replicate, one a round.
        shift: added to every log ratio.
    """
    logs: list[float] = []
    variances: list[float] = []
    counts: list[int] = []
    spent = 0.0
    while len(logs) < profile.replicates:
        rounds = profile.rounds
        if profile.pilot is not None and len(logs) >= profile.pilot:  # as `bench.stats.stopping` chooses them
            seen = noise.from_replicates(logs, float(np.mean(variances)), float(np.mean(counts)))
            seen = noise.tempered(seen)
            left_s, most = budget_s - spent, profile.replicates
            rounds = noise.best_rounds_within(seen, costs, *ROUNDS, left_s, len(logs), most)
        if logs and spent + costs.of(rounds) > budget_s:
            break
        source = recorded[int(rng.integers(len(recorded)))]
        sign = -1.0 if rng.random() < 0.5 else 1.0
        values = sign * rng.choice(source, rounds) + shift
        logs.append(hodges_lehmann(values))
        variances.append(noise.jackknife_variance(values))
        counts.append(rounds)
        spent += costs.of(rounds)
        if len(logs) in profile.looks[:-1]:
            verdict, look = judge_together({"": logs}, relevant, profile.looks)[""]
            if look is not None:
                return Outcome(verdict.word, spent, len(logs))
    verdict, _ = judge_together({"": logs}, relevant, profile.looks)[""]
    return Outcome(verdict.word, spent, len(logs))


def _power(
    recorded: Sequence[Floats],
    seen: Noise,
    slowdown: float,
    costs: Costs,
    profile: Profile,
    relevant: float,
    budget_s: float,
    rng: np.random.Generator,
    comparisons: int,
) -> Power:
    """`relevant` is lowered to the slow-down where that is smaller: it could never be found otherwise."""
    least = min(relevant, slowdown / 2)
    setting = (costs, profile, least, budget_s)
    found = [resample(recorded, math.log1p(slowdown), *setting, rng) for _ in range(comparisons)]
    hits = [one.seconds for one in found if one.word == "slower"]
    share = Share(len(hits), comparisons)
    times = sorted(one.seconds if one.word == "slower" else math.inf for one in found)
    middle = times[len(times) // 2]
    rounds = noise.best_rounds(seen, costs, *ROUNDS)
    needed = noise.replicates_for(seen, rounds, slowdown, 1 - 0.05 / len(profile.looks))
    return Power(slowdown, share, None if math.isinf(middle) else middle, needed * costs.of(rounds))
