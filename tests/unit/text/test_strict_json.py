"""What leaves the process is JSON that every reader takes, and nothing is lost by it."""

import ast
import io
import json
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from bench.cli import doctor
from bench.compare.commands import written
from bench.compare.judge import results
from bench.compare.rows import row as row_of
from bench.interfaces.backend import Target
from bench.interfaces.block import Block, Burst
from bench.interfaces.case import Case
from bench.progress.jsonl import JsonProgress
from bench.store.records import CaseRecord, RunRecord
from bench.store.sqlite import Store
from bench.text import strict_json
from reports.exporters import export
from reports.figures.shown import shown
from reports.html import page

ROOT = Path(__file__).parents[3]
INF, NAN = math.inf, math.nan


def parsed(text: str) -> Any:
    """As a reader does that knows no constants of Python's."""

    def refuse(word: str) -> None:
        raise AssertionError(f"{word} is not JSON")

    return json.loads(text, parse_constant=refuse)


def test_what_json_has_not_is_null_and_a_note() -> None:
    document = {"a": INF, "b": [1.5, {"c/d~e": -INF}], "n": np.float32("nan"), "ok": 2.0, "text": "inf"}
    assert parsed(strict_json.dumps(document)) == {
        "a": None,
        "b": [1.5, {"c/d~e": None}],
        "n": None,
        "ok": 2.0,
        "text": "inf",
        "not_finite": {"/a": "inf", "/b/1/c~1d~0e": "-inf", "/n": "nan"},
    }
    assert parsed(strict_json.dumps([{"a": INF}, {"a": 1.0}, NAN])) == [
        {"a": None, "not_finite": {"/a": "inf"}},
        {"a": 1.0},
        None,
    ]
    assert parsed(strict_json.dumps(NAN)) is None
    assert strict_json.dumps({"a": [1.0]}) == '{"a": [1.0]}'
    assert strict_json.dumps({"a": [1.0]}, compact=True) == '{"a":[1.0]}'


def test_the_values_come_back() -> None:
    document = {"a": INF, "b": [1.5, {"c/d~e": -INF}], "ok": 2.0}
    assert strict_json.loads(strict_json.dumps(document)) == document
    listed = [{"a": INF}, {"a": [NAN]}, 3]
    found = strict_json.loads(strict_json.dumps(listed))
    assert found[0] == {"a": INF}
    assert math.isnan(found[1]["a"][0])
    assert found[2] == 3
    assert strict_json.loads('{"a": Infinity}') == {"a": INF}  # as older stores have it


@pytest.mark.parametrize(
    "note", ['"x"', '{"/b": "inf"}', '{"a": "inf"}', '{"/a/0": "inf"}', '{"/a": "x"}', '{"/a": 1}']
)
def test_a_note_about_nothing_is_no_error(note: str) -> None:
    assert strict_json.loads(f'{{"a": null, "not_finite": {note}}}')["a"] in (None, 1.0)


def test_an_encoding_that_cannot_hold_it_gets_escapes() -> None:
    document = {"name": "50 µs × é"}
    assert strict_json.dumps(document) == '{"name": "50 µs × é"}'
    for encoding in ("ascii", "cp1252", None, "utf-8"):
        text = strict_json.dumps(document, encoding=encoding)
        assert text.isascii() == (encoding == "ascii")
        assert json.loads(text) == document
    no_text = {"path": "caf\udce9"}  # a file name in Latin-1 where names are UTF-8
    strict_json.dumps(no_text).encode()
    assert json.loads(strict_json.dumps(no_text)) == no_text


# where it leaves the process


def broken() -> Block:
    """What a worker whose outputs hold NaN becomes."""
    check = {
        "error": INF,
        "max_abs": INF,
        "cosine": -1.0,
        "note": "output 'y' has 3 of 10 values that are not finite",
    }
    return Block(
        fake_case().id,
        0,
        0,
        "wrong-output",
        reason=f"before timing: {check['note']}",
        verification={"before": check, "after": check, "low": 0.0, "high": 1e-5},
        figures={"load_ns": NAN},
        gpu={"sm_mhz": INF},
        bursts=[Burst(0, 0, 0, 4, 0, 0, {"steal_ns": INF})],
        host_ns=np.array([9, 8, 8, 8], dtype=np.int64),
    )


def fake_case(**options: Any) -> Case:
    return Case("resnet50", "c", 1, None, "torch", Target(options=options))


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store.open(tmp_path / "s.sqlite", create=True) as opened:
        opened.create_run(RunRecord("20260101-000000", "quick", "finished", "2026-01-01", machine={"x": INF}))
        opened.add_cases("20260101-000000", [CaseRecord(fake_case(), band={"low": 0.0, "high": 1e-5})])
        opened.add_blocks("20260101-000000", [broken()])
        yield opened


def test_the_stores_json_is_strict_and_reads_back_the_same(store: Store) -> None:
    for table, columns in (("runs", "facts"), ("cases", "facts"), ("blocks", "facts, bursts")):
        for found in store._db.execute(f"SELECT {columns} FROM {table}").fetchall():
            for text in found:
                parsed(text)
    (block,) = store.blocks("20260101-000000")
    assert block.verification == broken().verification
    assert math.isnan(block.figures["load_ns"])
    assert block.bursts == broken().bursts
    assert store.run().machine == {"x": INF}


def test_a_store_of_old_means_the_same(store: Store) -> None:
    """It holds Python's words: the row is wrong output with its reason, and its error is infinite."""
    facts = json.dumps({"reason": broken().reason, "verification": broken().verification})
    store._db.execute("UPDATE blocks SET facts = ?", (facts,))
    (old,) = results(store).rows
    (new,) = (row_of(CaseRecord(fake_case(), band={"low": 0.0, "high": 1e-5}), [broken()], []),)
    assert (old.status, old.reason, old.error) == (new.status, new.reason, new.error)
    assert old.error == INF
    assert old.reason == "before timing: output 'y' has 3 of 10 values that are not finite"


def test_an_error_that_is_no_number_is_the_worst() -> None:
    for order in ((NAN, 1e-6), (1e-6, NAN)):
        block = broken()
        block.verification = {when: {"error": e} for when, e in zip(("before", "after"), order, strict=True)}
        assert row_of(CaseRecord(fake_case()), [block], []).error == INF


def test_an_event_is_strict() -> None:
    out = io.StringIO()
    JsonProgress(out)("block", {"block": broken()})
    found = parsed(out.getvalue())
    assert found["block"]["verification"]["before"]["error"] is None
    assert found["not_finite"]["/block/verification/before/error"] == "inf"
    assert found["block"]["reason"] == broken().reason


@pytest.mark.parametrize("format", ["csv", "json", "parquet"])
def test_an_export_has_an_empty_field_and_says_why(format: str, store: Store, tmp_path: Path) -> None:
    path = export(format, results(store), tmp_path / f"out.{format}")
    if format == "csv":
        (found,) = pd.read_csv(path, keep_default_na=False, dtype=str).to_dict("records")
        assert found["error"] == ""
        assert not {"inf", "-inf", "nan"} & set(found.values())
    elif format == "json":
        (found,) = parsed(path.read_text(encoding="utf-8"))["rows"]
        assert found["error"] is None
    else:
        import pyarrow.parquet as pq

        (found,) = pq.read_table(path).to_pylist()
        assert found["error"] is None
    assert found["not_finite"] == "load_ms is nan, sm_mhz is inf, error is inf"
    assert found["status"] == "wrong-output"


def test_the_pages_data_is_strict() -> None:
    import plotly.graph_objects as go

    figure = go.Figure(go.Scatter(x=[1.0, NAN], y=[INF, 2.0]))
    found = parsed(page._data([[shown("g0", "t", "c", figure, 100)]], ()))
    assert found["figures"]["g0"]["data"][0]["x"] == [1.0, None]


def test_a_machine_that_finds_nothing_is_strict_too(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    @dataclass
    class Found:
        width: float

    monkeypatch.setattr("bench.doctor.diagnose", lambda store: Found(INF))
    doctor.command(type("Options", (), {"json": True, "store": Path("s.sqlite")})())
    assert parsed(capsys.readouterr().out) == {"width": None, "not_finite": {"/width": "inf"}}


def test_an_option_that_is_not_finite_is_typed_as_yaml_has_it() -> None:
    from bench.suite.configuration import parse_side

    case = fake_case(a=INF, b=-INF)
    side = parse_side(written(case, ()))
    assert side.options["a"] == INF
    assert side.options["b"] == -INF


# the rule

ALLOWED = {
    # keys, which nobody reads
    "bench/interfaces/case.py": "the id's canonical facts, and options in a label",
    "bench/cache/artefacts.py": "an artefact's key",
    "bench/environments/locate.py": "a fingerprint, and what another interpreter prints for it",
    "bench/compare/across_machines.py": "a key",
    "bench/machine/label.py": "a key",
    "bench/compare/match.py": "a key",
    "bench/prepare/graph.py": "a key",
    "bench/interfaces/workload.py": "a key",
    "tools/workload_states.py": "the table of tensors in this package, when a developer makes it anew",
    "bench/contract/suite.py": "a key, and what a process of the contract prints for it",
    "bench/contract/models.py": "keys of the contract's tiny models",
    # the wire between bakeoff's own processes
    "bench/processes/answers.py": "what any child process answers",
    "bench/processes/wire.py": "parent and worker",
    "bench/prepare/__main__.py": "a converter's result",
    "bench/prepare/converters/band.py": "a converter's result",
    "bench/prepare/converters/builds.py": "a converter's result",
    "bench/prepare/launch.py": "a converter's job",
    "backends/xla/formats/vhlo.py": "beside a model file, for the worker",
    "backends/tensorrt/build.py": "beside an engine, for the worker",
    "backends/tvm/tuned.py": "beside a library, for the worker",
    # the writer itself
    "bench/text/strict_json.py": "the writer",
}


def writes_json(source: str) -> bool:
    """Whether code calls `json.dump` or `json.dumps`, under whatever name."""
    tree = ast.parse(source)
    names = {"dump", "dumps"}
    direct = any(
        isinstance(node, ast.ImportFrom)
        and node.module == "json"
        and names & {one.name for one in node.names}
        for node in ast.walk(tree)
    )
    modules = {
        one.asname or one.name
        for node in ast.walk(tree)
        if isinstance(node, ast.Import)
        for one in node.names
        if one.name == "json"
    }
    return direct or any(
        isinstance(node, ast.Attribute)
        and node.attr in names
        and isinstance(node.value, ast.Name)
        and node.value.id in modules
        for node in ast.walk(tree)
    )


def test_nobody_else_writes_json() -> None:
    rooms = ("bench", "reports", "benchmarks", "backends", "workloads", "tools")
    files = {str(p.relative_to(ROOT)): p for room in rooms for p in sorted((ROOT / room).rglob("*.py"))}
    found = {name for name, path in files.items() if writes_json(path.read_text(encoding="utf-8"))}
    assert found <= ALLOWED.keys(), "write with bench.text.strict_json, or say here who alone reads it"
    assert found == ALLOWED.keys()


@pytest.mark.parametrize(
    "code", ["import json\njson.dumps(1)", "import json as j\nj.dump(1, f)", "from json import dumps"]
)
def test_the_rule_sees_what_it_forbids(code: str) -> None:
    assert writes_json(code)
    assert not writes_json("import json\njson.loads('1')\nstrict.dumps(1)")


def test_what_pytest_benchmark_saves_is_strict() -> None:
    from types import SimpleNamespace

    from bench.pytest_plugin import READY, pytest_pyfunc_call

    benchmark = SimpleNamespace(extra_info={}, has_error=False)
    case = SimpleNamespace(problem="", facts={"error": INF}, close_books=lambda: "")
    item = SimpleNamespace(stash={READY: case}, funcargs={"benchmark": benchmark})
    hook = pytest_pyfunc_call(item)
    next(hook)
    with pytest.raises(StopIteration):
        hook.send(None)
    assert benchmark.extra_info == {"error": None, "not_finite": {"/error": "inf"}}
