"""Exports: what is read back is what was judged."""

from __future__ import annotations

import builtins
import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from bench.interfaces.errors import BakeoffError, UsageError
from reports.exporters import export, formats, markdown
from reports.tables.frame import COLUMNS, SAMPLE_COLUMNS, frame, samples_frame
from tests.helpers import fake_results as fake


def read(format: str, path: Path) -> pd.DataFrame:
    if format == "csv":
        return pd.read_csv(path, keep_default_na=False, na_values=[""])
    if format == "parquet":
        return pd.read_parquet(path)
    document = json.loads(path.read_text(encoding="utf-8"))
    return pd.DataFrame(document["rows"], columns=list(document["columns"]))


def test_the_formats_are_the_files() -> None:
    assert formats() == ["csv", "json", "markdown", "parquet"]


@pytest.mark.parametrize("format", ["csv", "json", "parquet"])
def test_cases_round_trip(format: str, tmp_path: Path) -> None:
    results = fake.realistic()
    path = export(format, results, tmp_path / f"out.{format}")
    found, expected = read(format, path), frame(results)
    assert list(found.columns) == list(COLUMNS)
    for column in ("latency_ms", "latency_low_ms", "ratio", "error", "peak_mb", "sequence"):
        pd.testing.assert_series_equal(
            found[column].astype("float64"), expected[column].astype("float64"), rtol=1e-12, check_dtype=False
        )
    for column in ("case_id", "backend", "status", "precision_ran", "reproduce"):
        assert found[column].fillna("").tolist() == expected[column].tolist()
    assert found.ranked.tolist() == expected.ranked.tolist()


@pytest.mark.parametrize("format", ["csv", "json", "parquet"])
def test_samples_round_trip(format: str, tmp_path: Path) -> None:
    results = fake.realistic()
    path = export(format, results, tmp_path / "out", samples=True)
    found, expected = read(format, path), samples_frame(results)
    assert list(found.columns) == list(SAMPLE_COLUMNS)
    assert found.ns.tolist() == expected.ns.tolist()
    assert found.boundary.tolist() == expected.boundary.tolist()
    assert found.steady.tolist() == expected.steady.tolist()


@pytest.mark.parametrize("format", ["csv", "json", "parquet"])
@pytest.mark.parametrize("make", [fake.nasty, fake.single, fake.empty])
def test_hard_results_are_written(format: str, make: Any, tmp_path: Path) -> None:
    results = make()
    for samples in (False, True):
        assert len(read(format, export(format, results, tmp_path / "out", samples=samples))) >= 0
    assert len(read(format, export(format, results, tmp_path / "out"))) == len(results.rows)


def test_json_holds_no_constants_of_its_own(tmp_path: Path) -> None:
    path = export("json", fake.nasty(), tmp_path / "out.json")

    def refuse(word: str) -> None:
        raise AssertionError(f"{word} is not JSON")

    document = json.loads(path.read_text(encoding="utf-8"), parse_constant=refuse)
    assert document["bakeoff"] == 1
    assert document["run"]["id"] == "20261122-111903"
    assert document["columns"]["ratio"] == COLUMNS["ratio"]


def test_parquet_describes_its_columns(tmp_path: Path) -> None:
    import pyarrow.parquet as pq

    schema = pq.read_schema(export("parquet", fake.single(), tmp_path / "out.parquet"))
    assert schema.field("ratio").metadata[b"description"].decode() == COLUMNS["ratio"]


def test_paths_are_left_behind(tmp_path: Path) -> None:
    ask = fake.Ask("torch", status="failed", reason="cannot read /home/alice/models/m.onnx")
    results = fake.judged(fake.make("resnet50", [ask]))
    for format in ("csv", "json"):
        text = export(format, results, tmp_path / "out").read_text(encoding="utf-8")
        assert "alice" not in text
        assert "m.onnx" in text


def test_what_ran_leaves_paths_behind_too(tmp_path: Path) -> None:
    asks = [fake.Ask("torch", 0.02), fake.Ask("jax", 0.01, ran="/home/alice/lib/kernels.so")]
    results = fake.judged(fake.make("resnet50", asks))
    assert results.rows[1].verdict is not None
    assert "kernels.so" in results.rows[1].verdict.reason
    text = export("csv", results, tmp_path / "out").read_text(encoding="utf-8")
    assert "kernels.so" in text
    assert "alice" not in text


def test_json_carries_what_the_linter_found(tmp_path: Path) -> None:
    made = fake.make("resnet50", [fake.Ask("torch", 0.02)])
    made[0].blocks[0].host_ns[3] = 0
    found = json.loads(export("json", fake.judged(made), tmp_path / "out").read_text(encoding="utf-8"))
    one = next(one for one in found["findings"] if one["rule"] == "sample-not-positive")
    assert one["kind"] == "wrong"
    assert one["case_ids"] == [found["rows"][0]["case_id"]]
    assert one["look"]
    clean = json.loads(export("json", fake.single(), tmp_path / "out").read_text(encoding="utf-8"))
    assert clean["findings"] == []


def test_an_unknown_format(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="parket") as caught:
        export("parket", fake.single(), tmp_path / "out")
    assert "parquet" in caught.value.hint
    for name in ("__init__", "../files", ""):
        with pytest.raises(UsageError):
            export(name, fake.single(), tmp_path / "out")


def test_without_pyarrow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def without(name: str, *rest: Any, **more: Any) -> Any:
        if name.startswith("pyarrow"):
            raise ImportError("No module named 'pyarrow'")
        return real(name, *rest, **more)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(BakeoffError) as caught:
        export("parquet", fake.single(), tmp_path / "out")
    assert caught.value.hint == "pip install 'bakeoff[parquet]'"
    assert not (tmp_path / "out").exists()


def test_a_place_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(BakeoffError, match="cannot write"):
        export("csv", fake.single(), tmp_path / "file" / "out.csv")
    with pytest.raises(BakeoffError, match="is a folder"):
        export("csv", fake.single(), tmp_path)


def test_a_failed_write_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "out.csv"
    path.write_text("old")

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(BakeoffError, match="No space left") as caught:
        export("csv", fake.single(), path)
    assert "free some disk space" in caught.value.hint
    assert path.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["out.csv"]


def test_markdown_has_a_column_a_configuration_and_numbers_the_reasons(tmp_path: Path) -> None:
    results = fake.realistic()
    text = export("markdown", results, tmp_path / "out.md").read_text()
    assert results.run.versions["torch"] in text
    for row in results.rows:
        assert row.case.backend_spec in text
    tables = [line for line in text.splitlines() if line.startswith("|")]
    assert len({line.count("|") for line in tables}) <= 2 * len(results.groups)
    unranked = [row for row in results.rows if not row.ranked]
    assert unranked
    reasons = text.partition("Reasons\n")[2]
    for row in unranked:
        said = (row.reason if row.status != "ok" else row.unranked_because).splitlines()[0]
        assert said[:20].translate(markdown.SPECIAL) in reasons
    assert all(f"({n})" in text for n in range(1, reasons.count("\n") - 1))


def test_markdown_has_a_row_a_configuration_where_those_are_many(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def cells() -> list[list[list[str]]]:
        text = export("markdown", fake.realistic(), tmp_path / "out.md").read_text()
        blocks = [block.splitlines() for block in text.split("\n\n") if block.startswith("|")]
        return [[line[2:-2].split(" | ") for line in [block[0], *block[2:]]] for block in blocks]

    across = cells()
    monkeypatch.setattr(markdown, "ACROSS", 0)
    down = cells()
    assert {table[0][0] for table in across} == {"precision"}
    assert {table[0][0] for table in down} == {"configuration"}
    for one, other in zip(across, down, strict=True):
        other[0][0] = one[0][0]
        assert [list(line) for line in zip(*other, strict=True)] == one


def test_markdown_has_each_band_of_a_precision_once() -> None:
    rows = [
        replace(fake.realistic().rows[0], band_low=low, band_high=high)
        for low, high in ((1e-5, 0.4), (None, None), (1e-5, 0.4), (1e-5, 0.3))
    ]
    assert markdown._band(rows) == "1.0e-05 to 0.40 or 1.0e-05 to 0.30"
    assert markdown._band(rows[1:2]) == markdown.UNTOLD


def test_markdown_takes_nothing_for_markup(tmp_path: Path) -> None:
    text = export("markdown", fake.nasty(), tmp_path / "out.md").read_text()
    assert "<script" not in text
    assert export("markdown", fake.empty(), tmp_path / "empty.md").read_text().startswith("# ")
    with pytest.raises(UsageError, match="no samples"):
        export("markdown", fake.single(), tmp_path / "no.md", samples=True)
