"""How often the 95 % interval holds the truth where `standard` stops early because it is narrow."""

from __future__ import annotations

import numpy as np

from bench.stats.estimates import Floats, t_interval
from bench.stats.stopping import narrow
from bench.suite.profiles import PROFILES
from benchmarks.simulations import noisy
from benchmarks.simulations.table import PERCENT, Table

RELEVANT = 0.02
STANDARD = PROFILES["standard"]


def simulate(repeats: int = 1000, seed: int = 0) -> Table:
    """Hours of different noise, each drawn from the same replicates and scaled."""
    rng = np.random.default_rng(seed)
    logs = noisy.logs(rng, (repeats, STANDARD.replicates))
    logs /= logs.std()
    rows = {f"{noise:.1%}".replace("%", " %"): _row(noise * logs) for noise in (0.005, 0.01, 0.015, 0.025)}
    columns = {"replicates": ".1f", "truth held": PERCENT, "by all six": PERCENT, "at 97 %": PERCENT}
    return Table("sd of a replicate", columns, rows)


def _row(logs: Floats) -> tuple[float, float, float, float]:
    taken = [_stop(one) for one in logs]
    early = [one[:n] for one, n in zip(logs, taken, strict=True)]
    return float(np.mean(taken)), _held(early), _held(logs), _held(early, 0.97)


def _stop(logs: Floats) -> int:
    most = STANDARD.replicates
    return next((n for n in range(1, most) if narrow(list(logs[:n]), RELEVANT, STANDARD)), most)


def _held(sets: list[Floats] | Floats, level: float = 0.95) -> float:
    ends = [t_interval(one, level)[1:] for one in sets]
    return float(np.mean([low <= 0 <= high for low, high in ends]))
