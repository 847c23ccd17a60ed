"""How far one replicate of A against A scatters, by how its samples are summed up."""

from __future__ import annotations

import numpy as np

from bench.stats.pairs import replicate_logs
from benchmarks.simulations import noisy
from benchmarks.simulations.table import PERCENT, Table

ROUNDS = 30


def simulate(repeats: int = 1000, seed: int = 0) -> Table:
    rng = np.random.default_rng(seed)
    samples = noisy.samples(rng, noisy.turns(rng, repeats, ROUNDS) + noisy.workers(rng, repeats))
    medians = np.median(samples, axis=-1)
    rounds = medians[..., 0] - medians[..., 1]
    times = np.moveaxis(np.exp(samples), 2, 0).reshape(2, repeats, -1)
    ratios = {
        "paired rounds: Hodges-Lehmann": replicate_logs(noisy.by_replicate(medians)),
        "paired rounds: median": np.median(rounds, axis=1),
        "paired rounds: mean": np.mean(rounds, axis=1),
        "all samples: ratio of means": np.log(np.divide(*times.mean(axis=2))),
        "all samples: ratio of medians": np.log(np.divide(*np.median(times, axis=2))),
        "all samples: ratio of minima": np.log(np.divide(*times.min(axis=2))),
    }
    rows = {name: (float(np.std(found)),) for name, found in ratios.items()}
    return Table("A/A, 30 rounds", {"sd of the ratio": PERCENT}, rows)
