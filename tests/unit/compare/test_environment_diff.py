"""What differs between two environments, in plain words, and nothing that differs always."""

from typing import Any

import pytest

from bench.compare.environment_diff import Difference, differences
from bench.store.records import RunRecord
from tests.helpers.fake_results import MACHINE, VERSIONS


def run(
    machine: dict[str, Any] | None = None, versions: dict[str, str] | None = None, **facts: Any
) -> RunRecord:
    made = {"machine": {**MACHINE, **(machine or {})}, "versions": {**VERSIONS, **(versions or {})}}
    record: dict[str, Any] = {
        "id": "r",
        "name": "quick",
        "state": "finished",
        "started": "2026-11-22T11:19:03",
    }
    return RunRecord(**{**record, **made, **facts})


def between(base: RunRecord, new: RunRecord) -> list[tuple[str, str, str]]:
    return [(one.what, one.base, one.new) for one in differences([base], [new])]


def test_a_changed_runtime_is_named() -> None:
    found = between(run(versions={"onnxruntime": "1.30.0"}), run())
    assert found == [("onnxruntime", "1.30.0", "1.31.1")]


def test_a_version_that_the_suite_named_is_that_of_the_same_runtime() -> None:
    base = run(versions={"onnxruntime==1.30.0": "1.30.0"})
    del base.versions["onnxruntime"]
    assert between(base, run()) == [("onnxruntime", "1.30.0", "1.31.1")]


@pytest.mark.parametrize(
    ("machine", "expected"),
    [
        ({"governor": "performance"}, ("frequency governor", "unknown", "performance")),
        ({"smt": True}, ("SMT", "no", "yes")),
        ({"kernel": "6.2"}, ("kernel", "6.1.0-18-cloud-amd64", "6.2")),
        ({"memory_limit_bytes": 8 * 2**30}, ("memory limit", "unknown", "8 GiB")),
        ({"cpu_quota": 1.5}, ("CPU quota", "unknown", "1.5")),
        ({"flags": ["avx2", "fma", "avx512f"]}, ("instruction sets", "f16c", "avx512f")),
        ({"flags": ["avx2", "fma", "f16c", "amx_bf16"]}, ("instruction sets", "none more", "amx_bf16")),
        (
            {"budget": {**MACHINE["budget"], "cpus": [0], "why": "of a quota"}},
            ("CPUs of the budget", "0 1", "0"),
        ),
        (
            {"caches": [*MACHINE["caches"][:2], {"level": 3, "type": "Unified", "bytes": 2**20}]},
            ("L3 cache", "32 MiB", "1 MiB"),
        ),
    ],
)
def test_a_changed_machine_is_named_in_plain_words(
    machine: dict[str, Any], expected: tuple[str, ...]
) -> None:
    assert between(run(), run(machine)) == [expected]


def test_profile_and_relevant_difference_are_part_of_it() -> None:
    found = between(run(), run(suite={"profile": "standard"}, relevant=0.05))
    assert found == [("profile", "quick", "standard"), ("relevant difference", "2 %", "5 %")]


def test_what_differs_always_or_means_nothing_is_left_out() -> None:
    other = run(
        {"memory_bytes": MACHINE["memory_bytes"] + 4096},
        id="other",
        started="2026-12-24T10:00:00",
        command=["run", "else"],
        seconds={"measure": 5.0},
        notes=["a note"],
        name="mine",
    )
    assert between(run(), other) == []


def test_a_runtime_that_one_side_did_not_ask_for_is_no_difference() -> None:
    assert between(run(), run(versions={"tvm": "0.27"})) == []


def test_runs_of_one_side_that_differ_among_themselves_are_named() -> None:
    old, new = run(versions={"torch": "2.12"}), run()
    (one,) = differences([old, new], [new])
    assert one == Difference("torch", "2.12, 2.13.0", "2.13.0")
    (one,) = differences([old, new], [old, new])
    assert one.base == one.new == "2.12, 2.13.0"


def test_runs_that_each_hold_two_versions_do_not_differ_by_that() -> None:
    sweep = run(versions={"onnxruntime==1.30.0": "1.30.0", "onnxruntime==1.31.1": "1.31.1"})
    del sweep.versions["onnxruntime"]
    assert between(sweep, sweep) == []
    assert between(sweep, run()) == [("onnxruntime", "1.30.0, 1.31.1", "1.31.1")]


def test_a_store_that_knows_no_machine_is_compared_as_far_as_it_goes() -> None:
    bare = run()
    bare.machine = {}
    assert between(bare, run()) == []
