"""Rows, groups and files tell apart what is not the same, and the command of a row measures that row."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from bench import pytest_plugin
from bench.cli.parser import parse
from bench.cli.sweep import suite_from
from bench.compare import naming
from bench.compare.commands import reproduce, written
from bench.compare.naming import name
from bench.compare.results import Results
from bench.compare.within_run import compare_within
from bench.interfaces.backend import Capabilities, Support, Target
from bench.interfaces.case import Case, settings
from bench.machine.budget import Budget
from bench.plan.plan import plan
from bench.plugins import backend_registry
from bench.store.records import CaseRecord
from bench.suite.configuration import parse_side
from reports.exporters import export, markdown
from reports.figures import sweeps
from reports.html import page as html_page
from reports.tables import columns
from reports.tables.frame import frame
from tests.helpers import fake_results as fake
from tests.helpers.fake_results import Ask, Made

BASE = Case("resnet50", "a" * 64, 1, None, "onnxruntime", Target(threads=2, options={"a": 1}))
OTHER: Mapping[str, Any] = {  # a value that differs from BASE's, for each field of a case
    "workload": "mobilenet-v2",
    "content": "b" * 64,
    "batch": 2,
    "sequence": 64,
    "backend": "torch",
    "version": "1.30.0",
    "scenario": "server",
    "twin": "2",
    "context": 64,
    "rotate": 4,
}
OF_TARGET: Mapping[str, Any] = {
    "device": "cuda:0",
    "precision": "bf16",
    "threads": 1,
    "preset": "expert",
    "variant": "openvino",
    "options": {"a": 2},
}
SAME_ID = {"weights", "role"}  # the content says which weights, the backend which role


def variants() -> list[Case]:
    """BASE, and a case for each field in which it alone differs; and options that people could confuse."""
    found = [BASE, *(replace(BASE, **{key: value}) for key, value in OTHER.items())]
    found += [replace(BASE, target=replace(BASE.target, **{key: value})) for key, value in OF_TARGET.items()]
    options: list[dict[str, Any]] = [{"a": "1"}, {"a": True}, {"a": "true"}, {"a": [1]}, {"b": 1}, {}]
    found += [replace(BASE, target=replace(BASE.target, options=one)) for one in options]
    found += [replace(BASE, content=end * 64, weights="/home/alice/private.pt") for end in "cd"]
    return found


@pytest.fixture(autouse=True)
def any_option(monkeypatch: pytest.MonkeyPatch) -> None:
    """Options of every kind of value, which no backend has."""
    monkeypatch.setattr(type(backend_registry.get("onnxruntime")), "options", None)


def judged(cases: Sequence[Case]) -> Results:
    """Cases that took turns, all alike."""
    ask = Ask("onnxruntime", 0.02)
    bases = {case.group: case.id for case in reversed(cases)}
    made = [
        Made(
            CaseRecord(case, bases[case.group] == case.id, "image", {"flops": 1e9}, {"high": 1e-5}),
            fake.make_blocks(case, ask, i),
        )
        for i, case in enumerate(cases)
    ]
    return fake.judged(made)


@pytest.fixture(scope="module")
def results() -> Results:
    return judged(variants())


def alike(texts: Sequence[Any]) -> list[Any]:
    return sorted({str(text) for text in texts if list(texts).count(text) > 1})


def test_every_field_has_its_other_value() -> None:
    """A field that is added must be told apart too: give it another value above."""
    assert {field.name for field in fields(Case)} == {*OTHER, *SAME_ID, "target", "axes"}
    assert {field.name for field in fields(Target)} == set(OF_TARGET)
    assert len({case.id for case in variants()}) == len(variants())


def test_every_field_has_a_column() -> None:
    names = {field.name for one in (Case, Target) for field in fields(one)} - {"target", "axes"}
    assert set(naming.FIELDS) == names
    assert set(naming.axes(BASE)) == names
    assert set(columns.IDENTITY) <= set(columns.COLUMNS)
    assert len(columns.IDENTITY) == len(names)


def test_the_axis_columns_tell_all_rows_apart(results: Results, tmp_path: Path) -> None:
    table = frame(results)
    assert len(table) == len(variants())
    assert not table.duplicated(list(columns.IDENTITY)).any()
    written_table = pd.read_csv(export("csv", results, tmp_path / "x.csv"), dtype=str, keep_default_na=False)
    assert not written_table.duplicated(list(columns.IDENTITY)).any()
    parquet = pd.read_parquet(export("parquet", results, tmp_path / "x.parquet"))
    assert not parquet.duplicated(list(columns.IDENTITY)).any()


def test_weights_are_told_by_what_they_hold_and_not_by_where_they_lie(
    results: Results, tmp_path: Path
) -> None:
    for format in ("csv", "json", "markdown"):
        text = export(format, results, tmp_path / "x").read_text(encoding="utf-8")
        assert "private.pt" not in text
        assert "alice" not in text
        assert "weights cccccccc" in text
    assert set(frame(results).weights) == {"", "weights cccccccc", "weights dddddddd"}


def test_no_two_rows_have_one_label(results: Results) -> None:
    assert alike([row.label for row in results.rows]) == []
    assert results.rows[0].label.startswith("resnet50 b1 · onnxruntime · fp32 · cpu · 2 threads · a=1")


def test_a_label_says_no_more_than_it_must() -> None:
    (one,) = judged([replace(BASE, target=Target(threads=2))]).rows
    assert one.label == one.case.label == "resnet50 b1 · onnxruntime · fp32 · cpu · 2 threads"
    assert settings({"n": 5, "mode": "fast", "s": "5", "t": True}) == ["n=5", "mode=fast", 's="5"', "t=true"]


def test_no_two_groups_have_one_title(results: Results) -> None:
    titles = [group.title for group in results.groups]
    assert alike(titles) == []
    assert "resnet50 b1 · content aaaaaaaa" in titles
    assert "resnet50 b1 · weights cccccccc" in titles
    assert "resnet50 b1 · 4 inputs in turns" in titles
    assert "resnet50 b1 · server" in titles
    assert judged([BASE]).groups[0].title == "resnet50 b1"


def test_no_two_rows_have_one_name(results: Results) -> None:
    for group in results.groups:
        assert alike([name(row, group.rows) for row in group.rows]) == []
    turning = [replace(BASE, rotate=n) for n in (0, 4)] + [replace(BASE, content="c" * 64, weights="x")]
    rows = judged(turning).rows
    assert alike([name(row, rows) for row in rows]) == []


def test_no_row_is_dropped_from_markdown() -> None:
    """Cells are keyed by precision and configuration: two that read alike would leave one figure out."""
    same = [
        replace(BASE, target=replace(BASE.target, options=o))
        for o in ({"a": "1 · b=2"}, {"a": 1}, {"a": "1"})
    ]
    found = judged([*same, replace(BASE, target=replace(BASE.target, options={"a": "1 · b", "b": 2}))])
    text = markdown.text(found)
    latencies, _ = text.split("Worst error")
    assert latencies.count(" ms") == len(found.rows)


def test_two_rows_that_read_alike_are_told_by_their_ids(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(markdown, "_configuration", lambda row, group: "all alike")
    found = judged([BASE, replace(BASE, twin="2")])
    assert markdown.text(found).split("Worst error")[0].count(" ms") == 2


def test_the_page_names_every_case_and_group_once(results: Results) -> None:
    page = html_page.render(results)
    ids = [part.split('"')[0] for part in page.split(' id="')[1:]]
    assert alike(ids) == []
    for group in results.groups:
        assert f"<h2>{group.title}</h2>" in page
    labels = [part.split("</dt>")[0] for part in page.split("<dt>")[1:] if " · " in part.split("</dt>")[0]]
    assert alike(labels) == []
    assert "private.pt" not in page


def test_sweeps_of_other_weights_have_titles_of_their_own() -> None:
    cases = [
        replace(BASE, batch=n, content=c * 64, weights=w) for c, w in (("a", ""), ("c", "x")) for n in (1, 2)
    ]
    (found,) = sweeps(judged(cases)).values()
    assert [one.title for one in found] == [
        "Throughput against latency, seeded weights",
        "Throughput against latency, weights cccccccc",
    ]


def test_comparisons_of_other_weights_have_names_of_their_own() -> None:
    cases = [
        replace(BASE, content=c * 64, weights=w, target=Target(threads=n, options=o))
        for c, w in (("a", ""), ("c", "x"))
        for o in ({}, {"a": 1})
        for n in (1, 2)
    ]
    sides = ("onnxruntime@threads=1", "onnxruntime@threads=2")
    found = compare_within(judged(cases), parse_side(sides[0]), parse_side(sides[1]), sides)
    assert [one.name for one in found.comparisons] == [
        "resnet50 b1 · fp32 · cpu",
        "resnet50 b1 · fp32 · cpu · a=1",
        "resnet50 b1 · weights cccccccc · fp32 · cpu",
        "resnet50 b1 · weights cccccccc · fp32 · cpu · a=1",
    ]


def test_pytests_ids_lose_no_case() -> None:
    cases = [BASE, replace(BASE, target=replace(BASE.target, preset="expert"))]
    asked = [pytest_plugin.Asked(case, "", None) for case in cases]
    assert [one.case for one in pytest_plugin._named(asked).values()] == cases


# the command of a row

BUDGET = Budget((0, 2, 4, 6), "one CPU a core", 8 << 30)
NATIVE = {precision: Support("native") for precision in ("fp32", "bf16", "int8:qdq")}
EVERYTHING = {
    name: Capabilities("1.0", {"cpu": NATIVE, "cuda:0": NATIVE})
    for name in ("onnxruntime", "torch", "openvino", "onnxruntime==1.30.0")
}


def asked(command: str, weights: Path) -> list[Case]:
    """What a command measures on a made-up machine, without the harness's own."""
    program, *words = shlex.split(command.replace("PATH", shlex.quote(str(weights))))
    assert program == "bakeoff"
    options = parse(words)
    found = plan(suite_from(options), BUDGET, EVERYTHING)
    assert not found.refused
    return [case for case in found.cases if case.role == "runtime"]


def planned(weights: str = "", **keys: Any) -> list[Case]:
    """Cases of a suite file with everything that one can say."""
    from bench.suite.suite import Suite

    suite = {"backends": ["onnxruntime"], "threads": [2], "anchor": False, "null": False, **keys}
    suite.setdefault("workloads", [{"name": "resnet50", **({"weights": weights} if weights else {})}])
    found = plan(Suite.from_dict(suite), BUDGET, EVERYTHING)
    assert not found.refused
    return list(found.cases)


OPTIONS: dict[str, Any] = {
    "number": 5,
    "text": "5",
    "truth": True,
    "word": "fast, or not",
    "list": [1, "two", 0.5],
    "map": {"a": None},
    "empty": "",
    "odd": 'it\'s 100 % {x} "y" $HOME',
    "float": 1e-7,
    "yes": "yes",
    "date": "2026-01-01",
}


@pytest.mark.parametrize(
    "keys",
    [
        {},
        {"batches": [8], "threads": [1]},
        {"devices": ["cuda:0"], "precisions": ["bf16"]},
        {"backends": [{"name": "torch", "preset": ["expert"]}]},
        {"backends": ["torch:compile"]},
        {"backends": ["onnxruntime==1.30.0"]},
        {"backends": [{"name": "onnxruntime", "options": OPTIONS}]},
        {"rotate": 4},
        {"workloads": [{"name": "minilm-l6", "sequence": 32}], "precisions": ["int8:qdq"]},
        {"workloads": [{"name": "llama-small:decode", "context": 16}]},
        {"weights": "own"},
        {"backends": [{"name": "onnxruntime", "twin": "2", "options": {"a": "x,y", "b": [1, 2]}}]},
        {
            "backends": [{"name": "torch", "twin": "2", "preset": ["expert"]}],
            "weights": "own",
            "batches": [3],
        },
        {
            "workloads": [{"name": "llama-small:decode", "context": 16}],
            "backends": [{"name": "torch", "twin": "2"}],
        },
    ],
    ids=str,
)
def test_the_command_measures_that_case(
    keys: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bench.prepare.checkpoints.checkpoints.check", lambda *_: None)
    path = tmp_path / "own weights.pt"
    path.write_bytes(b"made up")
    weights = str(path) if keys.pop("weights", "") else ""
    (case,) = planned(weights, **keys)
    command = reproduce(case)
    assert "own weights" not in command
    found = asked(command, path)
    assert case.id in [one.id for one in found]
    assert len(found) == 1


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"scenario": "server"}, "scenario server"),
        ({"target": Target(options={"a=b": 1})}, "option 'a=b'"),
    ],
)
def test_what_no_flag_says_takes_a_suite_file(changes: dict[str, Any], what: str) -> None:
    assert reproduce(replace(BASE, **changes)) == f"needs a suite file: no flag says {what}"


def test_a_side_is_read_as_it_is_written() -> None:
    case = replace(BASE, target=Target(options=OPTIONS))
    assert parse_side(written(case)).options == OPTIONS
    assert json.loads(frame(judged([case])).options[0]) == OPTIONS


@pytest.mark.parametrize("text", ["extra", "=5", "extra=", "a=[1"])
def test_an_option_that_cannot_be_read_is_a_usage_error(text: str) -> None:
    from bench.interfaces.errors import UsageError

    with pytest.raises(UsageError, match="NAME=VALUE"):
        suite_from(parse(["run", "--option", text]))


def test_an_option_that_json_has_not_is_strict_and_told_apart() -> None:
    values = (float("inf"), None, "inf")
    cases = [replace(BASE, target=Target(options={"a": value})) for value in values]
    texts = [naming.axes(case)["options"] for case in cases]
    assert texts == ['{"a": null, "not_finite": {"/a": "inf"}}', '{"a": null}', '{"a": "inf"}']
