"""How often a 95 % interval holds the truth, by what is taken for the independent unit."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bench.stats.estimates import Floats, t_interval
from bench.stats.pairs import replicate_logs
from benchmarks.simulations import noisy
from benchmarks.simulations.table import PERCENT, Table

REPLICATES = (3, 6, 12, 24)
ROUNDS = 40


def simulate(repeats: int = 1000, seed: int = 0) -> Table:
    """Each sample of A is set against the sample of B at its place in the same round."""
    rng = np.random.default_rng(seed)
    bursts = noisy.samples(rng, noisy.turns(rng, repeats, ROUNDS) + noisy.workers(rng, repeats))
    samples = (bursts[:, :, 0] - bursts[:, :, 1]).reshape(repeats, -1)
    pairs = noisy.by_replicate(np.median(bursts, axis=-1))
    rounds = np.array([one for (one,) in pairs.values()])
    replicates = np.array(replicate_logs(pairs))[:, None]
    rows = {}
    for n in REPLICATES:
        drawn = rng.integers(repeats, size=(repeats, n))
        ends = [_ends(unit, drawn) for unit in (replicates, rounds, samples)]
        covered = [float(np.mean((low <= 0) & (high >= 0))) for low, high in ends]
        low, high = ends[0]
        rows[str(n)] = (float(np.mean(high - low)) / 2, *covered)
    units = ("half width", "truth held, unit: replicate", "round", "sample")
    return Table("replicates", dict.fromkeys(units, PERCENT), rows)


def _ends(values: Floats, drawn: NDArray[np.int64]) -> tuple[Floats, Floats]:
    """Both ends of the interval for each drawn set of replicates, all their values taken together."""
    found = np.array([t_interval(values[one].ravel())[1:] for one in drawn])
    return found[:, 0], found[:, 1]
