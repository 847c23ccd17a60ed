"""Runs that were not measured together, judged through the anchor. The unit is the run.

The anchor lives in every part, so a case's ratio to it leaves out how fast the machine was that day. What is
left besides the software differs from run to run, and only several runs on each side tell by how much.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from bench.stats.significance import ALPHA, benjamini_hochberg
from bench.stats.verdict import Verdict, Word, why_open, word_of
from bench.stats.welch import Welch, cautious, pooled
from bench.text.numbers import count, percent

ENOUGH = 3  # runs on each side, for a word that is proven
Run = Sequence[float]  # the log ratio to the anchor of each replicate
Sides = tuple[Sequence[Run], Sequence[Run]]  # BASE's runs, NEW's runs


def judge_runs(
    sides: Mapping[str, Sides], relevant: float, weakened: Mapping[str, str] | None = None
) -> dict[str, Verdict]:
    """The verdicts on comparisons across runs, made together.

    With at least `ENOUGH` runs on each side Welch's t test on one value a run, p adjusted by
    Benjamini-Hochberg. With fewer, how runs differ is not known: `suspect` at most, where the intervals
    within the runs leave 1 out and the difference matters.

    Args:
        sides: comparison → the runs of both sides, each with at least one replicate.
        relevant: the least difference that matters, as a fraction.
        weakened: comparison → why nothing may be proven however many runs there are (another CPU), or ''.
    """
    tests = {key: between_runs(runs) for key, runs in sides.items() if enough(runs)}
    adjusted = benjamini_hochberg([test.p for test in tests.values()])
    weak = weakened or {}
    proved = {
        key: _proved(test, p, len(tests), relevant, weak.get(key, ""))
        for (key, test), p in zip(tests.items(), adjusted, strict=True)
    }
    return {
        key: proved.get(key) or _suspected(runs, relevant, weak.get(key, "")) for key, runs in sides.items()
    }


def units(runs: Sides) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """One value a run: the mean over its replicates."""
    base, new = (tuple(float(np.mean(run)) for run in side) for side in runs)
    return base, new


def enough(runs: Sides) -> bool:
    return min(map(len, runs)) >= ENOUGH


def between_runs(runs: Sides) -> Welch:
    """The difference, new − base, with the error that the runs show among themselves."""
    base, new = units(runs)
    return cautious(new, base)


def within_runs(runs: Sides) -> Welch:
    """The difference with the error that the replicates within the runs show; what runs differ by beyond
    that is not in it."""
    base, new = units(runs)
    variances = [_variance(run) / len(side) ** 2 for side in runs for run in side]
    freedoms = [max(1, len(run) - 1) for side in runs for run in side]
    return pooled(float(np.mean(new) - np.mean(base)), variances, freedoms, len(base) + len(new))


def _variance(run: Run) -> float:
    """Of the mean over the replicates."""
    return float(np.var(run, ddof=1) / len(run)) if len(run) > 1 else math.inf


def _proved(test: Welch, adjusted: float, among: int, relevant: float, weakened: str) -> Verdict:
    ratio = test.ratio()
    word = word_of(test.difference, adjusted, test.tost_p(relevant), relevant, ALPHA)
    reason = why_open(ratio, relevant, (test.p, adjusted), ALPHA, among) if word == "inconclusive" else ""
    found = Verdict(word, ratio, 1 - ALPHA, test.p, adjusted, test.detectable(), reason)
    if not weakened:
        return found
    if word == "inconclusive":
        return replace(found, reason=f"{reason}; {weakened}")
    weaker: Word = "inconclusive" if word == "equivalent" else "suspect"
    return replace(found, word=weaker, reason=f"{_would_be(test, word)}, but {weakened}")


def _suspected(runs: Sides, relevant: float, weakened: str) -> Verdict:
    base, new = map(len, runs)
    few = f"{count(base, 'run')} against {new}, and it takes {ENOUGH} on each side to prove a difference"
    test = within_runs(runs)
    ratio = test.ratio()
    but = f"{few}; {weakened}" if weakened else few
    if ratio.low is None or ratio.high is None:
        return Verdict("inconclusive", ratio, reason=f"a run of one replicate has no interval; {but}")
    leaves_one_out = ratio.low > 1 or ratio.high < 1
    if leaves_one_out and abs(test.difference) >= math.log1p(relevant):
        word = "slower" if test.difference > 0 else "faster"
        return Verdict("suspect", ratio, reason=f"{_would_be(test, word)} within the runs, but {but}")
    return Verdict("inconclusive", ratio, reason=but)


def _would_be(test: Welch, word: str) -> str:
    if word == "equivalent":
        return "as fast, going by the anchor"
    return f"{word} by {percent(abs(math.expm1(test.difference)))}"
