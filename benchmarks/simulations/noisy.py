"""The machine that the simulations imitate: a virtual machine with neighbours.

Its numbers were measured on a 2-core virtual machine: two workers with one and the same configuration
(MobileNetV2 fp32, ONNX Runtime, one thread) in turns, replicates of fresh processes at several hours,
nothing else of ours running. Everything here is the natural logarithm of a time, so that factors add.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.random import Generator

from bench.stats.estimates import Floats
from bench.stats.noise import ASSUMED_BETWEEN
from bench.stats.pairs import replicate_logs

MODES = math.log(10 / 7.5)  # samples fall in two modes, near 7.5 and 10 ms,
HELD_S = (2.0, 120.0)  # that last from seconds to minutes
WANDER = 0.065  # bursts differ by 15.8 %: what is left beside the two modes
KEPT = 0.44  # of it from one burst to the next; two bursts on hardly any is left
SPREAD, STALL, STALLED = 0.03, 0.15, 0.05  # within a burst 5.8 %: a narrow core, and 1 sample in 20 stalls
COLD = 0.045  # the first sample of a burst
FRESH = ASSUMED_BETWEEN  # ratios of two fresh processes differ by this beyond what their rounds explain
BURST_S, SWITCH_S, START_S = 0.15, 0.01, 4.0  # a burst; handing the turn over; starting a worker
SAMPLES = 15  # of 10 ms in a burst
SLOT_S = BURST_S + SWITCH_S


def machine(rng: Generator, repeats: int, times: Floats) -> Floats:
    """How slow the machine is in bursts that begin at `times` (ascending, s): (repeats, bursts)."""
    held = np.exp(
        rng.uniform(
            math.log(HELD_S[0]), math.log(HELD_S[1]), (repeats, 20 + int((times[-1] + HELD_S[1]) / 10))
        )
    )
    ends = np.cumsum(held, axis=1) - HELD_S[1]  # the first modes have ended when the bursts begin
    changes = np.stack([np.searchsorted(one, times) for one in ends])
    mode = MODES * ((changes + rng.integers(2, size=(repeats, 1))) % 2)
    kept = KEPT ** (np.diff(times, prepend=times[0]) / SLOT_S)
    wander = np.empty(mode.shape)
    wander[:, 0] = rng.normal(0, WANDER, repeats)
    for i in range(1, times.size):
        new = rng.normal(0, WANDER * math.sqrt(1 - kept[i] ** 2), repeats)
        wander[:, i] = kept[i] * wander[:, i - 1] + new
    return mode + wander


def samples(rng: Generator, bursts: Floats, each: int = SAMPLES) -> Floats:
    """Samples of bursts that take `bursts` on the whole, the cold first left out: (*shape, each)."""
    shape = (*bursts.shape, each)
    stalls = (rng.random(shape) < STALLED) * rng.exponential(STALL, shape)
    return bursts[..., None] + rng.normal(0, SPREAD, shape) + stalls


def turns(rng: Generator, repeats: int, rounds: int, cases: int = 2) -> Floats:
    """The machine under bursts in random turns: (repeats, rounds, cases)."""
    slots = machine(rng, repeats, SLOT_S * np.arange(rounds * cases, dtype=np.float64))
    slots = slots.reshape(repeats, rounds, cases)
    order = rng.permuted(np.broadcast_to(np.arange(cases), slots.shape), axis=2)
    return np.take_along_axis(slots, order, axis=2)


def workers(rng: Generator, repeats: int, cases: int = 2) -> Floats:
    """What fresh processes of one and the same case differ by: (repeats, 1, cases)."""
    return rng.normal(0, FRESH / math.sqrt(2), (repeats, 1, cases))


def paired(rng: Generator, replicates: int, rounds: int = 10) -> dict[int, list[Floats]]:
    """Replicate → log ratio of burst medians, A over A, round by round; as `bench.stats.pairs` gives it."""
    bursts = turns(rng, replicates, rounds) + workers(rng, replicates)
    return by_replicate(np.median(samples(rng, bursts), axis=-1))


def by_replicate(medians: Floats) -> dict[int, list[Floats]]:
    """From the log medians (replicates, rounds, 2) of two cases to the log ratio of each round."""
    return {i: [one] for i, one in enumerate(medians[..., 0] - medians[..., 1])}


def logs(rng: Generator, shape: tuple[int, ...]) -> Floats:
    """Log ratios A over A, one a replicate, by bakeoff's rule; drawn from up to 3,000 that were simulated.

    Either side could have been called A, so each is drawn as it came or turned round: the truth is 0.
    Add log(1 + d) for an A that is slower by d.
    """
    kinds = np.array(replicate_logs(paired(rng, min(3000, math.prod(shape)))))
    drawn = rng.choice(kinds, shape) * rng.choice([-1.0, 1.0], shape)
    return np.asarray(drawn, dtype=np.float64)
