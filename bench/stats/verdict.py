"""From log ratios, one a replicate, to a word that can be defended. The rules are DESIGN's 'Statistics'.

Everything here works on the natural logarithm of a ratio of latencies: under 0 is faster. A difference that
matters is symmetric there, so that exchanging the two sides exchanges the words and nothing else.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from bench.interfaces.estimate import Estimate
from bench.stats.estimates import hodges_lehmann, ratio_estimate
from bench.stats.significance import ALPHA, LEAST, benjamini_hochberg, detectable, p_value, tost_p
from bench.text.numbers import count, difference, signed

Word = Literal["faster", "slower", "equivalent", "inconclusive", "suspect", "not comparable"]
PROVEN: tuple[Word, ...] = ("faster", "slower", "equivalent")
MIDDLE_FROM = 6  # replicates without which a Hodges-Lehmann estimate says little more than the mean


@dataclass(frozen=True, slots=True)
class Verdict:
    """What may be said of a ratio.

    Attributes:
        word: `faster`, `slower`, `equivalent` are proven; the others say why nothing is.
        ratio: with the interval at `level`, over `n` replicates (across runs: over runs).
        level: 1 − the share of α that this look may spend.
        p: two-sided, of a ratio of 1; `adjusted` for all comparisons made together.
        detectable: the least difference, as a fraction, that this much data finds 8 times in 10.
        reason: why the word is no stronger, '' where it is proven.
        middle: the ratio by the Hodges-Lehmann estimate over replicates, from 6 on: far from `ratio`, a few
            replicates stand apart from the others.
    """

    word: Word
    ratio: Estimate
    level: float = 1 - ALPHA
    p: float | None = None
    adjusted: float | None = None
    detectable: float | None = None
    reason: str = ""
    middle: float | None = None

    @property
    def proven(self) -> bool:
        return self.word in PROVEN

    @property
    def alone(self) -> bool:
        """Whether it differs from 1 by its own p, and no longer once that is adjusted."""
        alpha = 1 - self.level
        return self.p is not None and self.adjusted is not None and self.p < alpha <= self.adjusted


def judge(
    logs: Sequence[float],
    relevant: float,
    *,
    alpha: float = ALPHA,
    adjusted: float | None = None,
    among: int = 1,
) -> Verdict:
    """The verdict on one comparison.

    Args:
        logs: log ratio of each replicate.
        relevant: the least difference that matters, as a fraction.
        alpha: what this look may spend.
        adjusted: p after adjustment for other comparisons; its own p if there are none.
        among: how many comparisons it was adjusted for.
    """
    p = p_value(logs)
    decided = p if adjusted is None else adjusted
    ratio = ratio_estimate(logs, 1 - alpha)
    mean = float(np.mean(logs)) if len(logs) else 0.0
    word = word_of(mean, decided, tost_p(logs, relevant), relevant, alpha)
    reason = why_open(ratio, relevant, (p, decided), alpha, among) if word == "inconclusive" else ""
    if len(logs) < LEAST:
        return Verdict(word, ratio, 1 - alpha, reason=reason)
    middle = math.exp(hodges_lehmann(logs)) if len(logs) >= MIDDLE_FROM else None
    return Verdict(word, ratio, 1 - alpha, p, decided, detectable(logs, alpha), reason, middle)


def word_of(mean: float, p: float, equivalence_p: float, relevant: float, alpha: float) -> Word:
    """The word for a mean log ratio, from the p values of a difference and of equivalence."""
    if p < alpha and abs(mean) >= math.log1p(relevant):
        return "slower" if mean > 0 else "faster"
    return "equivalent" if equivalence_p < alpha else "inconclusive"


def why_open(
    ratio: Estimate, relevant: float, p: tuple[float, float], alpha: float = ALPHA, among: int = 1
) -> str:
    """Why a comparison is inconclusive.

    The interval is that of this comparison alone. Where it leaves 1 out and the word says nothing, what is
    missing is the p adjusted for all that were made together, and the reason says so by its numbers.

    Args:
        ratio: with the interval at 1 − `alpha`.
        p: its own, and after adjustment for `among` comparisons.
    """
    own, adjusted = p
    if ratio.low is None or ratio.high is None or not math.isfinite(ratio.high):
        return f"{count(ratio.n, 'replicate')}: no interval yet"
    if adjusted < alpha:
        return f"it differs, but whether by {difference(relevant)} is open"
    if own < alpha:
        return (
            f"it differs by itself (p {own:.2g}), not among {count(among, 'comparison')}"
            f" (p {adjusted:.2g} adjusted, and it takes under {alpha:.2g})"
        )
    return f"from {signed(ratio.low - 1)} to {signed(ratio.high - 1)} is possible"


def judge_together(
    logs: Mapping[str, Sequence[float]], relevant: float, looks: Sequence[int]
) -> dict[str, tuple[Verdict, int | None]]:
    """The verdicts on comparisons made together, looked at several times.

    At each look (a number of replicates) but the last every open comparison is judged with its share of α,
    p adjusted by Benjamini-Hochberg over all of them; a proven one is settled and keeps that verdict. The
    last look is the end, however many replicates there are by then: what is open is judged on all it has.
    For the others a settled comparison counts with the p that settled it, one that has not come so far with
    1: so no replicate that comes later opens again what is settled.

    Args:
        logs: comparison → log ratio of each replicate, in their order.
        looks: the numbers of replicates at which may be looked; α is shared among them equally.

    Returns:
        comparison → its verdict, and the look that settled it (None: open until the end).
    """
    alpha = ALPHA / len(looks)
    settled: dict[str, tuple[Verdict, int | None]] = {}
    for look in looks[:-1]:
        seen = {key: found[:look] for key, found in logs.items() if len(found) >= look}
        judged = _look(logs, seen, settled, relevant, alpha)
        settled |= {key: (verdict, look) for key, verdict in judged.items() if verdict.proven}
    end = _look(logs, logs, settled, relevant, alpha)
    return {key: settled[key] if key in settled else (end[key], None) for key in logs}


def _look(
    keys: Iterable[str],
    seen: Mapping[str, Sequence[float]],
    settled: Mapping[str, tuple[Verdict, int | None]],
    relevant: float,
    alpha: float,
) -> dict[str, Verdict]:
    """The verdicts on what has been seen and is open."""
    p = {key: p_value(seen[key]) if key in seen else 1.0 for key in keys}
    p |= {key: verdict.p for key, (verdict, _) in settled.items() if verdict.p is not None}
    adjusted = dict(zip(p, benjamini_hochberg(list(p.values())), strict=True))
    return {
        key: judge(found, relevant, alpha=alpha, adjusted=adjusted[key], among=len(p))
        for key, found in seen.items()
        if key not in settled
    }
