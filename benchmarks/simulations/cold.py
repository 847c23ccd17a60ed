"""What the cold first sample of a burst does to the ratio of two cases with 15 and 5 samples a burst."""

from __future__ import annotations

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from bench.interfaces.block import Block, Burst
from bench.stats.estimates import Floats
from bench.stats.pairs import steady
from benchmarks.simulations import noisy
from benchmarks.simulations.table import Table

ROUNDS = 20
FEW, MANY = 5, 15  # inferences of 30 and 10 ms in 150 ms
FEW_NS, MANY_NS = 30e6, 10e6

Samples = NDArray[np.int64]


def simulate(repeats: int = 400, seed: int = 0) -> Table:
    """Each stretch of the machine's time is lived through twice, the sides exchanged: it cancels exactly."""
    rng = np.random.default_rng(seed)
    once = noisy.turns(rng, repeats // 2, ROUNDS)
    bursts = np.concatenate([once, once[..., ::-1]])
    pairs = [(_block(rng, one[:, 0], FEW_NS, FEW), _block(rng, one[:, 1], MANY_NS, MANY)) for one in bursts]
    rows = {
        "kept": _off([(few.host_ns, many.host_ns) for few, many in pairs]),
        "left out": _off([(steady(few), steady(many)) for few, many in pairs]),
    }
    return Table("the first sample is", dict.fromkeys(["mean off by", "p90 off by"], "+.1%"), rows)


def _block(rng: Generator, bursts: Floats, inference_ns: float, each: int) -> Block:
    samples = noisy.samples(rng, bursts, each)
    samples[:, 0] += noisy.COLD
    block = Block("case", replicate=0, part=0, status="ok")
    block.bursts = [Burst(r, 0, r * each, each, 0, 0) for r in range(len(bursts))]
    block.host_ns = np.rint(inference_ns * np.exp(samples)).astype(np.int64).ravel()
    return block


def _off(pairs: list[tuple[Samples, Samples]]) -> tuple[float, float]:
    """Of the ratio of means, and of the ratio of 90th percentiles."""
    truth = np.log(FEW_NS / MANY_NS)
    means = np.mean([np.log(few.mean() / many.mean()) for few, many in pairs])
    tails = np.mean([np.log(np.quantile(few, 0.9) / np.quantile(many, 0.9)) for few, many in pairs])
    return float(means - truth), float(tails - truth)
