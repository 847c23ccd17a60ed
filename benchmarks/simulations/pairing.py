"""What one replicate says of A against A when both take turns, and when one is measured after the other."""

from __future__ import annotations

import numpy as np
from numpy.random import Generator

from bench.stats.estimates import Floats
from bench.stats.noise import Noise, replicates_for
from bench.stats.pairs import replicate_logs
from benchmarks.simulations import noisy
from benchmarks.simulations.table import PERCENT, Table

ROUNDS = 30


def simulate(repeats: int = 1000, seed: int = 0) -> Table:
    rng = np.random.default_rng(seed)
    turns = noisy.turns(rng, repeats, ROUNDS)
    first = noisy.SLOT_S * np.arange(ROUNDS)
    later = first[-1] + noisy.START_S + first
    after = noisy.machine(rng, repeats, np.concatenate([first, later])).reshape(repeats, 2, ROUNDS)
    return Table(
        "A/A, 30 bursts each",
        {"sd of the ratio": PERCENT, "replicates for ±2 %": ".0f"},
        {"in turns": _row(rng, turns), "one after the other": _row(rng, after.swapaxes(1, 2))},
    )


def _row(rng: Generator, bursts: Floats) -> tuple[float, float]:
    medians = np.median(noisy.samples(rng, bursts + noisy.workers(rng, len(bursts))), axis=-1)
    spread = float(np.std(replicate_logs(noisy.by_replicate(medians))))
    return spread, replicates_for(Noise(within=0.0, between=spread), ROUNDS, 0.02)
