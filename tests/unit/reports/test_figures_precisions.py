"""Accuracy against speed, and memory: only where there are precisions to choose among."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest

from bench.compare.results import Results
from reports.figures import Shown, figures
from reports.figures.axes import log_axis
from reports.figures.keys import by_width, symbols
from reports.palette import PAGE, colours
from tests.helpers import fake_results as fake


def drawn(results: Results, name: str) -> list[Shown | None]:
    plotted = figures(results)
    return [next((one for one in group if one.id.endswith(name)), None) for group in plotted]


@cache
def swept(name: str) -> Shown:
    """A figure of the first group of the sweep."""
    return first(fake.swept(), name)


def first(results: Results, name: str) -> Shown:
    found = drawn(results, name)[0]
    assert found is not None
    return found


def test_accuracy_shows_the_error_of_each_case_over_its_latency() -> None:
    results = fake.swept()
    shown, rows = swept("accuracy"), results.groups[0].rows
    bands, *marks = shown.figure.data
    found = sorted((mark.x[0], mark.y[0]) for mark in marks)
    assert np.allclose(found, sorted((1e3 * (row.latency.value or 0), row.error) for row in rows), atol=0)
    assert shown.figure.layout.yaxis.type == "log"
    assert sorted(bands.y) == sorted(row.band_high for row in rows)
    palette = colours(row.case.backend for row in results.rows)
    shapes = {(mark.marker.line.color, mark.marker.symbol) for mark in marks}
    assert shapes == {(colour, s) for colour in palette.values() for s in ("circle", "square", "diamond")}


def test_accuracy_says_what_is_hollow_and_who_is_best_of_the_ranked() -> None:
    shown = swept("accuracy")
    hollow = [mark for mark in shown.figure.data[1:] if mark.marker.color == (PAGE,)]
    assert [mark.y[0] for mark in hollow] == [0.4]
    assert "not ranked: wrong-output" in hollow[0].hovertext
    assert "band 7.6e-06 to 2.0e-02" in hollow[0].hovertext
    assert "Of the ranked, openvino fp32 (3.0e-06 at 43.1 ms) has the least error" in shown.caption
    assert "openvino int8:qdq (1.4e-02 at 17.2 ms) the least latency" in shown.caption
    assert shown.caption.endswith("Hollow: not ranked, for wrong output.")


def test_an_error_that_no_axis_holds_is_named() -> None:
    asks = [
        fake.Ask("torch", 0.02),
        fake.Ask("torch", 0.01, "bf16", error=6e-3),
        fake.Ask("jax", 0.01, "bf16", status="wrong-output", error=float("inf")),
        fake.Ask("iree", 0.012, error=0.0),
    ]
    shown = first(fake.judged(fake.make("resnet50", asks)), "accuracy")
    assert len(shown.figure.data) == 1 + 2
    assert "Without an error that this axis can show: iree fp32 and jax bf16." in shown.caption


def test_memory_is_what_the_model_added_under_its_backend_from_the_widest_precision() -> None:
    results, shown = fake.swept(), swept("memory")
    labels = [text.strip() for text in shown.figure.layout.yaxis.ticktext]
    assert labels[:5] == ["<b>onnxruntime</b>", "fp32", "bf16", "int8:qdq", "<b>openvino</b>"]
    (bar,) = [bar for bar in shown.figure.data if bar.y[0] == 6]
    row = next(
        row
        for row in results.groups[0].rows
        if (row.case.backend, row.case.target.precision) == ("openvino", "bf16")
    )
    assert bar.x[0] == pytest.approx(60.5)
    assert bar.x[0] == pytest.approx((row.model_bytes or 0) * 1e-6)
    assert len(shown.figure.data) == 9
    hollow = [bar for bar in shown.figure.data if bar.marker.color == "rgba(0,0,0,0)"]
    assert [bar.y[0] for bar in hollow] == [3]
    assert "from 33.0 MB (openvino int8:qdq) to 198 MB (torch fp32) of the ranked" in shown.caption
    assert shown.caption.endswith("Hollow: not ranked, for wrong output.")


@pytest.mark.parametrize("name", ["accuracy", "memory"])
def test_one_precision_says_nothing(name: str) -> None:
    for results in (fake.twelve(), fake.single(), fake.judgements()):
        expected = results is fake.judgements()  # fp32 and fp16
        assert [shown is not None for shown in drawn(results, name)] == [expected]
    assert [shown is not None for shown in drawn(fake.realistic(), name)] == [True, False], "int8 crashed"


def test_names_are_escaped() -> None:
    asks = [fake.Ask("<b>x</b>", 0.02), fake.Ask("<b>x</b>", 0.01, "<i>int8</i>", error=6e-3)]
    results = fake.judged(fake.make("resnet50", asks))
    for name in ("accuracy", "memory"):
        assert "<i>" not in str(first(results, name).figure)


def test_each_precision_has_a_symbol_in_the_order_of_its_width() -> None:
    found = ["int4-weight:32", "int8:qdq", "fp16", "int8-dynamic", "bf16", "odd", "fp32"]
    assert sorted(found, key=by_width)[:5] == ["fp32", "bf16", "fp16", "int8-dynamic", "int8:qdq"]
    assert symbols(found)["fp32"] == "circle"
    assert len(set(symbols(found).values())) == len(found)
    assert len(symbols(str(i) for i in range(20))) == 20


def test_small_numbers_are_powers() -> None:
    labels = log_axis(2e-6, 0.4)["ticktext"]
    assert labels[0] == "10<sup>\N{MINUS SIGN}5</sup>"
    assert labels[-1] == "0.1"
    assert "2×10<sup>\N{MINUS SIGN}6</sup>" in log_axis(1e-6, 5e-6)["ticktext"]
