"""A gate: closed by a proven regression, and by a case that NEW has lost.

Five words: `regression` is proven, `pass` means that none was found and that one of the gate's size would
have been, `cannot tell` that it might well have been missed; `gone` and `broken` are for a case that BASE
measured and NEW did not measure, or measured wrongly. Pure functions of log ratios, new over base.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from bench.interfaces.estimate import UNKNOWN, Estimate
from bench.stats.estimates import ratio_estimate
from bench.stats.significance import ALPHA, detectable, holm, p_value
from bench.stats.welch import cautious
from bench.text.numbers import count, difference, percent, signed

GateWord = Literal["pass", "regression", "cannot tell", "gone", "broken"]
Answer = Literal["pass", "fail"]


@dataclass(frozen=True, slots=True)
class Rules:
    """When a gate closes: at a proven slow-down of `threshold` (a fraction), and on words that `fail`."""

    threshold: float
    inconclusive: Answer = "pass"
    gone: Answer = "fail"
    broken: Answer = "fail"

    @property
    def closing(self) -> frozenset[GateWord]:
        """The words that close it."""
        asked: dict[GateWord, Answer] = {
            "cannot tell": self.inconclusive,
            "gone": self.gone,
            "broken": self.broken,
        }
        return frozenset({"regression", *(word for word, answer in asked.items() if answer == "fail")})


@dataclass(frozen=True, slots=True)
class GateResult:
    """What a gate says of one comparison.

    Attributes:
        ratio: new over base, its interval at the level of the look.
        p: two-sided, of a ratio of 1, adjusted for all comparisons of the gate (Holm); None if not judged.
        detectable: the least slow-down, as a fraction, that the gate finds here 8 times in 10, whatever the
            other comparisons do; None where there is too little to say.
        reason: a sentence.
        look: the number of replicates that settled it, None if it was open until the end.
    """

    word: GateWord
    ratio: Estimate = UNKNOWN
    p: float | None = None
    detectable: float | None = None
    reason: str = ""
    look: int | None = None


def gate(
    logs: Mapping[str, Sequence[float]], threshold: float, looks: Sequence[int]
) -> dict[str, GateResult]:
    """Judges comparisons that were measured in turns.

    At each look but the last, with its share of α, a proven regression and a proven pass (the whole interval
    under the gate) are settled and stay so; what is open is judged at the end on all that it has.

    Args:
        logs: comparison → log ratio of each replicate.
        threshold: the least slow-down that closes the gate, as a fraction.
        looks: the numbers of replicates at which may be looked; α is shared among them equally.
    """
    alpha = ALPHA / len(looks)
    settled: dict[str, GateResult] = {}
    for look in looks[:-1]:
        for key, found in _look(logs, look, threshold, alpha).items():
            if key not in settled and len(logs[key]) >= look and _proven(found, threshold):
                settled[key] = found
    return _look(logs, None, threshold, alpha) | settled


def gate_runs(
    units: Mapping[str, tuple[Sequence[float], Sequence[float]]], threshold: float
) -> dict[str, GateResult]:
    """Judges comparisons across runs by Welch's t test.

    Args:
        units: comparison → the log ratios to the anchor of BASE's runs and of NEW's, one a run.
        threshold: the least slow-down that closes the gate, as a fraction.
    """
    alone = ALPHA / max(1, len(units))
    tests = {key: cautious(new, base) for key, (base, new) in units.items()}
    adjusted = holm([test.p for test in tests.values()])
    return {
        key: _judge(test.ratio(), p, test.detectable(alone), threshold, ALPHA, among=len(tests))
        for (key, test), p in zip(tests.items(), adjusted, strict=True)
    }


def cannot_tell(reason: str, ratio: Estimate = UNKNOWN) -> GateResult:
    """For what cannot be judged at all: not comparable, too few runs."""
    return GateResult("cannot tell", ratio, reason=reason)


def closed(results: Collection[GateResult], rules: Rules) -> bool:
    """Whether any of the results closes the gate; with none at all it cannot tell."""
    words = {result.word for result in results} or {"cannot tell"}
    return not rules.closing.isdisjoint(words)


def _look(
    logs: Mapping[str, Sequence[float]], replicates: int | None, threshold: float, alpha: float
) -> dict[str, GateResult]:
    seen = {key: found[:replicates] for key, found in logs.items()}
    adjusted = holm([p_value(found) for found in seen.values()])
    alone = alpha / max(1, len(seen))  # Holm's first step: under it whatever the others do
    return {
        key: _judge(
            ratio_estimate(found, 1 - alpha),
            p,
            detectable(found, alone),
            threshold,
            alpha,
            among=len(seen),
            look=replicates,
        )
        for (key, found), p in zip(seen.items(), adjusted, strict=True)
    }


def _judge(
    ratio: Estimate,
    p: float,
    least: float | None,
    threshold: float,
    alpha: float,
    *,
    among: int,
    look: int | None = None,
) -> GateResult:
    """The word on one comparison of `among`; `p` is adjusted for all of them, the interval is its own."""
    if ratio.value is None or ratio.low is None or ratio.high is None:
        return GateResult("cannot tell", ratio, p, least, "too little was measured for an interval", look)
    size = difference(threshold)
    if p < alpha and ratio.value >= 1 + threshold:
        why = f"slower by {percent(ratio.value - 1)}, proven, and the gate is at {size}"
        return GateResult("regression", ratio, p, least, why, look)
    if ratio.high < 1 + threshold:
        why = f"{size} slower is ruled out: {signed(ratio.high - 1)} at most"
        return GateResult("pass", ratio, p, least, why, look)
    if least is not None and least <= threshold:
        why = f"no slow-down of {size} is proven, and {percent(least)} would have been found"
        return GateResult("pass", ratio, p, least, why, look)
    if ratio.low > 1 and p >= alpha:  # the interval leaves 1 out, and so many comparisons ask for more
        why = (
            f"slower by itself, from {signed(ratio.low - 1)} to {signed(ratio.high - 1)}, not among"
            f" {count(among, 'comparison')} (p {p:.2g} adjusted, and it takes under {alpha:.2g})"
        )
        return GateResult("cannot tell", ratio, p, least, why, look)
    why = (
        f"from {signed(ratio.low - 1)} to {signed(ratio.high - 1)} is possible;"
        f" this much data finds {percent(least)} and more, the gate is at {size}"
    )
    return GateResult("cannot tell", ratio, p, least, why, look)


def _proven(found: GateResult, threshold: float) -> bool:
    high = found.ratio.high
    return found.word == "regression" or (high is not None and math.isfinite(high) and high < 1 + threshold)
