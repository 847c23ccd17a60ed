"""The machine judged from an A/A recording: exact shares, and resampled comparisons of known truth."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import binomtest

from bench.compare.self_test import SLOWDOWNS, Share, resample, study
from bench.stats.estimates import Floats
from bench.stats.noise import Costs
from bench.suite.profiles import PROFILES

AB = PROFILES["ab"]
COSTS = Costs(2.0, 0.4)


def recorded(
    within: float, between: float, replicates: int = 30, bias: float = 0.0
) -> dict[int, list[Floats]]:
    rng = np.random.default_rng(3)
    means = rng.normal(bias, between, replicates)
    return {g: [rng.normal(mean, within, 30)] for g, mean in enumerate(means)}


@pytest.mark.parametrize(("count", "of"), [(0, 40), (3, 40), (17, 20), (20, 20)])
def test_shares_have_the_exact_binomial_interval(count: int, of: int) -> None:
    oracle = binomtest(count, of).proportion_ci(0.95, "exact")
    assert Share(count, of).interval == pytest.approx((oracle.low, oracle.high))


def test_like_sides_are_seldom_told_apart_and_a_calm_machine_proves_them_equivalent() -> None:
    calm = study(recorded(0.03, 0.004), COSTS, AB, 0.02, 120.0, comparisons=100)
    assert calm is not None
    assert calm.false.count <= 3
    assert calm.equivalent.count >= 80
    assert calm.noise.within == pytest.approx(0.03, rel=0.25)
    assert calm.bias[1] < 0 < calm.bias[2]


def test_power_grows_with_the_slow_down_and_falls_with_the_noise() -> None:
    calm = study(recorded(0.03, 0.004), COSTS, AB, 0.02, 120.0, comparisons=60)
    loud = study(recorded(0.15, 0.03), COSTS, AB, 0.02, 120.0, comparisons=60)
    assert calm is not None
    assert loud is not None
    assert tuple(power.slowdown for power in calm.power) == SLOWDOWNS
    found = [power.found.count for power in calm.power]
    assert found == sorted(found)
    assert found[1] >= 54  # 3 % on a calm machine
    assert loud.power[1].found.count < found[1] / 2
    assert loud.power[1].needed_s > calm.power[1].needed_s
    assert loud.power[0].seconds is None


def test_a_comparison_ends_at_a_look_or_within_the_budget() -> None:
    rng = np.random.default_rng(4)
    source = [part for parts in recorded(0.01, 0.001).values() for part in parts]
    sure = resample(source, 0.1, COSTS, AB, 0.02, 600.0, rng)
    assert (sure.word, sure.replicates) == ("slower", AB.looks[0])
    assert sure.seconds <= AB.looks[0] * COSTS.of(40)
    noisy = [part for parts in recorded(0.3, 0.1).values() for part in parts]
    open_ = resample(noisy, 0.0, COSTS, AB, 0.02, 60.0, rng)
    assert open_.seconds <= 60.0
    assert open_.word == "inconclusive"


def test_an_exchange_of_the_sides_hides_a_bias_of_the_recording_from_the_false_verdicts() -> None:
    biased = study(recorded(0.03, 0.004, bias=0.05), COSTS, AB, 0.02, 120.0, comparisons=40)
    assert biased is not None
    assert biased.bias[1] > 0  # so it is said: like sides differ here
    assert biased.equivalent.count < 20


def test_too_little_is_no_study() -> None:
    assert study(recorded(0.03, 0.004, 2), COSTS, AB, 0.02, 120.0) is None
    assert study({}, COSTS, AB, 0.02, 120.0) is None
