"""Four cases, one the best by 1 %: how often it has the fastest figure, and how often it is named."""

from __future__ import annotations

import math

import numpy as np

from bench.stats.estimates import Floats
from bench.stats.verdict import judge_together
from bench.suite.profiles import LOOKS
from benchmarks.simulations import noisy
from benchmarks.simulations.table import PERCENT, Table

TRUTHS = np.log([1.0, 1.01, 1.03, 1.10])
RELEVANT = 0.02


def simulate(repeats: int = 200, seed: int = 0) -> Table:
    rng = np.random.default_rng(seed)
    rows = {}
    for replicates, looks in ((3, (3,)), (6, (6,)), (24, LOOKS)):
        own = noisy.logs(rng, (repeats, len(TRUTHS), replicates)) / math.sqrt(2)
        found = [_named(one, looks) for one in own + TRUTHS[:, None]]
        rows[str(replicates)] = (
            float(np.mean([winner == 0 for winner, _ in found])),
            float(np.mean([0 in (winner, *tied) for winner, tied in found])),
            float(np.mean([1 + len(tied) for _, tied in found])),
        )
    columns = {
        "fastest figure is the best": PERCENT,
        "named set holds the best": PERCENT,
        "cases named": ".1f",
    }
    return Table("replicates", columns, rows)


def _named(logs: Floats, looks: tuple[int, ...]) -> tuple[int, list[int]]:
    """The case with the fastest figure, and those that cannot be told from it, as in
    `bench.compare.judge`."""
    winner = int(np.argmin(logs.mean(axis=1)))
    others = {str(i): list(logs[i] - logs[winner]) for i in range(len(logs)) if i != winner}
    verdicts = judge_together(others, RELEVANT, looks)
    return winner, [int(key) for key, (verdict, _) in verdicts.items() if verdict.word != "slower"]
