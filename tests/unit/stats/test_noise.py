"""Noise within and between replicates, and what it asks for, against SciPy, simulations and brute force."""

import itertools
import math

import numpy as np
import pytest
from scipy import stats as oracle

from bench.stats import noise as noises
from bench.stats.estimates import Floats, hodges_lehmann
from bench.stats.noise import ASSUMED, Costs, Noise, noise

PLAIN = Noise(0.06, 0.01)


def simulated(
    within: float, between: float, rounds: int, replicates: int, seed: int, parts: int = 1
) -> dict[int, list[Floats]]:
    """The parts of a replicate share its truth."""
    rng = np.random.default_rng(seed)
    truths = rng.normal(0.1, between, replicates)
    return {g: [rng.normal(truth, within, rounds) for _ in range(parts)] for g, truth in enumerate(truths)}


@pytest.mark.parametrize(("within", "between"), [(0.05, 0.02), (0.02, 0.05), (0.05, 0.0)])
def test_both_sources_are_recovered(within: float, between: float) -> None:
    found = noise(simulated(within, between, 20, 400, seed=0))
    # The Hodges-Lehmann estimate of normal values has π / 3 of the mean's variance.
    assert found.within == pytest.approx(within * math.sqrt(math.pi / 3), rel=0.06)
    assert found.between == pytest.approx(between, rel=0.1, abs=0.004)
    assert (found.rounds, found.replicates) == (20, 400)
    estimates = [hodges_lehmann(parts[0]) for parts in simulated(within, between, 20, 400, 1).values()]
    assert found.of_replicate(20) == pytest.approx(np.std(estimates), rel=0.1)


def test_parts_of_a_replicate_are_averaged() -> None:
    found = noise(simulated(0.06, 0.01, 10, 400, seed=2, parts=4))
    assert found.within == pytest.approx(0.06 * math.sqrt(1.16 * math.pi / 3), rel=0.04)
    assert found.between == pytest.approx(0.01, rel=0.2)
    assert noise(simulated(0.06, 0.0, 10, 400, seed=3, parts=4)).between < 0.004


def test_noise_by_its_definition() -> None:
    paired = {0: [np.array([0.0, 0.2, 0.1])], 1: [np.array([0.5, 0.9, 0.4, 0.6])]}
    own = [noises.jackknife_variance(parts[0]) for parts in paired.values()]
    variance = np.mean(own)
    estimates = [hodges_lehmann(parts[0]) for parts in paired.values()]
    between = math.sqrt(np.var(estimates, ddof=1) - variance)
    assert noise(paired) == Noise(pytest.approx(math.sqrt(variance * 3.5)), pytest.approx(between), 3.5, 2)


def test_noise_takes_two_replicates_and_two_rounds() -> None:
    one = np.array([0.1, 0.2])
    assert noise({}) is None
    assert noise({0: [one]}) is None
    assert noise({0: [one[:1]], 1: [one[:1]]}) is None
    assert noise({0: [one], 1: [one]}) == Noise(pytest.approx(0.05 * math.sqrt(2)), 0.0, 2, 2)
    # A part with one round tells of its replicate, not of the rounds.
    found = noise({0: [one], 1: [one[:1]]})
    assert (found.rounds, found.replicates) == (2, 2)


def test_from_replicates_by_its_definition() -> None:
    assert noises.from_replicates([0.1, 0.3], 0.005, 10) == Noise(
        pytest.approx(math.sqrt(0.05)), pytest.approx(math.sqrt(0.015)), 10, 2
    )
    found = noises.from_replicates([0.1, 0.3], 0.005, 10, parts_each=2)
    assert found.between == pytest.approx(math.sqrt(0.0175))
    assert noises.from_replicates([0.1, 0.1], 0.005, 10).between == 0


@pytest.mark.parametrize(("rounds", "over"), [(10, 1.16), (30, 1.06)])
def test_the_jackknife_knows_the_variance_of_the_estimate(rounds: int, over: float) -> None:
    """π/3 × σ²/n for many normal values; the jackknife errs upwards, the less the more there are."""
    draws = np.random.default_rng(rounds).normal(0, 0.05, (1500, rounds))
    found = np.mean([noises.jackknife_variance(one) for one in draws])
    assert found == pytest.approx(over * math.pi / 3 * 0.05**2 / rounds, rel=0.05)
    assert 1 < found / np.var([hodges_lehmann(one) for one in draws]) < 1.25


@pytest.mark.parametrize("size", [2, 3, 4, 9])
def test_the_jackknife_by_its_definition(size: int) -> None:
    x = np.random.default_rng(size).normal(size=size)
    left = [hodges_lehmann(np.delete(x, i)) for i in range(size)]
    assert noises.jackknife_variance(x) == pytest.approx((size - 1) * np.var(left))
    assert noises.jackknife_variance(x) > 0


def test_a_replicate_scatters_by_both() -> None:
    assert PLAIN.of_replicate(9) == pytest.approx(math.sqrt(0.01**2 + 0.06**2 / 9))
    assert PLAIN.of_replicate(1) > PLAIN.of_replicate(2)
    assert (ASSUMED.within, ASSUMED.between, ASSUMED.rounds, ASSUMED.replicates) == (0.10, 0.01, 0, 0)


@pytest.mark.parametrize("level", [0.9, 0.95])
@pytest.mark.parametrize("replicates", [2, 3, 24])
def test_the_half_width_is_that_of_the_t_interval(replicates: int, level: float) -> None:
    sigma = math.sqrt(0.01**2 + 0.06**2 / 10)
    half = oracle.t.ppf((1 + level) / 2, replicates - 1) * sigma / math.sqrt(replicates)
    assert noises.half_width(PLAIN, 10, replicates, level) == pytest.approx(math.expm1(half))
    assert noises.half_width(PLAIN, 10, replicates) == noises.half_width(PLAIN, 10, replicates, 0.95)


def test_no_half_width_under_two_replicates() -> None:
    assert noises.half_width(PLAIN, 10, 1) == math.inf
    assert noises.half_width(PLAIN, 10, 0) == math.inf


def test_tempered_counts_what_is_assumed_as_four_replicates() -> None:
    seen = Noise(0.1, 0.03, 20, 5)
    between = math.sqrt((4 * 0.03**2 + 4 * noises.ASSUMED_BETWEEN**2) / (4 + 4))
    assert noises.tempered(seen) == Noise(0.1, pytest.approx(between), 20, 5)
    assert noises.tempered(Noise(0.1, 0.03, 20, 0)).between == pytest.approx(noises.ASSUMED_BETWEEN)
    assert noises.tempered(Noise(0.1, 0.0, 20, 2)).between > 0
    assert noises.tempered(Noise(0.1, 0.05, 20, 1000)).between == pytest.approx(0.05, rel=0.01)


def test_replicates_for_a_width() -> None:
    for width in (0.5, 0.05, 0.03, 0.02, 0.012):
        n = noises.replicates_for(PLAIN, 10, width)
        assert noises.half_width(PLAIN, 10, n) <= width
        assert n == 2 or noises.half_width(PLAIN, 10, n - 1) > width
    exact = noises.half_width(PLAIN, 10, 7)
    assert noises.replicates_for(PLAIN, 10, exact) == 7
    assert noises.replicates_for(PLAIN, 10, 10.0) == 2
    assert noises.replicates_for(PLAIN, 10, 1e-9) == 1000
    assert noises.replicates_for(PLAIN, 10, 1e-9, most=50) == 50
    assert noises.replicates_for(PLAIN, 10, 0.02, 0.9) < noises.replicates_for(PLAIN, 10, 0.02)
    assert noises.replicates_for(PLAIN, 10, 0.02) == noises.replicates_for(PLAIN, 10, 0.02, 0.95)


def test_a_replicate_costs_its_start_and_its_rounds() -> None:
    assert Costs(5.0, 0.3).of(10) == pytest.approx(8.0)


def test_the_best_rounds_are_those_of_brute_force() -> None:
    for within, between, start, turn in itertools.product(
        (0.01, 0.06, 0.2), (0.005, 0.01, 0.05), (1.0, 8.0), (0.3, 1.0)
    ):
        seen, costs = Noise(within, between), Costs(start, turn)

        def price(rounds: int, seen: Noise = seen, costs: Costs = costs) -> float:
            """Variance that a second leaves."""
            return seen.of_replicate(rounds) ** 2 * costs.of(rounds)

        best = min(range(1, 200), key=price)
        found = noises.best_rounds(seen, costs, 1, 200)
        assert abs(found - best) <= 1
        assert price(found) == pytest.approx(price(best), rel=0.02)
        assert noises.best_rounds(seen, costs, 10, 40) == min(max(found, 10), 40)


def test_the_best_rounds_at_the_ends() -> None:
    costs = Costs(9.0, 1.0)
    assert noises.best_rounds(Noise(0.04, 0.01), costs, 1, 100) == 12
    assert noises.best_rounds(Noise(0.06, 0.0), costs, 10, 40) == 40
    assert noises.best_rounds(Noise(0.0, 0.01), costs, 10, 40) == 10
    assert noises.best_rounds(PLAIN, Costs(9.0, 0.0), 10, 40) == 40
    assert noises.best_rounds(Noise(0.06, 1e-9), costs, 10, 40) == 40


def test_rounds_within_a_time_are_those_of_brute_force() -> None:
    costs = Costs(4.0, 0.5)
    for left, done, most in itertools.product((10.0, 60.0, 300.0), (0, 2, 5), (6, 24)):
        widths = {
            rounds: noises.half_width(PLAIN, rounds, n)
            for rounds in range(10, 41)
            if (n := min(most, done + int(left / (4.0 + 0.5 * rounds)))) > done
        }
        found = noises.best_rounds_within(PLAIN, costs, 10, 40, left, done, most)
        assert found == min(widths, key=lambda rounds: widths[rounds], default=10)


def test_with_little_time_fewer_rounds_make_more_replicates() -> None:
    costs = Costs(2.0, 0.5)
    assert noises.best_rounds(Noise(0.06, 0.001), costs, 10, 40) == 40
    assert noises.best_rounds_within(Noise(0.06, 0.001), costs, 10, 40, 21.0, 0, 24) == 10
    assert noises.best_rounds_within(Noise(0.06, 0.001), costs, 10, 40, 1e6, 3, 24) == 40


def test_a_replicate_that_no_longer_fits_is_not_chosen() -> None:
    """With two replicates there, 10 s buy one more of 10 rounds (8 s) and none of 40 (23 s)."""
    costs = Costs(3.0, 0.5)
    noisy = Noise(1.0, 0.0)
    assert noises.best_rounds_within(noisy, costs, 10, 40, 10.0, 2, 24) == 14
    assert noises.best_rounds_within(noisy, costs, 10, 40, 8.0, 2, 24) == 10
    assert noises.best_rounds_within(noisy, costs, 10, 40, 1.0, 2, 24) == 10
