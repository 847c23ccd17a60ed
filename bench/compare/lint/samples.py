"""Samples that no clock can have given."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

import numpy as np

from bench.compare.lint.finding import again, every_row
from bench.compare.results import Finding, Results, Row
from bench.interfaces.block import Block, Samples
from bench.text.numbers import count, duration

LEAST = 3  # samples that are the same in two places by no accident: each counts nanoseconds
Place = tuple[Row, Block, str]  # the last is the boundary


def identical_samples(results: Results) -> Iterator[Finding]:
    """Two blocks, or the two boundaries of one, hold the same samples to the nanosecond."""
    for places in _alike(results):
        rows = list({row.case.id: row for row, _, _ in places}.values())
        who = " and ".join(row.label for row in rows)
        where = ", ".join(f"{boundary} of replicate {block.replicate + 1}" for _, block, boundary in places)
        one = places[0][1]
        size = one.host_ns.size if places[0][2] == "host" else one.device_ns.size
        yield Finding(
            "identical-samples",
            "wrong",
            tuple(row.case.id for row in rows),
            f"{who}: {count(size, 'sample')} in {count(len(places), 'place')} are the same to the nanosecond "
            f"({where}).",
            f"one of them is a copy: look at who wrote the store, then {again(results)}",
        )


def sample_not_positive(results: Results) -> Iterator[Finding]:
    """An inference that took no time, or less."""
    for row in every_row(results):
        blocks = results.blocks.get(row.case.id, ())
        found = [samples[samples <= 0] for b in blocks for samples in (b.host_ns, b.device_ns)]
        bad = sum(samples.size for samples in found)
        if bad:
            least = min(int(samples.min()) for samples in found if samples.size)
            yield Finding(
                "sample-not-positive",
                "wrong",
                (row.case.id,),
                f"{row.label}: {count(bad, 'sample')} of 0 ns or less, the least {least:,} ns.",
                f"the clock or the store is broken: {again(results)}",
            )


def samples_over_wall(results: Results) -> Iterator[Finding]:
    """The samples of a burst add up to more than the wall time in which they were taken."""
    for row in every_row(results):
        over = [
            (spent, wall)
            for block in results.blocks.get(row.case.id, ())
            for spent, wall in _spent(block)
            if spent > wall
        ]
        if over:
            spent, wall = max(over, key=lambda pair: pair[0] / pair[1] if pair[1] else np.inf)
            yield Finding(
                "samples-over-wall",
                "wrong",
                (row.case.id,),
                f"{row.label}: the samples of {count(len(over), 'burst')} add up to more than the time "
                f"they were taken in, at worst {duration(spent * 1e-9)} in {duration(wall * 1e-9)}.",
                "the worker's clock jumped (a suspended or migrated machine), or inferences overlapped: "
                + again(results),
            )


def _alike(results: Results) -> list[list[Place]]:
    """Groups of two and more places with equal samples."""
    seen: dict[tuple[int, int, int], list[tuple[Samples, list[Place]]]] = defaultdict(list)
    for row in every_row(results):
        for block in results.blocks.get(row.case.id, ()):
            for boundary, samples in (("host", block.host_ns), ("device", block.device_ns)):
                if samples.size < LEAST:
                    continue
                # The ends tell nearly all apart; only what agrees in them is compared sample by sample.
                rivals = seen[samples.size, int(samples[0]), int(samples[-1])]
                known = next((places for one, places in rivals if np.array_equal(one, samples)), None)
                if known is None:
                    rivals.append((samples, known := []))
                known.append((row, block, boundary))
    return [places for rivals in seen.values() for _, places in rivals if len(places) > 1]


def _spent(block: Block) -> Iterator[tuple[float, float]]:
    """Of each burst the sum of its samples and its wall time, ns."""
    inner = block.figures.get("inner", 1) or 1
    for burst in block.bursts:
        wall = burst.disturbance.get("wall_ns")
        if wall is not None:
            host = block.host_ns[burst.start :][: burst.count].sum()
            device = block.device_ns[burst.device_start :][: burst.device_count].sum()
            yield float(host + device) * inner, wall
