"""Figures: what is drawn is what was measured."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from bench.compare.results import Results
from reports.figures import Shown, figures, ticks
from reports.palette import DARK, colours
from tests.helpers import fake_results as fake


def plotted(results: Results) -> list[list[Shown]]:
    return figures(results)


def one(shown: list[Shown], name: str) -> Shown:
    return next(s for s in shown if s.id.endswith(name))


def test_latency_shows_each_measured_case_with_its_interval() -> None:
    results = fake.realistic()
    group = results.groups[0]
    latency = one(plotted(results)[0], "latency")
    measured = [row for row in group.rows if row.latency.value is not None]
    assert len(latency.figure.data) == len(measured) == 4
    drawn = sorted(
        (trace.x[0], trace.x[0] - trace.error_x.arrayminus[0], trace.x[0] + trace.error_x.array[0])
        for trace in latency.figure.data
    )
    expected = sorted(
        (1e3 * (row.latency.value or 0), 1e3 * (row.latency.low or 0), 1e3 * (row.latency.high or 0))
        for row in measured
    )
    assert np.allclose(drawn, expected)
    hollow = [trace for trace in latency.figure.data if trace.marker.symbol == "circle-open"]
    assert len(hollow) == 1, "the row that may not win"
    assert "baseline" in str(latency.figure.layout.yaxis.ticktext)
    assert latency.figure.layout.xaxis.type != "log"
    assert latency.figure.layout.xaxis.range[0] == 0


def test_a_wide_spread_takes_a_logarithmic_axis() -> None:
    latency = one(plotted(fake.twelve())[0], "latency")
    assert latency.figure.layout.xaxis.type == "log"


def test_ratio_has_a_line_at_one_and_the_relevant_band() -> None:
    results = fake.realistic()
    ratio = one(plotted(results)[0], "ratio")
    shapes = ratio.figure.layout.shapes
    assert any(shape.x0 == shape.x1 == 1 for shape in shapes)
    assert any(shape.x1 == pytest.approx(1 + results.run.relevant) for shape in shapes)
    assert "2" in ratio.caption


def test_the_forest_names_each_verdict_in_the_order_of_ratios() -> None:
    results = fake.judgements()
    forest = one(plotted(results)[0], "ratio")
    dots = [trace for trace in forest.figure.data if trace.marker.symbol != "x-thin"]
    assert [str(dot.text[0]).split(" ", 1)[1] for dot in dots] == [
        "faster",
        "equivalent",
        "equivalent",
        "inconclusive",
        "slower",
        "not comparable",
    ]
    assert [dot.x[0] for dot in dots[:5]] == sorted(dot.x[0] for dot in dots[:5])
    assert [dot.marker.symbol for dot in dots] == ["circle"] * 5 + ["circle-open"]
    (cross,) = [trace for trace in forest.figure.data if trace.marker.symbol == "x-thin"]
    hidden = next(row for row in results.rows if row.case.backend == "openvino")
    assert cross.x == (hidden.quiet_ratio.value,)
    assert cross.y == (1,)
    assert "Cross: without the rounds that others disturbed" in forest.caption
    assert forest.sure
    assert "Lowest: onnxruntime fp32" in forest.caption, "of the ranked"


def test_an_interval_that_allows_nearly_anything_does_not_blow_up_the_axis() -> None:
    asks = [fake.Ask("torch", 0.02), fake.Ask("jax", 0.01, drift=1.0), fake.Ask("mnn", 0.015)]
    results = fake.judged(fake.make("resnet50", asks, seed=2, replicates=2))
    forest = one(plotted(results)[0], "ratio")
    values = [row.ratio.value for row in results.rows if row.ratio.value]
    ends = [trace.x[0] + trace.error_x.array[0] for trace in forest.figure.data]
    starts = [trace.x[0] - trace.error_x.arrayminus[0] for trace in forest.figure.data]
    assert max(row.ratio.high or 0 for row in results.rows) > 100
    assert min(starts) >= min(values) / 4 * 0.999
    assert max(ends) <= 4 * max(values) * 1.001
    assert "Intervals that leave the axis are cut." in forest.caption


def test_variation_counts_every_steady_sample() -> None:
    results = fake.realistic()
    shown = one(plotted(results)[1], "variation")
    measured = [row for row in results.groups[1].rows if row.latency.value is not None]
    assert f"All {sum(row.samples for row in measured):,} steady samples" in shown.caption


def test_two_modes_stay_two() -> None:
    made = fake.make("resnet50", [fake.Ask("torch", 0.01)])
    rng = np.random.default_rng(1)
    for block in made[0].blocks:
        slow = rng.random(block.host_ns.size) < 0.45
        block.host_ns = np.where(slow, 12_800_000, 10_000_000) + rng.integers(-200_000, 200_000, slow.size)
    hill = one(plotted(fake.judged(made))[0], "variation").figure.data[0]
    tops = [0.4 - y for y in hill.y]
    between = [top for x, top in zip(hill.x, tops, strict=True) if 1.06 < x < 1.20]
    assert max(tops) > 0.5
    assert max(between) < 0.05, "a smoothed curve would fill the gap"


def test_missing_intervals_and_nothing_measured() -> None:
    (shown,) = plotted(fake.single())
    assert [s.title for s in shown] == ["Latency", "How it varies"], "nothing to compare with"
    assert one(shown, "latency").figure.data[0].error_x.array is None
    assert plotted(fake.empty()) == [[]]


def test_labels_are_escaped() -> None:
    latency = one(plotted(fake.nasty())[0], "latency")
    assert "<b>bold" not in str(latency.figure.layout.yaxis.ticktext)
    assert "&lt;b&gt;bold" in str(latency.figure.layout.yaxis.ticktext)


def test_every_caption_is_a_sentence() -> None:
    for results in (fake.realistic(), fake.twelve(), fake.nasty(), fake.single()):
        for shown in itertools.chain.from_iterable(plotted(results)):
            assert shown.caption.endswith(".")
            assert "nan" not in shown.caption.lower().split()


@pytest.mark.parametrize("low_high", [(1, 2), (0.44, 1.05), (3, 4000), (0.98, 1.02), (1e-3, 1e5), (9, 11)])
def test_ticks_are_few_round_and_inside(low_high: tuple[float, float]) -> None:
    low, high = low_high
    found = ticks(low, high)
    assert 2 <= len(found) <= 7
    assert all(low <= value <= high for value in found)
    assert found == sorted(set(found))


def luminance(colour: str) -> float:
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    red, green, blue = (p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(a: str, b: str) -> float:
    high, low = sorted((luminance(a), luminance(b)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def test_colours_are_stable_distinct_and_stand_out_in_both_modes() -> None:
    names = ["torch", "onnxruntime", "openvino", "tvm", "jax", "iree", "ncnn", "mnn"]
    found = colours(names)
    assert len(set(found.values())) == len(names)
    assert colours(reversed(names)) == found
    for colour in found.values():
        assert contrast(colour, "#ffffff") >= 3
        assert contrast(DARK[colour], "#14171a") >= 3
    assert len(colours(str(i) for i in range(20))) == 20
