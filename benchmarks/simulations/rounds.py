"""The rounds that bakeoff chooses after a pilot, and the interval that two minutes then buy."""

from __future__ import annotations

import numpy as np
from numpy.random import Generator

from bench.stats.noise import Costs, Noise, best_rounds_within, half_width, noise
from bench.suite.profiles import PROFILES, ROUNDS
from benchmarks.simulations import noisy
from benchmarks.simulations.table import PERCENT, Table

AB = PROFILES["ab"]
PILOT = 3
SECONDS = 120.0
COSTS = Costs(replicate_s=2 * noisy.START_S, round_s=2 * noisy.SLOT_S)
HOURS = {
    "rounds 6 %, replicates 1 %": Noise(0.06, 0.01),
    "rounds 12 %, replicates 0 %": Noise(0.12, 0.0),
    "rounds 3 %, replicates 3 %": Noise(0.03, 0.03),
}


def simulate(repeats: int = 150, seed: int = 0) -> Table:
    rng = np.random.default_rng(seed)
    columns = {"rounds chosen": ".0f"} | dict.fromkeys(["±, chosen", "±, always 10", "±, always 40"], PERCENT)
    return Table("scatter", columns, {name: _row(rng, hour, repeats) for name, hour in HOURS.items()})


def _row(rng: Generator, hour: Noise, repeats: int) -> tuple[float, float, float, float]:
    chosen = [_chosen(_pilot(rng, hour)) for _ in range(repeats)]
    mean = float(np.mean([_width(hour, rounds) for rounds in chosen]))
    least, most = (_width(hour, rounds) for rounds in ROUNDS)
    return float(np.median(chosen)), mean, least, most


def _pilot(rng: Generator, hour: Noise) -> Noise:
    """What three replicates show of the hour's noise."""
    truths = rng.normal(0, hour.between, PILOT)
    seen = noise({i: [rng.normal(truth, hour.within, AB.rounds)] for i, truth in enumerate(truths)})
    assert seen is not None
    return seen


def _chosen(seen: Noise) -> int:
    left = SECONDS - PILOT * COSTS.of(AB.rounds)
    return best_rounds_within(seen, COSTS, *ROUNDS, left, PILOT, AB.replicates)


def _width(hour: Noise, rounds: int) -> float:
    """Expected half width of the interval after the pilot and what the rest of the time then holds."""
    left = SECONDS - PILOT * COSTS.of(AB.rounds)
    return half_width(hour, rounds, min(AB.replicates, PILOT + int(left / COSTS.of(rounds))))
