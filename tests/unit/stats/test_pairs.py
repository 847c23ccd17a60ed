"""Which samples are steady, which bursts are pairs, and how two cases meet that never lived together."""

from __future__ import annotations

import itertools
import math
from dataclasses import replace

import numpy as np
import pytest

from bench.interfaces.backend import Target
from bench.interfaces.block import Block
from bench.interfaces.case import Case
from bench.stats.estimates import hodges_lehmann
from bench.stats.pairing import Pairing
from bench.stats.pairs import (
    FIRST_IS_COLD_NS,
    burst_medians,
    log_ratios,
    marked_rounds,
    measured,
    paired_rounds,
    replicate_logs,
    steady,
    steady_burst,
)
from tests.helpers.blocks import block

A, B, X, Y = (Case("net", "c", 1, None, name, Target()) for name in "abxy")


def part(number: int, replicate: int, **milliseconds: float) -> list[Block]:
    """A part of three rounds, each twice as slow as the one before; a constant latency for each case."""
    cases = {"a": A, "b": B, "x": X, "y": Y}
    return [
        block(cases[name], replicate, [ms, 2 * ms, 4 * ms], part=number) for name, ms in milliseconds.items()
    ]


def pairing(*parts: list[Block]) -> Pairing:
    found: dict[str, list[Block]] = {}
    for one in itertools.chain.from_iterable(parts):
        found.setdefault(one.case_id, []).append(one)
    return Pairing(found)


def logs_of(ratios: list[float]) -> object:
    return pytest.approx([math.log(ratio) for ratio in ratios])


def test_the_cold_first_is_left_out_below_50_ms_where_others_remain() -> None:
    short, long = block(A, 0, [10.0, 20.0]), block(A, 0, [50.0, 60.0])
    assert steady(short).tolist() == [10_000_000] * 3 + [20_000_000] * 3
    assert steady(long).size == 8
    assert FIRST_IS_COLD_NS == 50_000_000
    alone = replace(short, bursts=[replace(short.bursts[0], count=1)])
    assert steady(alone).tolist() == [100_000_000]
    two = replace(short, bursts=[replace(short.bursts[0], count=2)])
    assert steady(two).tolist() == [10_000_000]
    assert steady_burst(short, short.bursts[1]).tolist() == [20_000_000] * 3
    assert steady_burst(long, long.bursts[1]).tolist() == [600_000_000] + [60_000_000] * 3
    assert burst_medians(short) == {0: 10e6, 1: 20e6}
    assert steady(short, {(0, 0)}).tolist() == [20_000_000] * 3
    assert steady(short, {(1, 0)}).size == 6  # of another part
    assert steady(short, {(0, 0), (0, 1)}).size == 0


def test_what_failed_or_has_no_burst_is_not_measured() -> None:
    good = block(A, 0, [10.0])
    wrong, crashed, empty = (
        replace(good, status="wrong-output"),
        replace(good, status="crashed"),
        replace(good, bursts=[]),
    )
    assert measured([crashed, good, empty, wrong]) == [good, wrong]


def test_a_round_is_marked_for_all_workers_of_its_part() -> None:
    blocks = [block(A, 0, [10.0] * 3, disturbed=[1]), block(B, 0, [10.0] * 3), block(A, 1, [10.0], part=7)]
    assert marked_rounds(blocks) == {(0, 1)}


def test_rounds_of_one_part_are_paired_by_their_number() -> None:
    own = [*part(0, 0, a=10), *part(3, 1, a=12), *part(4, 1, a=30)]
    other = [*part(0, 0, b=20), *part(3, 1, b=10), *part(5, 1, b=10)]
    found = paired_rounds(own, other)
    assert {key: [list(one) for one in parts] for key, parts in found.items()} == {
        0: [logs_of([0.5] * 3)],
        1: [logs_of([1.2] * 3)],
    }
    late = [replace(other[0], bursts=other[0].bursts[1:])]
    assert [one.size for one in paired_rounds(own, late)[0]] == [2]
    assert [one.size for one in paired_rounds(own, other, {(0, 2)})[0]] == [2]
    assert 0 not in paired_rounds(own, other, {(0, 0), (0, 1), (0, 2)})
    assert [*paired_rounds([*part(1, 1, a=1), *part(0, 0, a=1)], [*part(1, 1, b=1), *part(0, 0, b=1)])] == [
        0,
        1,
    ]


def test_a_replicate_is_hodges_lehmann_over_rounds_and_the_mean_of_its_parts() -> None:
    rounds = np.array([0.0, 0.1, 0.5])
    found = replicate_logs({3: [rounds, rounds + 1], 4: [rounds]})
    assert found == pytest.approx([hodges_lehmann(rounds) + 0.5, hodges_lehmann(rounds)])
    assert log_ratios(part(0, 0, a=10), part(0, 0, b=20)) == logs_of([0.5])


def test_two_that_lived_together_need_no_third() -> None:
    found = pairing(part(0, 0, a=10, b=20, x=99), part(1, 1, a=11, b=20))
    assert found.logs(A.id, B.id, [X.id]) == logs_of([0.5, 0.55])
    assert found.logs(B.id, A.id) == logs_of([2, 1 / 0.55])


def test_two_that_never_met_are_compared_through_a_third() -> None:
    """The parts ran at different speeds; the third's share of that falls out."""
    found = pairing(
        part(0, 0, a=10, x=10), part(1, 0, b=60, x=30), part(2, 1, a=22, x=10), part(3, 1, b=60, x=60)
    )
    assert found.logs(A.id, B.id) == []
    assert found.logs(A.id, B.id, [X.id]) == logs_of([0.5, 2.2])
    assert found.logs(B.id, A.id, [X.id]) == logs_of([2, 1 / 2.2])
    assert found.logs(A.id, "nobody", [X.id]) == []


def test_the_third_is_the_first_that_reaches_the_most_replicates() -> None:
    both = [part(0, 0, a=10, x=10, y=5), part(1, 0, b=10, x=20, y=20)]
    by_y = [part(2, 1, a=30, y=10), part(3, 1, b=10, y=10)]
    found = pairing(*both, *by_y)
    assert found.logs(A.id, B.id, [X.id]) == logs_of([2])
    assert found.logs(A.id, B.id, [X.id, Y.id]) == logs_of([4, 3])
    assert pairing(*both).logs(A.id, B.id, [X.id, Y.id]) == logs_of([2])
    seldom = pairing(part(9, 0, a=10, b=11), *both, *by_y)
    assert seldom.logs(A.id, B.id) == logs_of([10 / 11])
    assert len(seldom.logs(A.id, B.id, [Y.id])) == 2


def test_a_third_counts_in_the_replicates_that_it_shares_with_both() -> None:
    found = pairing(
        part(0, 0, a=10, x=10), part(1, 0, b=20, x=10), part(2, 1, a=30, x=10), part(3, 2, b=10, x=10)
    )
    assert found.logs(A.id, B.id, [X.id]) == logs_of([0.5])


def test_a_third_is_not_asked_where_two_met_in_every_replicate_that_they_share() -> None:
    """`x` would reach as many; the direct pairs of one part are truer than what two parts make."""
    found = pairing(part(0, 0, a=10, b=20, x=10), part(1, 1, a=10, x=10), part(2, 2, b=10, x=10))
    assert found.logs(A.id, B.id, [X.id]) == logs_of([0.5])


def test_a_broken_clock_gives_no_ratio() -> None:
    assert pairing(part(0, 0, a=0, b=10)).logs(A.id, B.id) == []
    assert pairing(part(0, 0, a=0, b=10), part(1, 1, a=10, b=10)).logs(A.id, B.id) == [0.0]


def test_medians_are_taken_of_each_block_once() -> None:
    found = pairing(part(0, 0, a=10, x=10), part(1, 0, b=60, x=30))
    first = found.logs(A.id, B.id, [X.id])
    for blocks in found._blocks.values():
        for one in blocks:
            one.host_ns = np.zeros_like(one.host_ns)
    assert found.logs(A.id, B.id, [X.id]) == first
