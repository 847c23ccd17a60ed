"""The figure over batches: a line a configuration, a point a batch, and only where there is a sweep."""

from __future__ import annotations

import dataclasses

import numpy as np

from bench.compare.results import Results
from reports.figures import Shown, sweeps
from reports.figures.axes import place
from reports.palette import PAGE
from tests.helpers import fake_results as fake


def swept(results: Results, workload: str) -> Shown:
    (shown,) = sweeps(results)[workload]
    return shown


def lines(shown: Shown) -> list:
    return [trace for trace in shown.figure.data if trace.mode == "lines+markers"]


def test_a_line_a_configuration_with_the_rate_and_latency_of_each_batch() -> None:
    results = fake.swept()
    drawn = lines(swept(results, "resnet50"))
    assert len(drawn) == 9
    for backend, precision in (("torch", "fp32"), ("openvino", "int8:qdq")):
        rows = [
            row
            for row in results.rows
            if (row.case.workload, row.case.backend) == ("resnet50", backend)
            and row.case.target.precision == precision
        ]
        assert [row.case.batch for row in rows] == [1, 4, 16]
        expected = [(1e3 * (row.latency.value or 0), row.rate) for row in rows]
        assert any(np.allclose(list(zip(line.x, line.y, strict=True)), expected) for line in drawn)
    shown = swept(results, "resnet50")
    assert shown.figure.layout.xaxis.title.text == "latency of one inference in ms, log scale"
    assert shown.figure.layout.annotations[0].text == "images per second"


def test_what_was_not_measured_has_no_line_and_what_may_not_win_is_hollow() -> None:
    results = fake.swept()
    assert len(lines(swept(results, "minilm-l6"))) == 8, "torch bf16 was refused"
    shown = swept(results, "resnet50")
    hollow = [line for line in lines(shown) if PAGE in line.marker.color]
    assert [set(line.marker.color) for line in hollow] == [{PAGE}], "one configuration, at every batch"
    assert shown.caption.endswith("Hollow: not ranked, for wrong output.")
    best = max((row for row in results.rows[:27] if row.ranked), key=lambda row: row.rate or 0)
    assert "Highest: openvino int8:qdq with 67.5 images/s at batch 16" in shown.caption
    assert (best.case.batch, round(best.rate or 0, 1)) == (16, 67.5)
    assert "A point a batch (1, 4 and 16)" in shown.caption


def test_colour_is_the_backend_symbol_the_precision_and_line_the_rest() -> None:
    shown = swept(fake.swept(), "resnet50")
    drawn = lines(shown)
    assert len({line.line.color for line in drawn}) == 3
    assert {line.marker.symbol for line in drawn} == {"circle", "square", "diamond"}
    assert {line.line.dash for line in drawn} == {"solid"}
    texts = [key.text for key in shown.keys]
    assert texts == ["onnxruntime", "openvino", "torch", "fp32", "bf16", "int8:qdq"]
    asks = [fake.Ask("torch", 0.02 / t, threads=t, variant=v) for t in (1, 4) for v in ("", "compile")]
    made = [one for batch in (1, 8) for one in fake.make("resnet50", asks, batch=batch, replicates=1)]
    (shown,) = sweeps(fake.judged(made))["resnet50"]
    assert len({line.line.dash for line in lines(shown)}) == 4
    assert [key.text for key in shown.keys] == [
        "torch",
        "1 thread",
        "compile 1 thread",
        "4 threads",
        "compile 4 threads",
    ]


def test_a_label_is_the_batch_of_a_point_and_serves_those_that_it_would_touch() -> None:
    shown = swept(fake.swept(), "resnet50")
    (labels,) = [trace for trace in shown.figure.data if trace.mode == "markers+text"]
    batches = {
        point: b
        for line in lines(shown)
        for b, *point in zip((1, 4, 16), line.x, line.y, strict=True)
        for point in [tuple(point)]
    }
    axes = [shown.figure.layout[name].to_plotly_json() for name in ("xaxis", "yaxis")]
    labelled = dict(zip(zip(labels.x, labels.y, strict=True), labels.text, strict=True))
    assert set(labelled.values()) == {"1", "4", "16"}
    for point, batch in batches.items():
        where = [place(axis, value) for axis, value in zip(axes, point, strict=True)]
        near = [
            text
            for other, text in labelled.items()
            if abs(place(axes[0], other[0]) - where[0]) < 0.036
            and abs(place(axes[1], other[1]) - where[1]) < 0.061
        ]
        assert str(batch) in near
    assert len(labelled) < len(batches)


def test_no_figure_without_a_sweep() -> None:
    for results in (fake.realistic(), fake.twelve(), fake.single(), fake.empty(), fake.nasty()):
        assert sweeps(results) == {}
    made = fake.make("resnet50", [fake.Ask("torch", 0.02)], batch=1, replicates=1)
    made += fake.make("resnet50", [fake.Ask("torch", 0.1, "bf16")], batch=8, replicates=1)
    assert sweeps(fake.judged(made)) == {}, "two batches, but of no one configuration"


def test_shapes_are_apart() -> None:
    made = []
    for sequence in (128, 512):
        for batch in (1, 8):
            ask = fake.Ask("torch", 0.01 * batch * sequence / 128)
            made += fake.make(
                "minilm-l6", [ask], sequence=sequence, unit="sequence", batch=batch, replicates=1
            )
    made += fake.make("minilm-l6", [fake.Ask("torch", 0.3)], sequence=64, unit="sequence", replicates=1)
    found = sweeps(fake.judged(made))["minilm-l6"]
    assert [shown.title for shown in found] == [f"Throughput against latency, s{s}" for s in (128, 512)]
    assert len({shown.id for shown in found}) == 2
    assert [len(lines(shown)) for shown in found] == [1, 1]


def test_weights_are_apart() -> None:
    batches = [fake.make("resnet50", [fake.Ask("torch", 0.02 * b)], batch=b, replicates=1) for b in (1, 8)]
    made = [one for batch in batches for one in batch]
    results = fake.judged([*made, *(with_weights(one, "f00d") for one in made)])
    found = sweeps(results)["resnet50"]
    assert [len(lines(shown)) for shown in found] == [1, 1]
    assert sweeps(fake.judged([made[0], with_weights(made[1], "f00d")])) == {}


def with_weights(made: fake.Made, content: str) -> fake.Made:
    """The same case with other weights."""
    case = dataclasses.replace(made.record.case, content=content)
    blocks = tuple(dataclasses.replace(block, case_id=case.id) for block in made.blocks)
    return fake.Made(dataclasses.replace(made.record, case=case), blocks)


def test_many_batches_are_told_by_the_first_and_the_last() -> None:
    asks = [fake.Ask("torch", 0.2)]
    made = [one for b in range(1, 12) for one in fake.make("resnet50", asks, batch=b, replicates=1)]
    (shown,) = sweeps(fake.judged(made))["resnet50"]
    assert "A point a batch (1 to 11)" in shown.caption
    assert len(lines(shown)[0].x) == 11
