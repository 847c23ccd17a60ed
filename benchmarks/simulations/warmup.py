"""How far off the figures begin after three inferences, and after evidence of a steady state."""

from __future__ import annotations

from array import array

import numpy as np
from numpy.random import Generator
from numpy.typing import ArrayLike

from bench.stats.estimates import Floats
from bench.worker.loops import settled
from benchmarks.simulations import noisy
from benchmarks.simulations.table import Table

INFERENCE_S, EXCESS = 0.01, 0.5  # settled; the first is slower by so much, and it dies away
LEAST_S, MOST_S = 0.3, 10.0  # `standard`
FEW = 3


def simulate(repeats: int = 100, seed: int = 0) -> Table:
    rng = np.random.default_rng(seed)
    rows = {}
    for fades_s in (0.05, 0.2, 0.5, 2.0):
        taken = [_warm_up(_samples(rng, fades_s)) for _ in range(repeats)]
        left = float(np.mean(_excess(np.array(taken) * INFERENCE_S, fades_s)))
        after_few = float(_excess(FEW * INFERENCE_S, fades_s))
        rows[f"{fades_s:g} s"] = (after_few, left, float(np.median(taken)) * INFERENCE_S)
    columns = {"off after 3": "+.1%", "off by evidence": "+.1%", "warm-up, s": ".2f"}
    return Table("excess fades in", columns, rows)


def _excess(at_s: ArrayLike, fades_s: float) -> Floats:
    return np.asarray(EXCESS * np.exp(-np.asarray(at_s) / fades_s))


def _samples(rng: Generator, fades_s: float) -> array[int]:
    """What one inference after another takes, ns."""
    count = int(MOST_S / INFERENCE_S)
    noise = np.exp(noisy.samples(rng, np.zeros(1), count)[0])
    slow = 1 + _excess(np.arange(count) * INFERENCE_S, fades_s)
    return array("q", np.rint(1e9 * INFERENCE_S * slow * noise).astype(np.int64).tolist())


def _warm_up(samples: array[int]) -> int:
    """Inferences until it ends, checked as often as `bench.worker.loops.warm_up` does."""
    count = int(LEAST_S / INFERENCE_S)
    while count < len(samples) and not settled(samples, count):
        elapsed = count * INFERENCE_S
        count += int(max(LEAST_S / 3, elapsed / 10) / INFERENCE_S)
    return min(count, len(samples))
