"""Whether a worker had come to rest: no change of level in the last third of its rounds.

The machine's own wandering is divided out by what all workers of the part saw in the round, and what is left
is searched for changepoints.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from bench.interfaces.block import Block
from bench.stats.estimates import Floats
from bench.stats.pairs import burst_medians, measured

LEAST_ROUNDS = 10  # under these no change can be told from chance
SHORTEST = 2  # rounds of a level: a single odd one is no level
CLIPPED = 3.0  # standard deviations: a round that something hit is odd, but not the odder the harder it was
# × ln(rounds): what a further level must take off the sum of squares, in variances of a round. Simulated with
# 2 to 6 workers, a machine in two modes and odd rounds: 1 to 5 % of steady blocks of 10 to 40 rounds are
# called unsteady; of those with a step of 10 % at three quarters, rounds that scatter by 3 %, 30 to 55 % are
# found with 10 rounds, 55 to 80 % with 20 and 80 to 99 % with 40.
PENALTY = 3.5
GRAIN = 1e-6  # of a logarithm: a scatter below this is rounding

Worker = tuple[str, int]  # case, part


def unsteady(blocks: Iterable[Block]) -> dict[Worker, bool]:
    """Case and part → whether its level changed in the last third of its rounds.

    Left out is what cannot be told: under 10 rounds, or a worker that was alone in its part. Of two workers
    that took turns both are called unsteady where either is.

    Args:
        blocks: all of a run, or at least of each part.
    """
    parts: dict[int, list[Block]] = defaultdict(list)
    for block in measured(blocks):
        parts[block.part].append(block)
    return {
        (block.case_id, part): changed_late(levels)
        for part, together in parts.items()
        if len(together) > 1
        for block, levels in zip(together, relative_levels([burst_medians(b) for b in together]), strict=True)
        if levels.size >= LEAST_ROUNDS
    }


def relative_levels(medians: Sequence[Mapping[int, float]]) -> list[Floats]:
    """Each worker's log burst medians over the round's: what is its own.

    Args:
        medians: of each worker of a part, round → burst median. A worker's own median is divided out first,
            so that the fast and the slow count alike.
    """
    logs = [{r: math.log(value) for r, value in one.items()} for one in medians]
    levels = [float(np.median(list(one.values()))) if one else 0.0 for one in logs]
    seen: dict[int, list[float]] = defaultdict(list)
    for one, level in zip(logs, levels, strict=True):
        for r, value in one.items():
            seen[r].append(value - level)
    machine = {r: float(np.median(found)) for r, found in seen.items()}
    return [
        np.array([one[r] - level - machine[r] for r in sorted(one)])
        for one, level in zip(logs, levels, strict=True)
    ]


def changed_late(levels: Floats) -> bool:
    """Whether a new level begins in the last third."""
    return any(3 * place >= 2 * levels.size for place in changepoints(levels))


def changepoints(levels: Floats) -> list[int]:
    """Where new levels begin: the places that minimise the sum of squares plus a penalty for each.

    Values are first put in standard deviations of a round, as its neighbours show it, and clipped.
    """
    scatter = _scatter(levels)
    if scatter < GRAIN:
        return []
    scaled = np.clip((levels - np.median(levels)) / scatter, -CLIPPED, CLIPPED)
    return best_places(scaled, PENALTY * math.log(levels.size))


def best_places(values: Floats, penalty: float) -> list[int]:
    """The exact minimum over all segmentations by dynamic programming (Jackson et al. 2005).

    It is what PELT finds (Killick et al. 2012), whose pruning would save nothing under 100 values; ruptures,
    which has it, imports scipy.stats and takes longer than all the rest of judging a run.
    """
    n = values.size
    sums = np.concatenate([[0.0], np.cumsum(values)])
    ends, starts = np.ogrid[: n + 1, : n + 1]
    length = np.maximum(ends - starts, 1)
    # A level's sum of squares about its mean, but for Σ x², which is the same whatever the places.
    cost = penalty - (sums[ends] - sums[starts]) ** 2 / length
    best, begins = np.full(n + 1, np.inf), np.zeros(n + 1, dtype=int)
    best[0] = 0.0
    for end in range(SHORTEST, n + 1):
        total = best[: end - SHORTEST + 1] + cost[end, : end - SHORTEST + 1]
        begins[end] = total.argmin()
        best[end] = total[begins[end]]
    places, place = [], int(begins[n])
    while place > 0:
        places.append(place)
        place = int(begins[place])
    return places[::-1]


def _scatter(levels: Floats) -> float:
    """Standard deviation of a round by the steps from each to the next, which a change of level hardly moves.

    From the median of their sizes; where most rounds are alike, from their standard deviation.
    """
    steps = np.diff(levels)
    spread = 1.4826 * float(np.median(np.abs(steps)))
    return (spread if spread >= GRAIN else float(steps.std())) / math.sqrt(2)
