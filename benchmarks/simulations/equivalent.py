"""What `ab` says of a difference that is known, looked at after 6, 12 and 24 replicates."""

from __future__ import annotations

import numpy as np

from bench.stats.significance import ALPHA, p_value
from bench.stats.verdict import Word, judge_together
from bench.suite.profiles import LOOKS
from benchmarks.simulations import noisy
from benchmarks.simulations.table import PERCENT, Table

RELEVANT = 0.02
WORDS: tuple[Word, ...] = ("faster", "slower", "equivalent", "inconclusive")
FEW = 3


def simulate(repeats: int = 400, seed: int = 0) -> Table:
    """The last column is the fallacy: to call equal what three replicates do not prove different."""
    rng = np.random.default_rng(seed)
    logs = noisy.logs(rng, (repeats, LOOKS[-1]))
    rows = {}
    for truth in (0.0, 0.01, 0.02, 0.03, 0.05):
        shifted = logs + np.log1p(truth)
        words = [judge_together({"A": list(one)}, RELEVANT, LOOKS)["A"][0].word for one in shifted]
        fallacy = np.mean([p_value(one[:FEW]) >= ALPHA for one in shifted])
        rows[f"{truth:+.0%}"] = (*(words.count(word) / repeats for word in WORDS), float(fallacy))
    return Table("slower by", dict.fromkeys([*WORDS, "p ≥ .05 of 3"], PERCENT), rows)
