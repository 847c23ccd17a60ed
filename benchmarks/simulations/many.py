"""Twenty cases against one baseline: how often a run holds a false 'faster' or 'slower'."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from bench.stats.estimates import Floats
from bench.stats.significance import ALPHA, benjamini_hochberg, holm, p_value
from benchmarks.simulations import noisy
from benchmarks.simulations.table import PERCENT, Table

CASES, REPLICATES = 20, 6
DIFFERENT, BY = 5, 0.05

Adjust = Callable[[Sequence[float]], Sequence[float]]


def simulate(repeats: int = 600, seed: int = 0) -> Table:
    """First with 20 equal cases, then with 5 of them slower by 5 %."""
    rng = np.random.default_rng(seed)
    logs = noisy.logs(rng, (repeats, CASES, REPLICATES))
    truth = np.zeros((CASES, 1))
    truth[:DIFFERENT] = np.log1p(BY)
    equal, mixed = _p(logs), _p(logs + truth)
    rules: dict[str, Adjust] = {
        "each on its own": list,
        "Benjamini-Hochberg": benjamini_hochberg,
        "Holm": holm,
    }
    columns = ["runs with a false one", "of the 5: found", "false among the found"]
    return Table(
        "20 cases",
        dict.fromkeys(columns, PERCENT),
        {name: _row(rule, equal, mixed) for name, rule in rules.items()},
    )


def _p(logs: Floats) -> list[list[float]]:
    return [[p_value(one) for one in run] for run in logs]


def _row(rule: Adjust, equal: list[list[float]], mixed: list[list[float]]) -> tuple[float, float, float]:
    false = np.array([rule(p) for p in equal]) < ALPHA
    named = np.array([rule(p) for p in mixed]) < ALPHA
    wrong, all_named = named[:, DIFFERENT:].sum(axis=1), named.sum(axis=1)
    share = np.where(all_named > 0, wrong / np.maximum(all_named, 1), 0.0)
    return float(false.any(axis=1).mean()), float(named[:, :DIFFERENT].mean()), float(share.mean())
