"""Changes of level: exact against ruptures' PELT, rare on steady noise, found where there is a step."""

from __future__ import annotations

import math

import numpy as np
import pytest
import ruptures

from bench.interfaces.backend import Target
from bench.interfaces.block import Block
from bench.interfaces.case import Case
from bench.stats.estimates import Floats
from bench.stats.steadiness import (
    LEAST_ROUNDS,
    PENALTY,
    best_places,
    changed_late,
    changepoints,
    relative_levels,
    unsteady,
)
from tests.helpers.blocks import block

CASES = {name: Case("cnn", "c", 1, None, name, Target()) for name in "abcd"}
A, B, C, D = (one.id for one in CASES.values())


def step(rounds: int, place: int, size: float = 0.3, seed: int = 0, noise: float = 0.01) -> Floats:
    return np.random.default_rng(seed).normal(0, noise, rounds) + size * (np.arange(rounds) >= place)


@pytest.mark.parametrize("penalty", [0.5, 3.0, 10.0])
def test_places_are_those_of_pelt(penalty: float) -> None:
    rng = np.random.default_rng(1)
    found = 0
    for size in (4, 5, 10, 17, 40):
        for _ in range(4):
            x = rng.normal(size=size) + 3 * (np.arange(size) > rng.integers(size)) - rng.normal()
            pelt = ruptures.KernelCPD(kernel="linear", min_size=2).fit(x[:, None]).predict(pen=penalty)
            assert best_places(x, penalty) == pelt[:-1]
            found += len(pelt) - 1
    slow = ruptures.Pelt(model="l2", min_size=2, jump=1).fit(x).predict(pen=penalty)
    assert best_places(x, penalty) == slow[:-1]
    assert found > 3


def test_the_penalty_is_what_a_level_must_save() -> None:
    x = np.array([0.0, 0.0, 0.0, 2.0, 2.0, 2.0])  # one level costs 6, two cost nothing
    assert best_places(x, 6.001) == []
    assert best_places(x, 5.999) == [3]


def test_a_single_odd_round_is_no_level() -> None:
    x = np.zeros(12)
    x[[0, 6, 11]] = 5.0
    assert best_places(x, 60.0) == []
    noisy = step(20, 20)
    for odd in (3.0, -3.0):
        noisy[15] = odd
        assert changepoints(noisy) == []


def two_modes(rng: np.random.Generator, workers: int, rounds: int) -> Floats:
    """Log burst medians of a part: the machine is in either of two modes, which workers feel differently."""
    mode = np.cumsum(rng.random(rounds) < 1 / rng.choice([2, 5, 20])) % 2
    machine = rng.normal(0, 0.1, rounds) + 0.28 * mode
    own = rng.normal(0, 0.03, (workers, rounds))
    odd = (rng.random(own.shape) < 0.03) * rng.exponential(0.3, own.shape)
    return machine * rng.normal(1, 0.05, (workers, 1)) + own + odd


def late(logs: Floats) -> bool:
    """Whether the first worker is called unsteady."""
    return changed_late(relative_levels([dict(enumerate(np.exp(one))) for one in logs])[0])


@pytest.mark.parametrize(("rounds", "power"), [(10, 0.3), (20, 0.55), (40, 0.85)])
def test_false_alarms_are_rare_and_a_step_of_10_percent_is_found(rounds: int, power: float) -> None:
    rng = np.random.default_rng(rounds)
    draws = [two_modes(rng, workers, rounds) for workers in (3, 4) for _ in range(150)]
    false = float(np.mean([late(one) for one in draws]))
    assert 0.005 < false < 0.05 + 2 * math.sqrt(0.05 * 0.95 / len(draws))
    for one in draws:
        one[0, math.ceil(0.75 * rounds) :] += 0.1
    assert np.mean([late(one) for one in draws]) > power


def test_only_the_last_third_counts() -> None:
    assert [changed_late(step(12, place)) for place in (3, 7, 8, 10, 11)] == [False, False, True, True, False]
    assert [changed_late(step(15, place)) for place in (9, 10, 13)] == [False, True, True]
    both = step(30, 5) + step(30, 25, -0.3)
    assert changepoints(both) == [5, 25]
    assert changed_late(both)
    assert changed_late(step(12, 8, -0.3))


def test_levels_without_noise() -> None:
    assert changepoints(np.zeros(20)) == []
    assert changepoints(1e-12 * step(20, 15)) == []
    assert changepoints(np.where(np.arange(20) < 15, 0.0, 0.1)) == [15]


def test_the_penalty_grows_with_the_rounds() -> None:
    """Noise of exactly ±1 about levels `gap` apart: a split saves rounds / 4 × gap²."""
    for rounds in (12, 40):
        need = math.sqrt(PENALTY * math.log(rounds) * 4 / rounds)
        scatter = np.tile([1.0, -1.0], rounds // 2)
        spread = 1.4826 * 2 / math.sqrt(2)  # as the steps of ± 2 show it
        high = np.arange(rounds) >= rounds / 2
        assert changepoints(scatter + 0.9 * need * spread * high) == []
        assert changepoints(scatter + 1.1 * need * spread * high) == [rounds // 2]


def test_the_machine_is_divided_out() -> None:
    rng = np.random.default_rng(2)
    machine = np.exp(rng.normal(0, 0.3, 20))
    own = np.exp(rng.normal(0, 0.01, (4, 20)))
    speeds = [1.0, 30.0, 7.0, 200.0]
    medians = [dict(enumerate(s * machine * o)) for s, o in zip(speeds, own, strict=True)]
    found = relative_levels(medians)
    assert max(np.abs(one).max() for one in found) < 0.1
    assert np.median(found, axis=0) == pytest.approx(np.zeros(20), abs=1e-12)
    # Two workers: each is half as far from the round's median as from the other.
    a, b = relative_levels(medians[:2])
    logs = [np.log(list(one.values())) for one in medians[:2]]
    apart = (logs[0] - np.median(logs[0])) - (logs[1] - np.median(logs[1]))
    assert a == pytest.approx(apart / 2)
    assert b == pytest.approx(-apart / 2)


def test_workers_need_not_share_all_rounds() -> None:
    a, b = relative_levels([{0: 1.0, 1: 2.0, 2: 1.0}, {1: 6.0, 0: 2.0}])
    assert (a.size, b.size) == (3, 2)
    assert a[2] == 0  # alone in its round


def part(number: int, failed: str = "", **levels: Floats) -> list[Block]:
    """Blocks of the cases named, whose own log levels are these."""
    wander = np.exp(np.random.default_rng(number).normal(0, 0.2, 60))
    bursts = {name: 10 * np.exp(x) * wander[: len(x)] for name, x in levels.items()}
    made = [block(CASES[name], 0, found, part=number) for name, found in bursts.items()]
    for one in made:
        one.status = "crashed" if one.case_id == failed else "ok"
    return made


def test_blocks_are_judged_against_those_of_their_part() -> None:
    still = np.zeros(20)  # nothing of its own
    first = part(0, a=step(20, 15, seed=9), b=still, c=still, d=still)
    second = part(1, a=still, b=still, c=step(20, 15, seed=9), d=still)
    third = part(2, a=step(20, 4, seed=8), b=still, c=still, d=still)
    found = unsteady(iter(first + second + third))
    assert {key for key, late in found.items() if late} == {(A, 0), (C, 1)}
    assert len(found) == 12


def test_of_two_workers_either_may_be_the_one() -> None:
    found = unsteady(part(0, a=step(20, 15), b=step(20, 20, seed=1)))
    assert found == {(A, 0): True, (B, 0): True}


def test_who_is_alone_or_short_or_failed_is_not_judged() -> None:
    assert unsteady([]) == {}
    assert unsteady(part(0, a=step(20, 15))) == {}
    assert LEAST_ROUNDS == 10
    rounds = 9
    assert unsteady(part(0, a=step(rounds, 7), b=step(rounds, rounds))) == {}
    assert len(unsteady(part(0, a=step(rounds + 1, 7), b=step(rounds, rounds)))) == 1
    failed = part(0, failed=C, a=step(20, 15), b=step(20, 20), c=step(20, 15, seed=3))
    assert set(unsteady(failed)) == {(A, 0), (B, 0)}
    assert unsteady(part(0, failed=B, a=step(20, 15), b=step(20, 20))) == {}
