"""One table of axes: a line there is a flag, a suite's list, pytest's option, a column and in commands."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from bench.cli.parser import parse
from bench.cli.sweep import suite_from
from bench.compare.commands import reproduce
from bench.interfaces.axes import AXES
from bench.interfaces.case import Case
from bench.plan.plan import plan
from bench.plugins import backend_registry
from bench.suite.suite import BackendEntry, Suite, WorkloadEntry
from tests.unit.compare.test_naming import BUDGET, EVERYTHING

EVERY: dict[str, Any] = {
    "name": "every",
    "workloads": [
        {"name": "resnet50", "batch": [1, 2]},
        {"name": "minilm-l6", "sequence": [16, 32]},
        {"name": "llama-small:decode", "context": [8, 16]},
    ],
    "backends": [
        {"name": "torch:compile", "preset": ["stock", "expert"]},
        {"name": "onnxruntime==1.30.0", "options": {"a": "x,y", "b": [1, {"c": None}], "d": "5"}},
        {"name": "onnxruntime", "twin": "left"},
        {"name": "onnxruntime", "twin": "2", "options": {"a": True}},
    ],
    "precisions": ["fp32", "int8:qdq"],
    "devices": ["cpu", "cuda:0"],
    "threads": [1, 2],
    "rotate": 4,
    "anchor": False,
    "null": False,
}


@pytest.fixture(autouse=True)
def any_option(monkeypatch: pytest.MonkeyPatch) -> None:
    """Options of every kind of value, which no backend has."""
    monkeypatch.setattr(type(backend_registry.get("onnxruntime")), "options", None)


def test_each_rows_command_measures_that_case() -> None:
    cases = plan(Suite.from_dict(EVERY), BUDGET, EVERYTHING).cases
    said = {axis.flag for axis in AXES for case in cases if f"--{axis.flag} " in reproduce(case)}
    assert said == {axis.flag for axis in AXES} - {"weights"}, (
        "the suite has every axis; weights: test_naming"
    )
    assert len(cases) > 100
    for case in cases:
        assert [one.id for one in typed(reproduce(case))] == [case.id], reproduce(case)


def typed(command: str) -> list[Case]:
    program, *words = shlex.split(command)
    assert program == "bakeoff"
    found = plan(suite_from(parse(words)), BUDGET, EVERYTHING)
    assert not found.refused
    return [case for case in found.cases if case.role == "runtime"]


@pytest.mark.parametrize("axis", AXES, ids=lambda axis: axis.flag)
def test_the_table_is_true_of_the_suites_fields(axis: Any) -> None:
    """`listed`, `entries` and `own` are what the fields of suite and entries are called."""
    entries = {"workloads": WorkloadEntry, "backends": BackendEntry}
    if axis.listed or axis.flag in ("workload", "backend"):
        assert axis.key in Suite.model_fields
    for name in axis.entries:
        assert axis.own in entries[name].model_fields


PROGRAM = """
import json, sys
from dataclasses import replace
from bench.interfaces import axes
axis = axes.Axis("instances", "instances_of", "copies", ("Int64", "how many copies"), listed=True, whole=True)
axes.AXES += (axis,)
from bench.cli.parser import build, parse
from bench.cli.sweep import suite_from
from bench.compare.commands import ab_command, reproduce
from bench.compare.naming import name
from bench.plan.plan import plan
from bench.pytest_plugin import OPTIONS
from bench.suite.suite import Suite, json_schema
from reports.tables.columns import COLUMNS, IDENTITY
from reports.tables.frame import frame
from tests.unit.compare.test_naming import BUDGET, EVERYTHING, judged
suite = {"workloads": ["resnet50"], "backends": ["torch", "onnxruntime"], "anchor": False, "null": False}
cases = plan(Suite.from_dict({**suite, "instances_of": [1, 2]}), BUDGET, EVERYTHING).cases
found = judged(cases)
again = plan(suite_from(parse(reproduce(cases[-1]).split()[1:])), BUDGET, EVERYTHING).cases
print(json.dumps({
    "help": "--instances" in build()._subparsers._group_actions[0].choices["run"].format_help(),
    "schema": json_schema()["properties"]["instances_of"]["description"],
    "pytest": OPTIONS["instances"],
    "column": COLUMNS["instances"],
    "values": frame(found)["instances"].tolist(),
    "identity": "instances" in IDENTITY,
    "ids": len({case.id for case in cases}),
    "groups": [group.title for group in found.groups],
    "command": reproduce(cases[-1]),
    "ab": ab_command(cases[-2], cases[-1]),
    "again": cases[-1].id in [case.id for case in again],
    "without": plan(Suite.from_dict(suite), BUDGET, EVERYTHING).cases[0].id,
}))
"""


def test_a_new_line_in_the_table_is_everywhere(tmp_path: Path) -> None:
    path = os.pathsep.join([str(Path(__file__).parents[3]), os.environ.get("PYTHONPATH", "")])
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": path},
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["help"]
    assert found["schema"] == "copies"
    assert found["pytest"][0] == "instances_of"
    assert found["column"] == "how many copies"
    assert found["values"] == [1, 1, 2, 2]
    assert found["identity"]
    assert found["ids"] == 4
    assert found["groups"] == ["resnet50 b1 · instances 1", "resnet50 b1 · instances 2"]
    assert "--instances 2" in found["command"]
    assert "--instances" in found["ab"]
    assert found["again"]
    plain = {"workloads": ["resnet50"], "backends": ["torch"], "anchor": False, "null": False}
    (case,) = plan(Suite.from_dict(plain), BUDGET, EVERYTHING).cases
    assert found["without"] == case.id, "an axis that is not asked for makes no case another"
