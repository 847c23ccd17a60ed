"""Options as data: which values each takes, and what is said of a mistake before anything is prepared."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from bench.cli.parser import parse
from bench.cli.sweep import suite_from
from bench.interfaces.backend import Capabilities, Support
from bench.interfaces.errors import SuiteError, UsageError
from bench.interfaces.options import Option, mistakes, of, options_of
from bench.machine.budget import Budget
from bench.plan.plan import plan
from bench.plugins import backend_registry
from bench.suite.suite import Suite, json_schema

SEARCH = {"name": "tvm:tuned"}


@pytest.mark.parametrize(
    ("option", "good", "bad"),
    [
        (Option(""), [True, False, 0, 1, "0", "1"], ["yes", 2, None, [True], 0.5]),
        (Option("", "whole", 1, 5), [1, 5, "3"], [0, 6, 2.5, True, "9", "x", "-1", None]),
        (Option("", "number", 0.5), [0.5, 7, 1e9], [0.4, True, "1", float("nan")]),
        (Option("", "text"), ["", "a"], [1, True, None, ["a"]]),
        (Option("", choices=("O0", "O3")), ["O0", "O3"], ["O1", 0, True]),
    ],
)
def test_values(option: Option, good: Sequence[Any], bad: Sequence[Any]) -> None:
    assert [value for value in good if not option.takes(value)] == []
    assert [value for value in bad if option.takes(value)] == []


def test_variants_and_devices() -> None:
    known = {
        "all": Option(""),
        "searched": Option("", variants=("tuned",)),
        "fused": Option("", devices=("cuda",)),
    }
    assert list(of(known, "")) == ["all", "fused"]
    assert list(of(known, "tuned", "cpu")) == ["all", "searched"]
    assert list(of(known, "", "cuda")) == ["all", "fused"]


def test_a_mistake_names_the_near_miss_and_the_values() -> None:
    known = {"trials": Option("", "whole", 1, 9)}
    assert list(mistakes("tvm", known, {"trails": 1})) == [
        "tvm takes no option 'trails'; did you mean 'trials'?"
    ]
    assert list(mistakes("tvm", known, {"trials": 0})) == [
        "tvm: option trials is a whole number from 1 to 9, not 0"
    ]


@pytest.mark.parametrize(
    ("name", "value"),
    [("trials", 0), ("trials", "many"), ("trials", 2.5), ("trials", True), ("minutes", -1), ("minutes", 29)],
)
def test_a_suite_is_refused_with_the_option(name: str, value: Any) -> None:
    with pytest.raises(SuiteError, match=f"option {name} is a .*number from"):
        Suite.from_dict({"workloads": ["resnet50"], "backends": [{**SEARCH, "options": {name: value}}]})


def test_an_option_of_another_variant_is_none() -> None:
    with pytest.raises(SuiteError, match="tvm takes no option 'trials'"):
        Suite.from_dict({"workloads": ["resnet50"], "backends": [{"name": "tvm", "options": {"trials": 5}}]})


def test_a_flag_is_refused_before_anything_is_made() -> None:
    typed = ["run", "--backend", "torch", "--option", "channel_last=true"]
    with pytest.raises(UsageError, match="--option: torch takes no option 'channel_last'; did you mean"):
        suite_from(parse(typed))


def test_what_only_the_runtime_knows_is_refused_by_the_plan() -> None:
    suite = {"workloads": ["resnet50"], "backends": [{"name": "openvino", "options": {"NUM_STREAM": 2}}]}
    found = Capabilities("1", {"cpu": {"fp32": Support("native")}}, options=("NUM_STREAMS",))
    budget = Budget((0, 1), 0, "made up", None, False)
    planned = plan(Suite.from_dict({**suite, "anchor": False, "null": False}), budget, {"openvino": found})
    (_, status, reason) = planned.refused[0]
    assert status == "unsupported"
    assert reason == "openvino takes no option 'NUM_STREAM'; did you mean 'NUM_STREAMS'?"
    assert Capabilities.from_dict({"version": "1", "devices": {}, "detail": {}, "variants": {}}).options == ()


@pytest.mark.parametrize("name", backend_registry.names())
def test_presets_are_of_options_that_there_are(name: str) -> None:
    backend = backend_registry.get(name)
    if (known := options_of(backend)) is None:
        pytest.skip("only its runtime knows them")
    for preset in backend.presets.values():
        assert list(mistakes(name, known, preset.settings)) == []


def test_the_schema_knows_each_backends_options() -> None:
    rules = json_schema()["$defs"]["BackendEntry"]["allOf"]
    by_pattern = {rule["if"]["properties"]["name"]["pattern"]: rule["then"] for rule in rules}
    options = by_pattern["^tvm($|:|==)"]["properties"]["options"]
    assert options["properties"]["trials"]["type"] == ["integer", "string"]
    assert options["additionalProperties"] is False
    assert "^openvino($|:|==)" not in by_pattern
