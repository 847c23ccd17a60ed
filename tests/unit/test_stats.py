"""Estimates against oracles: SciPy, brute force, and simulations with a known answer."""

import itertools

import numpy as np
import pytest
from scipy import stats as oracle

from bench import stats


def test_hodges_lehmann_is_the_median_of_walsh_averages() -> None:
    x = np.random.default_rng(0).normal(size=11)
    pairs = [(a + b) / 2 for a, b in itertools.combinations_with_replacement(x, 2)]
    assert stats.hodges_lehmann(x) == pytest.approx(np.median(pairs))


def test_t_interval_is_scipys() -> None:
    x = np.random.default_rng(1).normal(3, 2, size=7)
    mean, low, high = stats.t_interval(x, 0.9)
    expected = oracle.t.interval(0.9, 6, x.mean(), oracle.sem(x))
    assert (mean, low, high) == pytest.approx((x.mean(), *expected))


def test_one_generation_has_no_interval() -> None:
    assert stats.log_estimate([2.0]) == stats.Estimate(pytest.approx(2.0), None, None, 1)
    assert stats.log_estimate([]) == stats.Estimate(None, None, None, 0)


@pytest.mark.parametrize("generations", [3, 6, 12])
def test_the_ratio_interval_covers_as_often_as_it_says(generations: int) -> None:
    rng = np.random.default_rng(generations)
    draws = rng.normal(np.log(0.9), 0.02, size=(2000, generations))
    found = [stats.ratio_estimate(d) for d in draws]
    covered = np.mean([e.low <= 0.9 <= e.high for e in found])
    assert covered == pytest.approx(0.95, abs=0.015)


def test_paired_ratio_survives_what_hits_both() -> None:
    rng = np.random.default_rng(2)
    wander = np.exp(rng.normal(0, 0.3, size=20))
    a, b = 1.1 * wander, wander
    assert stats.paired_log_ratio(a, b) == pytest.approx(np.log(1.1))


@pytest.mark.parametrize(("quantile", "needed"), [(0.5, 6), (0.95, 72), (0.99, 368), (0.999, 3688)])
def test_samples_that_a_percentile_takes(quantile: float, needed: int) -> None:
    assert stats.samples_needed(quantile) == needed


def test_no_tail_without_samples_or_blocks() -> None:
    few = stats.quantiles(np.arange(71.0), blocks=3)
    assert few["p50"] == 35.0
    assert few["p95"] is None
    assert stats.quantiles(np.arange(72.0), blocks=3)["p95"] == pytest.approx(
        np.quantile(np.arange(72.0), 0.95)
    )
    assert stats.quantiles(np.arange(72.0), blocks=2)["p95"] is None


def test_half_width_is_relative() -> None:
    assert stats.Estimate(2.0, 1.8, 2.2, 3).half_width == pytest.approx(0.1)
    assert stats.Estimate(2.0, None, None, 1).half_width is None
