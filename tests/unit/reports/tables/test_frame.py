"""The tables of a run: complete, typed, in stated units, and honest where nothing is known."""

from __future__ import annotations

import math
import shlex

import numpy as np
import pandas as pd
import pytest

from bench.compare.commands import reproduce
from bench.stats import pairs
from reports.tables.frame import COLUMNS, SAMPLE_COLUMNS, frame, records, samples_frame
from tests.helpers import fake_results as fake


def test_the_frame_has_exactly_the_documented_columns() -> None:
    table = frame(fake.realistic())
    assert list(table.columns) == list(COLUMNS)
    assert all(text and text == text.strip() for text in COLUMNS.values())


def test_every_figure_of_a_row_reaches_the_frame() -> None:
    """A field of Row that no column shows is a figure that is lost."""
    results = fake.realistic()
    shown = {
        "record",
        "log",
        "called",
        "runtime_import",
        "runtime_version",
        "quantiles",
        "tails",
        "roofline",
    }  # by another name, or too long
    names = " ".join(COLUMNS)
    for field in type(results.rows[0]).__dataclass_fields__:
        assert field in shown or field.removesuffix("_bytes") in names, field


def test_units() -> None:
    results = fake.realistic()
    row, line = results.rows[0], frame(results).iloc[0]
    assert row.latency.value is not None
    assert line.latency_ms == pytest.approx(row.latency.value * 1e3)
    assert line.latency_low_ms < line.latency_ms < line.latency_high_ms
    assert row.peak_bytes is not None
    assert line.peak_mb == pytest.approx(row.peak_bytes / 1e6)
    assert line.gflops_per_s == pytest.approx(8.2 / row.latency.value)
    assert line.p50_ms == pytest.approx((row.quantiles["p50"] or 0) * 1e3)
    assert line.version == "2.13.0"


def test_what_is_unknown_is_missing_and_dtypes_stay() -> None:
    for results in (fake.nasty(), fake.single(), fake.empty()):
        table = frame(results)
        assert table.latency_ms.dtype == np.float64
        assert isinstance(table.sequence.dtype, pd.Int64Dtype)
        assert table.sequence.isna().all()
        for record in records(table):
            assert all(
                value is None or not isinstance(value, float) or math.isfinite(value)
                for value in record.values()
            )
    assert math.isnan(frame(fake.single()).iloc[0].latency_low_ms)
    assert np.isinf(frame(fake.nasty()).error).sum() == 1, "an infinite error is not an unknown one"


def test_samples_keep_all_and_mark_the_cold() -> None:
    results = fake.realistic()
    samples = samples_frame(results)
    assert list(samples.columns) == list(SAMPLE_COLUMNS)
    blocks = [block for row in results.rows for block in results.blocks[row.case.id]]
    host = samples[samples.boundary == "host"]
    assert host.ns.tolist() == np.concatenate([block.host_ns for block in blocks]).tolist()
    device = samples[samples.boundary == "device"]
    assert device.ns.tolist() == np.concatenate([block.device_ns for block in blocks]).tolist()
    assert device.steady.all()
    for row in results.rows:
        own = host[host.case_id == row.case.id]
        assert own.steady.sum() == row.samples
        for _, block in own.groupby("part"):
            first = block.groupby("round").head(1).steady
            is_cold = float(block.ns.median()) < pairs.FIRST_IS_COLD_NS
            assert (~first).all() if is_cold else first.all()
    assert 0 < (~host.steady).sum() < len(host)


def test_samples_know_their_burst() -> None:
    results = fake.realistic()
    block = results.blocks[results.rows[0].case.id][1]
    own = samples_frame(results).query("case_id == @block.case_id and replicate == 1 and boundary == 'host'")
    for burst in block.bursts:
        part = own[own["round"] == burst.round]
        assert len(part) == burst.count
        assert (part.order == burst.order).all()
        assert (part.disturbed == burst.disturbed).all()
        assert part["sample"].iloc[0] == burst.start


def test_no_samples_is_an_empty_frame_with_its_columns() -> None:
    samples = samples_frame(fake.empty())
    assert list(samples.columns) == list(SAMPLE_COLUMNS)
    assert samples.empty


def test_order_is_ranked_then_unranked_then_without_figures() -> None:
    group = fake.realistic().groups[0]
    rows = group.in_order()
    assert rows[0] is group.winner
    assert [row.ranked for row in rows] == [True, True, True, False, False]
    assert [row.latency.value is None for row in rows] == [False, False, False, False, True]


def test_the_command_reproduces_the_case_and_holds_no_path() -> None:
    results = fake.nasty()
    words = shlex.split(reproduce(results.rows[3].case))
    assert words[:2] == ["bakeoff", "run"]
    assert words[words.index("--backend") + 1] == "<b>bold</b>"
    row = fake.twelve().rows[3]
    assert "--backend tvm:compile-max-autotune " in reproduce(row.case)
    assert reproduce(fake.realistic().groups[1].rows[0].case).endswith("--sequence 128 --threads 2")
    expert = fake.judged(fake.make("resnet50", [fake.Ask("torch", 0.02, preset="expert")]))
    assert reproduce(expert.rows[0].case).endswith("--preset expert")
    weighted = fake.make("resnet50", [fake.Ask("torch", 0.02)])
    case = weighted[0].record.case
    object.__setattr__(case, "weights", "/home/alice/secret.pt")
    assert reproduce(fake.judged(weighted).rows[0].case).endswith("--weights PATH")


def test_a_row_that_was_gone_on_with_says_when_it_was_measured() -> None:
    """The run's own time is that of its first part, and says nothing of a row that came a day later."""
    made = fake.make("resnet50", [fake.Ask("torch", 0.02), fake.Ask("openvino", 0.01)])
    days = ("2026-11-21T10:00:00+00:00", "2026-11-21T10:05:00+00:00", "2026-11-22T09:00:00+00:00")
    for block, day in zip(made[1].blocks, days, strict=True):
        block.started = day
    made[1].blocks[2].status = "wrong-output"  # measured all the same
    first, second = frame(fake.judged(made)).itertuples()
    assert (second.measured_first, second.measured_last) == (days[0], days[2])
    assert first.measured_first == min(block.started for block in made[0].blocks)
