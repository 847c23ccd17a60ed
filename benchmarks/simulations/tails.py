"""How often the interval of p95 holds the truth, by whether samples or whole blocks are taken as units."""

from __future__ import annotations

import math

import numpy as np

from bench.stats.estimates import Floats
from bench.stats.percentiles import tails
from benchmarks.simulations import noisy
from benchmarks.simulations.table import PERCENT, Table

ROUNDS = 20
QUANTILE, NAME = 0.95, "p95"
BLOCKS = (3, 6, 12)


def simulate(repeats: int = 100, seed: int = 0) -> Table:
    """Blocks of a few seconds each, at times of their own."""
    rng = np.random.default_rng(seed)
    bursts = noisy.turns(rng, 10 * repeats, ROUNDS)[..., 0] + noisy.workers(rng, 10 * repeats, 1)[..., 0]
    kinds = np.exp(noisy.samples(rng, bursts)).reshape(10 * repeats, -1)
    truth = float(np.quantile(kinds, QUANTILE))
    rows = {}
    for n in BLOCKS:
        sets = [kinds[rng.integers(len(kinds), size=n)] for _ in range(repeats)]
        by_sample = [_held(_independent(one.ravel()), truth) for one in sets]
        found = [tails(list(one))[NAME] for one in sets]
        by_block = [_held((one.low or 0.0, one.high or math.inf), truth) for one in found]
        rows[str(n)] = (float(np.mean(by_sample)), float(np.mean(by_block)))
    return Table("blocks", dict.fromkeys(["truth held, unit: sample", "block"], PERCENT), rows)


def _held(ends: tuple[float, float], truth: float) -> bool:
    return ends[0] <= truth <= ends[1]


def _independent(samples: Floats) -> tuple[float, float]:
    """The usual interval of a percentile from order statistics, right only for independent samples."""
    half = 1.96 * math.sqrt(QUANTILE * (1 - QUANTILE) / samples.size)
    low, high = np.quantile(samples, [QUANTILE - half, min(1.0, QUANTILE + half)])
    return float(low), float(high)
