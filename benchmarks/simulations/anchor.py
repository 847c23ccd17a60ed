"""A version against itself on other days: bare latency or ratio to the anchor, and what is the unit."""

from __future__ import annotations

import numpy as np
from numpy.random import Generator

from bench.compare.welch_runs import Sides, judge_runs, within_runs
from bench.stats.estimates import Floats
from bench.stats.pairs import replicate_logs
from bench.stats.significance import ALPHA
from benchmarks.simulations import noisy
from benchmarks.simulations.table import PERCENT, Table

REPLICATES, ROUNDS = 6, 10
OF_RUNS = 0.02  # sd of a run's ratio to the anchor beyond its replicates: an assumption, not measured
RELEVANT = 0.02


def simulate(repeats: int = 200, seed: int = 0) -> Table:
    rng = np.random.default_rng(seed)
    latency, ratios = _runs(rng, 6 * repeats)
    columns = ["sd: bare latency", "ratio to anchor", "false, unit: replicate", "unit: run", "'suspect'"]
    rows = {}
    for each in (1, 3):
        sides = [_sides(two) for two in _split(ratios, each)]
        words = [judge_runs({"A": one}, RELEVANT)["A"].word for one in sides]
        rows[f"{each} against {each}"] = (
            _apart(_split(latency, each)),
            _apart(_split(ratios, each)),
            float(np.mean([within_runs(one).p < ALPHA for one in sides])),
            sum(word in ("faster", "slower") for word in words) / len(words),
            words.count("suspect") / len(words),
        )
    return Table("runs", dict.fromkeys(columns, PERCENT), rows)


def _runs(rng: Generator, count: int) -> tuple[Floats, Floats]:
    """Log latency and log ratio to the anchor: (runs, replicates)."""
    slots = 2 * ROUNDS
    begins = np.arange(REPLICATES) * (2 * noisy.START_S + slots * noisy.SLOT_S)
    times = (begins[:, None] + noisy.SLOT_S * np.arange(slots)).ravel()
    bursts = noisy.machine(rng, count, times).reshape(-1, ROUNDS, 2) + noisy.workers(rng, count * REPLICATES)
    medians = np.median(noisy.samples(rng, bursts), axis=-1)
    own = rng.normal(0, OF_RUNS, (count, 1))
    ratios = np.array(replicate_logs(noisy.by_replicate(medians))).reshape(count, REPLICATES)
    return np.median(medians[..., 0], axis=1).reshape(count, REPLICATES) + own, ratios + own


def _split(values: Floats, each: int) -> Floats:
    """(comparisons, 2 sides, runs of a side, replicates)."""
    return values.reshape(-1, 2, each, REPLICATES)


def _sides(two: Floats) -> Sides:
    base, new = ([list(run) for run in side] for side in two)
    return base, new


def _apart(split: Floats) -> float:
    """Standard deviation of the difference between the two sides."""
    base, new = split.mean(axis=(2, 3)).T
    return float(np.std(new - base))
