"""Synthetic blocks for the tests of pairing and of the course of a run. Test data only."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from bench.interfaces.block import Block, Burst
from bench.interfaces.case import Case


def block(
    case: Case,
    replicate: int,
    bursts: Sequence[float],
    *,
    part: int | None = None,
    disturbed: Sequence[int] = (),
) -> Block:
    """A block whose burst medians are `bursts`, in ms; the first sample of each is cold and far off."""
    samples, places = [], []
    for number, milliseconds in enumerate(bursts):
        value = round(milliseconds * 1e6)
        places.append(Burst(number, 0, len(samples), 4, 0, 0, {}, number in disturbed))
        samples += [10 * value, value, value, value]
    figures = {"part_ns": 10e9, "turns_ns": 4e9}
    return Block(
        case.id,
        replicate,
        replicate if part is None else part,
        "ok",
        figures=figures,
        bursts=places,
        host_ns=np.array(samples, dtype=np.int64),
    )


def turns(
    cases: Sequence[Case],
    replicate: int,
    ratios: Sequence[float],
    rng: np.random.Generator,
    *,
    rounds: int = 10,
    scatter: float = 0.01,
) -> list[Block]:
    """A part: case i takes `ratios[i]` × 10 ms, the machine's wandering the same for all in a round."""
    wander = np.exp(rng.normal(0, 0.1, rounds))
    return [
        block(case, replicate, 10 * ratio * wander * np.exp(rng.normal(0, scatter, rounds)))
        for case, ratio in zip(cases, ratios, strict=True)
    ]
