"""How often a block is called unsteady: at rest on a wandering machine, and with a step in its last third."""

from __future__ import annotations

import numpy as np

from bench.stats.estimates import Floats
from bench.stats.steadiness import changed_late, relative_levels
from benchmarks.simulations import noisy
from benchmarks.simulations.table import PERCENT, Table

WORKERS = 3
STEPS = (0.0, 0.10, 0.20)


def simulate(repeats: int = 150, seed: int = 0) -> Table:
    """The step comes after three quarters of the rounds, in one of three workers."""
    rng = np.random.default_rng(seed)
    rows = {}
    for rounds in (10, 20, 40):
        bursts = noisy.turns(rng, repeats, rounds, WORKERS)
        medians = np.median(noisy.samples(rng, bursts), axis=-1)
        late: Floats = np.asarray(np.arange(rounds) >= 0.75 * rounds, dtype=np.float64)
        found = [_share(medians, step * late) for step in STEPS]
        bare = float(np.mean([changed_late(one[:, 0]) for one in medians]))
        rows[str(rounds)] = (bare, *found)
    names = [
        "at rest, bare medians",
        "at rest",
        *(f"step of {step:.0%}".replace("%", " %") for step in STEPS[1:]),
    ]
    return Table("rounds", dict.fromkeys(names, PERCENT), rows)


def _share(medians: Floats, extra: Floats) -> float:
    """Of the first workers whose level is found to change, `extra` having been added to them."""
    called = []
    for one in medians:
        logs = one + np.outer(extra, np.eye(WORKERS)[0])
        workers = [dict(enumerate(np.exp(worker))) for worker in logs.T]
        called.append(changed_late(relative_levels(workers)[0]))
    return float(np.mean(called))
