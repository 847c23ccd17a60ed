"""Stores that earlier bakeoffs wrote open, show and compare as they did.

`kept/schema-N.sqlite.gz` were written by the bakeoff of that schema, and `kept/shown.json` is what the last
one of schema 2 showed of either. A figure that changes here changes what published runs say: that is a
decision, with a line in the CHANGELOG, and no repair of this test.
"""

from __future__ import annotations

import gzip
import json
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from bench.cli import main
from bench.compare.judge import results
from bench.machine.label import LABEL, LABEL_FROM
from bench.store.schema import SCHEMA_VERSION
from bench.store.sqlite import Store

HERE = Path(__file__).parent / "kept"
# Columns and sentences said `generation` then.
SHOWN: dict[str, Any] = json.loads((HERE / "shown.json").read_text().replace("generation", "replicate"))
BASE, NEW = SHOWN["rows"]
SCHEMAS = range(1, SCHEMA_VERSION)


def version(path: Path) -> int:
    db = sqlite3.connect(path)
    (found,) = db.execute("PRAGMA user_version").fetchone()
    db.close()
    return int(found)


@pytest.fixture(params=SCHEMAS, ids=lambda schema: f"schema {schema}")
def old(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    path = tmp_path / "old.sqlite"
    path.write_bytes(gzip.decompress((HERE / f"schema-{request.param}.sqlite.gz").read_bytes()))
    assert version(path) == request.param
    return path


def near(value: Any) -> Any:
    """What is equal to it but for the last digits of numbers."""
    if isinstance(value, dict):
        return {key: near(one) for key, one in value.items()}
    if isinstance(value, list):
        return [near(one) for one in value]
    return pytest.approx(value, rel=1e-9) if isinstance(value, float) else value


def shown(capsys: pytest.CaptureFixture[str], *typed: str) -> dict[str, Any]:
    assert main([*typed, "--json"]) == 0
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


def test_a_store_of_every_earlier_schema_is_kept() -> None:
    assert [path.name for path in sorted(HERE.glob("*.gz"))] == [
        f"schema-{schema}.sqlite.gz" for schema in SCHEMAS
    ]


@pytest.mark.parametrize("run", [BASE, NEW])
def test_it_shows_the_same(run: str, old: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = shown(capsys, "show", run, "--store", str(old))["rows"]
    wanted = SHOWN["rows"][run]
    assert len(rows) == len(wanted) == 8
    for row, want in zip(rows, wanted, strict=True):
        assert {key: row[key] for key in want} == near(want)
        assert row["reference"] in (None, ""), "an older store does not say"
    assert version(old) == SCHEMA_VERSION


def test_it_compares_the_same(old: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = shown(capsys, "compare", BASE, NEW, "--store", str(old))
    assert {key: found[key] for key in SHOWN["compare"]} == near(SHOWN["compare"])


def test_its_page_is_written(old: Path, tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    assert main(["report", BASE, "--store", str(old), "--output", str(page)]) == 0
    assert "resnet50" in page.read_text(encoding="utf-8")


def test_merge_takes_it(old: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    schema, into = version(old), tmp_path / "all.sqlite"
    assert main(["merge", f"old box={old}", "--into", str(into)]) == 0
    capsys.readouterr()
    assert version(old) == schema, "a source is only read"
    with Store.open(into) as store:
        runs = store.runs()
        assert [(run.machine[LABEL], run.machine[LABEL_FROM]) for run in runs] == [("old box", "given")] * 2
        latencies = [row.latency.value and row.latency.value * 1e3 for row in results(store, BASE).rows]
    assert latencies == near([row.get("latency_ms") for row in SHOWN["rows"][BASE]])


def test_what_it_does_not_say_is_at_its_default(old: Path) -> None:
    with Store.open(old) as store:
        assert store.rounds(BASE) == store.estimates(BASE) == []
        for record in store.cases(BASE):
            assert record.origin == record.reference == {}
        assert {block.replicate for block in store.blocks(BASE)} >= {0, 1, 2}
        assert not any(block.faithful or block.quality for block in store.blocks(BASE))
