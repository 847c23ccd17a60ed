"""Numbers as people read them."""

from __future__ import annotations

import math

import pytest

from bench.interfaces.estimate import Estimate
from bench.text import estimates, numbers


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0"),
        (12.34, "12.3"),
        (999.6, "1,000"),
        (0.9996, "1.00"),
        (1234.5, "1,230"),
        (-3.14159, "-3.14"),
        (2.5e-4, "0.000250"),
        (1.2e-5, "1.20e-05"),
        (None, "–"),
        (math.nan, "–"),
        (math.inf, "–"),
    ],
)
def test_three_significant_digits(value: float | None, text: str) -> None:
    assert numbers.significant(value) == text


def test_one_unit_for_a_column() -> None:
    assert numbers.time_unit([0.005, 0.02, 3.0]).name == "ms"
    assert numbers.time_unit([4e-7]).name == "ns"
    assert numbers.time_unit([0.9999999]).name == "s"
    assert numbers.time_unit([None, math.nan]).name == "ms"


def test_intervals() -> None:
    narrow = Estimate(0.0123, 0.0122, 0.0124, 3)
    assert estimates.interval(narrow, numbers.MILLISECONDS) == "12.3 ms ±0.81 %"
    wide = Estimate(0.012, 0.0098, 0.0188, 3)
    assert estimates.interval(wide, numbers.MILLISECONDS) == "12.0 ms [9.80, 18.8]"
    vast = Estimate(0.012, 8e-7, 96_000.0, 2)
    assert estimates.interval(vast, numbers.MILLISECONDS) == "12.0 ms ±over 900 %"
    assert estimates.interval(Estimate(0.012, None, None, 1), numbers.MILLISECONDS) == "12.0 ms"
    assert estimates.interval(Estimate(None, None, None, 0), numbers.MILLISECONDS) == "–"
    assert estimates.spread(Estimate(1.0, 0.0, math.inf, 2)) == "–"


@pytest.mark.parametrize(
    ("estimate", "shown"),
    [
        (Estimate(0.5, 0.486, 0.514, 3), "0.500×"),
        (Estimate(0.5, 0.484, 0.516, 3), "~0.500×"),
        (Estimate(0.5, None, None, 1), "~0.500×"),
        (Estimate(0.5, 0.0, math.inf, 2), "~0.500×"),
        (Estimate(None, None, None, 0), "–"),
    ],
)
def test_a_ratio_that_is_not_sharp_is_marked(estimate: Estimate, shown: str) -> None:
    assert estimates.ratio(estimate) == shown


def test_durations_and_sizes() -> None:
    assert numbers.duration(164) == "2 min 44 s"
    assert numbers.duration(0.0893) == "89.3 ms"
    assert numbers.duration(None) == "–"
    assert numbers.megabytes(1.339e8) == "134 MB"
    assert numbers.difference(0.02) == "2 %"
    assert numbers.factor(None) == "–"
    assert numbers.span([3, None, 3]) == "3"
    assert numbers.span([10, 40, 12]) == "10 to 40"
    assert numbers.count(1, "process", "processes") == "1 process"
