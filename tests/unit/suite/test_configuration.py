"""How one side of a comparison is written, and the suite that `bakeoff ab` makes of two."""

from __future__ import annotations

import pytest

from bench.interfaces.backend import Target
from bench.interfaces.case import Case
from bench.interfaces.errors import UsageError
from bench.suite.configuration import Side, parse_side
from bench.suite.pair import DEFAULT_BUDGET_S, aa_suite, ab_suite
from bench.suite.suite import load_suite

ONE = {"workloads": ["resnet50"], "threads": ["1"]}


def test_a_side_is_a_backend_with_facts_and_options() -> None:
    assert parse_side("onnxruntime") == Side("onnxruntime")
    found = parse_side("onnxruntime==1.31.1@threads=2,precision=bf16,session.spin=0,name=x")
    assert found.backend == "onnxruntime==1.31.1"
    assert found.facts == {"threads": 2, "precision": "bf16"}
    assert found.options == {"session.spin": 0, "name": "x"}
    assert parse_side("torch@threads=auto").facts == {"threads": "auto"}


@pytest.mark.parametrize(
    "text", ["onnxrutime", "onnxruntime@threads", "onnxruntime@=2", "onnxruntime@x=[", "a b"]
)
def test_what_cannot_be_read_is_refused(text: str) -> None:
    with pytest.raises(UsageError):
        parse_side(text)


def test_a_side_matches_as_far_as_it_goes() -> None:
    case = Case("w", "c", 1, None, "onnxruntime", Target(threads=2, options={"a": 1}))
    assert parse_side("onnxruntime").matches(case)
    assert parse_side("onnxruntime@threads=2,a=1").matches(case)
    assert not parse_side("onnxruntime@threads=1").matches(case)
    assert not parse_side("onnxruntime@a=2").matches(case)
    assert not parse_side("openvino").matches(case)


def test_ab_is_a_suite_of_two_entries_the_first_the_baseline() -> None:
    suite = ab_suite(
        load_suite("quick"),
        parse_side("openvino@threads=2"),
        parse_side("onnxruntime@enable_mem_reuse=1"),
        ONE,
    )
    first, second = suite.backends
    assert (first.name, first.threads, second.name, second.options) == (
        "openvino",
        (2,),
        "onnxruntime",
        {"enable_mem_reuse": 1},
    )
    assert suite.baseline_spec == "openvino"
    assert (suite.profile, suite.anchor, suite.null, suite.budget) == ("ab", False, False, DEFAULT_BUDGET_S)
    assert suite.threads == (1,)
    assert [entry.name for entry in suite.workloads] == ["resnet50"]
    assert first.twin == second.twin == ""
    assert type(suite).from_dict(suite.to_dict()) == suite  # so that the run can be resumed


def test_ab_takes_the_first_workload_in_the_precisions_of_its_sides() -> None:
    suite = ab_suite(
        load_suite("quick"), parse_side("torch"), parse_side("openvino@precision=int4-weight"), {}
    )
    assert [(entry.name, entry.precisions) for entry in suite.workloads] == [("resnet50", None)]
    assert (suite.precisions, suite.backends[0].precisions) == (("fp32",), None)
    assert suite.backends[1].precisions == ("int4-weight",)


def test_something_against_itself_is_told_apart() -> None:
    suite = aa_suite(load_suite("quick"), parse_side("onnxruntime"), {**ONE, "budget": "90s"})
    first, second = suite.backends
    assert first.twin != second.twin
    assert (suite.profile, suite.budget) == ("aa", 90.0)
