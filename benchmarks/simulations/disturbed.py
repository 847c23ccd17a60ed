"""A case that is 3 % slower, and suffers more beside a neighbour: its figure by what is left out."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from bench.interfaces.block import Block, Burst
from bench.stats.estimates import Floats
from bench.stats.pairs import log_ratios, marked_rounds
from bench.stats.stopping import DISTURBED_MOST
from benchmarks.simulations import noisy
from benchmarks.simulations.table import Table

ROUNDS, REPLICATES = 20, 6
TRUTH = float(np.log1p(0.03))
SUFFERS = np.log1p([0.40, 0.05])  # beside a neighbour: A's threads spin, B's do not
LOUD, QUIET = 0.7, 0.1  # of the bursts are hit: in one replicate of four, in the others
SLOW, EQUAL = np.log1p(0.10), np.log1p(0.02)


@dataclass(frozen=True, slots=True)
class Replicate:
    """Log ratios of one replicate under each rule, and the share of its bursts that were marked."""

    whole: float
    unmarked: float
    fast: float
    marked: float


Figure = Callable[[Sequence[Replicate]], float]


def simulate(repeats: int = 500, seed: int = 0) -> Table:
    rng = np.random.default_rng(seed)
    kinds = [_replicate(rng) for _ in range(repeats)]
    runs = [[kinds[i] for i in rng.integers(repeats, size=4 * REPLICATES)] for _ in range(repeats)]
    rules: dict[str, Figure] = {
        "all rounds: the headline": lambda run: _mean(g.whole for g in run[:REPLICATES]),
        "loud replicates once more, first kept": _repeated,
        "without the marked rounds: the second figure": lambda run: _mean(
            g.unmarked for g in run[:REPLICATES]
        ),
        "slow bursts dropped, each side its own": lambda run: _mean(g.fast for g in run[:REPLICATES]),
        "measured again until it looks equal": _wished,
    }
    found = {name: [rule(run) for run in runs] for name, rule in rules.items()}
    rows = {name: (float(np.expm1(np.mean(v))), float(np.std(v))) for name, v in found.items()}
    return Table("", {"slower by": "+.1%", "sd over runs": ".1%"}, rows)


def _replicate(rng: Generator) -> Replicate:
    hit = rng.random((ROUNDS, 2)) < (LOUD if rng.random() < 0.25 else QUIET)
    quiet = noisy.turns(rng, 1, ROUNDS)[0] + noisy.workers(rng, 1)[0] + np.array([TRUTH, 0.0])
    medians = np.median(noisy.samples(rng, quiet + hit * SUFFERS), axis=-1)
    a, b = (_block(medians[:, side], hit[:, side]) for side in (0, 1))
    (whole,) = log_ratios([a], [b])
    unmarked = log_ratios([a], [b], marked_rounds([a, b]))
    fast = [float(np.median(one[one < np.median(one) + SLOW])) for one in medians.T]
    return Replicate(whole, unmarked[0] if unmarked else np.nan, fast[0] - fast[1], float(hit.mean()))


def _block(medians: Floats, hit: NDArray[np.bool_]) -> Block:
    """A block whose bursts are one sample each: their medians."""
    block = Block("case", replicate=0, part=0, status="ok")
    block.bursts = [Burst(r, 0, r, 1, 0, 0, disturbed=bool(found)) for r, found in enumerate(hit)]
    block.host_ns = np.rint(1e7 * np.exp(medians)).astype(np.int64)
    return block


def _mean(values: Iterable[float]) -> float:
    return float(np.nanmean(list(values)))


def _repeated(run: Sequence[Replicate]) -> float:
    loud = sum(g.marked > DISTURBED_MOST for g in run[:REPLICATES])
    return _mean(g.whole for g in run[: REPLICATES + loud])


def _wished(run: Sequence[Replicate]) -> float:
    """Who expects 'no difference' measures a replicate again, up to three times, that shows one."""
    tries = [run[i : i + 4] for i in range(0, 4 * REPLICATES, 4)]
    return _mean(next((g.whole for g in some if abs(g.whole) < EQUAL), some[-1].whole) for some in tries)
