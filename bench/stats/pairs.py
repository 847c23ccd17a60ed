"""From blocks to pairs: which samples are steady, and which bursts of two cases belong together."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from bench.interfaces.block import MEASURED, Block, Burst
from bench.stats import estimates
from bench.stats.estimates import Floats

FIRST_IS_COLD_NS = 50_000_000  # below this the first sample of a burst is left out: caches are cold
Round = tuple[int, int]  # part, round


def measured(blocks: Iterable[Block]) -> list[Block]:
    """Those with figures."""
    return [block for block in blocks if block.bursts and block.status in MEASURED]


def steady(block: Block, without: Collection[Round] = ()) -> NDArray[np.int64]:
    """The host samples of a block without the cold first of each burst, and without some rounds.

    A sample of 0 ns or less is none: no clock gave it, and the linter tells of it (`sample-not-positive`).
    """
    short = _short(block)
    kept = [burst for burst in block.bursts if (block.part, burst.round) not in without]
    parts = [_steady_burst(block, burst, short) for burst in kept]
    return np.concatenate(parts) if parts else block.host_ns[:0]


def steady_burst(block: Block, burst: Burst) -> NDArray[np.int64]:
    """A burst's host samples, the first left out where an inference is under 50 ms and others remain.

    The device samples of a burst follow its host samples, so none of them is cold.
    """
    return _steady_burst(block, burst, _short(block))


def cold_samples(block: Block, burst: Burst) -> int:
    """How many host samples at the beginning of a burst are left out of the steady ones: 1 or 0."""
    return int(_short(block) and burst.count > 1)


def burst_medians(block: Block) -> dict[int, float]:
    """Round → median of the steady host samples, ns; a burst without any is left out."""
    short = _short(block)
    found = ((burst.round, _steady_burst(block, burst, short)) for burst in block.bursts)
    return {number: float(np.median(samples)) for number, samples in found if samples.size}


def _short(block: Block) -> bool:
    return block.host_ns.size > 0 and float(np.median(block.host_ns)) < FIRST_IS_COLD_NS


def _steady_burst(block: Block, burst: Burst, short: bool) -> NDArray[np.int64]:
    own = block.host_ns[burst.start : burst.start + burst.count]
    warm = own[1:] if short and own.size > 1 else own
    return warm[warm > 0]


def marked_rounds(blocks: Iterable[Block]) -> set[Round]:
    """Rounds in which any worker of the part was disturbed: what hit one may have hit its partner."""
    return {(block.part, burst.round) for block in blocks for burst in block.bursts if burst.disturbed}


def paired_rounds(
    blocks: Iterable[Block],
    against: Iterable[Block],
    without: Collection[Round] = (),
    medians: Callable[[Block], dict[int, float]] = burst_medians,
) -> dict[int, list[Floats]]:
    """Replicate → for each part that both lived in, log(burst median / partner's) of each shared round.

    `medians`: `burst_medians`, or what remembers its answers where a block meets many others.
    """
    other = {block.part: block for block in measured(against)}
    found: dict[int, list[Floats]] = defaultdict(list)
    for block in measured(blocks):
        partner = other.get(block.part)
        if partner is None:
            continue
        a, b = medians(block), medians(partner)
        shared = [r for r in sorted(a.keys() & b.keys()) if (block.part, r) not in without]
        if shared:
            found[block.replicate].append(np.log([a[r] / b[r] for r in shared]))
    return dict(sorted(found.items()))


def replicate_logs(paired: Mapping[int, Sequence[Floats]]) -> list[float]:
    """One log ratio a replicate: Hodges-Lehmann over its rounds, the mean of its parts."""
    return [float(np.mean([estimates.hodges_lehmann(part) for part in parts])) for parts in paired.values()]


def log_ratios(
    blocks: Sequence[Block], against: Sequence[Block], without: Collection[Round] = ()
) -> list[float]:
    """Log latency ratio of one case over another, one a replicate."""
    return replicate_logs(paired_rounds(blocks, against, without))
