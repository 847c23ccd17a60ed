"""Estimates and their intervals against oracles: SciPy, brute force, and simulations with a known answer."""

import itertools
import math

import numpy as np
import pytest
from scipy import stats as oracle

from bench.interfaces.estimate import Estimate
from bench.stats import estimates
from tests.helpers.chance import holds


def test_hodges_lehmann_is_the_median_of_walsh_averages() -> None:
    rng = np.random.default_rng(0)
    for size in range(1, 12):
        x = rng.normal(size=size)
        pairs = [(a + b) / 2 for a, b in itertools.combinations_with_replacement(x, 2)]
        assert estimates.hodges_lehmann(x) == pytest.approx(np.median(pairs))


def test_hodges_lehmann_counts_each_value_with_itself() -> None:
    assert estimates.hodges_lehmann([0, 1, 5]) == pytest.approx((1 + 2.5) / 2)  # 0 .5 1 2.5 3 5


def test_hodges_lehmann_inverts_the_signed_rank_test() -> None:
    """Where the values are symmetric about it, Wilcoxon's statistic is as near the middle as it gets."""
    x = np.random.default_rng(1).normal(size=15)

    def up(at: float) -> float:
        return float(oracle.wilcoxon(x - at, alternative="greater").statistic)

    at = estimates.hodges_lehmann(x)
    assert up(at + 0.01) <= 15 * 16 / 4 <= up(at - 0.01)


@pytest.mark.parametrize("size", [2, 3, 7, 24])
@pytest.mark.parametrize("level", [0.9, 0.95, 1 - 0.05 / 3])
def test_t_interval_is_scipys(size: int, level: float) -> None:
    x = np.random.default_rng(size).normal(3, 2, size=size)
    expected = oracle.t.interval(level, size - 1, x.mean(), oracle.sem(x))
    assert estimates.t_interval(x, level) == pytest.approx((x.mean(), *expected))


def test_the_level_is_95_percent_unless_asked() -> None:
    x = [0.1, 0.4, 0.2]
    assert estimates.t_interval(x) == estimates.t_interval(x, 0.95)
    assert estimates.log_estimate(np.exp(x)) == estimates.log_estimate(np.exp(x), 0.95)
    assert estimates.ratio_estimate(x) == estimates.ratio_estimate(x, 0.95)


def test_the_interval_of_one_value_is_infinite() -> None:
    assert estimates.t_interval([3.0]) == (3.0, -math.inf, math.inf)


def test_no_variance_no_width() -> None:
    assert estimates.t_interval([2.0, 2.0]) == (2.0, 2.0, 2.0)
    assert estimates.log_estimate([2.0, 2.0]) == Estimate(*[pytest.approx(2.0)] * 3, 2)


def test_a_log_estimate_is_the_geometric_mean_with_the_interval_of_the_logs() -> None:
    x = np.random.default_rng(2).lognormal(1, 0.5, size=8)
    found = estimates.log_estimate(x, 0.9)
    low, high = oracle.t.interval(0.9, 7, np.log(x).mean(), oracle.sem(np.log(x)))
    assert found == Estimate(
        pytest.approx(oracle.gmean(x)), pytest.approx(np.exp(low)), pytest.approx(np.exp(high)), 8
    )


def test_one_replicate_has_a_value_and_no_interval_and_none_has_neither() -> None:
    assert estimates.log_estimate([2.0]) == Estimate(pytest.approx(2.0), None, None, 1)
    assert estimates.log_estimate([]) == Estimate(None, None, None, 0)
    assert estimates.ratio_estimate([math.log(2)]) == Estimate(pytest.approx(2.0), None, None, 1)
    assert estimates.ratio_estimate([]) == Estimate(None, None, None, 0)


def test_a_ratio_is_the_exponential_of_the_mean_log() -> None:
    found = estimates.ratio_estimate(np.log([0.5, 0.8]), 0.9)
    assert found.value == pytest.approx(math.sqrt(0.4))
    assert found == estimates.log_estimate([0.5, 0.8], 0.9)


@pytest.mark.parametrize("replicates", [3, 6, 12, 24])
@pytest.mark.parametrize("level", [0.9, 0.95])
def test_intervals_hold_the_truth_as_often_as_they_say(replicates: int, level: float) -> None:
    rng = np.random.default_rng(replicates)
    draws = rng.normal(np.log(0.9), 0.02, size=(1500, replicates))
    ratios = [estimates.ratio_estimate(d, level) for d in draws]
    assert holds([e.low <= 0.9 <= e.high for e in ratios], level)
    latencies = [estimates.log_estimate(np.exp(d), level) for d in draws]
    assert [e.low for e in latencies] == pytest.approx([e.low for e in ratios])
    plain = [estimates.t_interval(d, level) for d in draws]
    assert holds([low <= np.log(0.9) <= high for _, low, high in plain], level)


def test_half_width_is_half_the_interval_over_the_value() -> None:
    assert Estimate(2.0, 1.8, 2.4, 3).half_width == pytest.approx(0.15)
    assert Estimate(2.0, None, None, 1).half_width is None
    assert Estimate(2.0, 1.0, None, 1).half_width is None
    assert Estimate(2.0, None, 3.0, 1).half_width is None
    assert Estimate(None, None, None, 0).half_width is None
    assert Estimate(0.0, -1.0, 1.0, 3).half_width is None
