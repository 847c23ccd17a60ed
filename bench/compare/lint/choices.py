"""Settings against each other: what a larger batch, a lower precision and more threads must not do."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import combinations

from bench.compare.lint.contrasts import Contrast, proven, told
from bench.compare.results import Finding, Results, Row
from bench.interfaces.backend import Target
from bench.interfaces.case import Case
from bench.text.numbers import count, percent, significant

FULL = "fp32"
BITS = {"tf32": 19}  # whose name does not say how many


def batch_above_linear(results: Results) -> Iterator[Finding]:
    """A larger batch takes less time than a smaller one.

    That is the rate growing by more than the batch: rate is batch / latency, so it grows beyond b₂ / b₁
    exactly where latency falls. Better use of the machine makes a batch cost less than its samples one by
    one; but the larger holds all the work of the smaller, which could have been padded to it.
    """
    pairs = [Contrast(small, large) for small, large in _pairs(results, _any_batch, lambda c: c.batch)]
    for one, ratio in proven(results, pairs):
        small, large = one.row.case, one.than.case
        work = large.batch / small.batch
        yield Finding(
            "batch-above-linear",
            "wrong",
            (large.id, small.id),
            f"{one.row.label} takes {told(ratio, f'batch {large.batch}')}, which does "
            f"{significant(work)} times the work at {significant(work * (ratio.value or 0))} times the rate.",
            "see whether all of the larger batch is computed, and which kernels the smaller one gets: pad it",
        )


def batch_below_single(results: Results) -> Iterator[Finding]:
    """A batch takes longer than its samples would in smaller batches, one after another."""
    pairs = [
        Contrast(large, small, large.case.batch / small.case.batch)
        for small, large in _pairs(results, _any_batch, lambda case: case.batch)
    ]
    for one, ratio in proven(results, pairs):
        large, small = one.row.case, one.than.case
        yield Finding(
            "batch-below-single",
            "harm",
            (large.id, small.id),
            f"{one.row.label} takes {told(ratio, f'batch {small.batch}')}, for "
            f"{significant(large.batch / small.batch)} times the work.",
            f"ship batch {small.batch}: the larger one falls out of a cache, or runs other kernels",
        )


def precision_slower(results: Results) -> Iterator[Finding]:
    """A lower precision takes longer than fp32 on the same backend with the same settings.

    One that was asked for as emulated says so itself.
    """
    by_id = {row.case.id: row for row in _measured(results)}
    pairs = []
    for row in by_id.values():
        wide = by_id.get(_of(row.case, replace(row.case.target, precision=FULL)))
        if wide and _bits(row.case) < _bits(wide.case) and not row.case.target.emulation_allowed:
            pairs.append(Contrast(row, wide))
    for one, ratio in proven(results, pairs):
        low, full = one.row.case, one.than.case
        yield Finding(
            "precision-slower",
            "harm",
            (low.id, full.id),
            f"{one.row.label} takes {told(ratio, FULL)}.",
            f"ship {FULL}, or make the model file another way (static instead of dynamic quantisation); the "
            "proof of the row says which operations took the time",
        )


def threads_slower(results: Results) -> Iterator[Finding]:
    """More threads take longer than fewer: most of all where they spin beside a busy neighbour."""
    pairs = [
        Contrast(more, fewer) for fewer, more in _pairs(results, _any_threads, lambda c: c.target.threads)
    ]
    for one, ratio in proven(results, pairs):
        more, fewer = one.row, one.than
        threads = count(fewer.case.target.threads, "thread")
        yield Finding(
            "threads-slower",
            "harm",
            (more.case.id, fewer.case.id),
            f"{more.label} takes {told(ratio, f'with {threads}')}; others disturbed "
            f"{percent(more.disturbed)} of its bursts, and {percent(fewer.disturbed)} with {threads}.",
            f"ship {threads}, let the pool wait without spinning (docs/lint.md), or end what else runs: "
            "bakeoff doctor",
        )


def _measured(results: Results) -> list[Row]:
    return [row for row in results.rows if row.latency.value is not None]


def _pairs(
    results: Results, alike: Callable[[Case], str], size: Callable[[Case], int]
) -> Iterator[tuple[Row, Row]]:
    """The smaller and the larger of every two rows that differ in one setting alone."""
    families: dict[str, list[Row]] = defaultdict(list)
    for row in _measured(results):
        families[alike(row.case)].append(row)
    for rows in families.values():
        yield from combinations(sorted(rows, key=lambda row: size(row.case)), 2)


def _any_batch(case: Case) -> str:
    return replace(case, batch=1).id


def _any_threads(case: Case) -> str:
    return _of(case, replace(case.target, threads=1))


def _of(case: Case, target: Target) -> str:
    """The id of the same case on another target."""
    return replace(case, target=target).id


def _bits(case: Case) -> int:
    """Of the precision asked for, by its name; 0 for one that names no number."""
    kind = re.split("[:-]", case.target.arithmetic)[0]
    digits = re.search(r"\d+", kind)
    return BITS.get(kind, int(digits[0]) if digits else 0)
