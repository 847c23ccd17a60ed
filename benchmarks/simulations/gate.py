"""What a gate at 5 % says of an equal version and of one that is 8 % slower, and what a bare ratio says."""

from __future__ import annotations

import numpy as np

from bench.stats.gate import GateWord, gate
from bench.suite.profiles import LOOKS
from benchmarks.simulations import noisy
from benchmarks.simulations.table import PERCENT, Table

THRESHOLD = 0.05
WORDS: tuple[GateWord, ...] = ("pass", "regression", "cannot tell")
ALONE = 0.087  # sd of the log ratio of two processes one after the other, measured where `noisy` was


def simulate(repeats: int = 300, seed: int = 0) -> Table:
    """The bare ratio is that of two processes one after the other, without an interval."""
    rng = np.random.default_rng(seed)
    logs, alone = noisy.logs(rng, (repeats, LOOKS[-1])), rng.normal(0, ALONE, repeats)
    rows = {}
    for name, slower in (("equal", 0.0), ("8 % slower", np.log1p(0.08))):
        closed = float(np.mean(np.exp(alone + slower) > 1 + THRESHOLD))
        for n in (3, 6, 24):
            words = [gate({"A": list(one[:n] + slower)}, THRESHOLD, LOOKS)["A"].word for one in logs]
            rows[f"{name}, {n} replicates"] = (*(words.count(word) / repeats for word in WORDS), closed)
    return Table("new version", dict.fromkeys([*WORDS, "bare ratio over 1.05"], PERCENT), rows)
