"""From a suite to cases, with capabilities made by hand."""

from __future__ import annotations

from typing import Any

import pytest

from bench.interfaces.backend import Capabilities, Support
from bench.interfaces.case import HARNESS
from bench.interfaces.errors import BackendUnavailable
from bench.machine.budget import Budget
from bench.machine.gpu.devices import named
from bench.machine.gpu.nvml import Gpu
from bench.plan.plan import Plan, Probed, plan, probe_name
from bench.suite.suite import Suite

NATIVE, NONE = Support("native"), Support("none", "it casts")
EMULATED = Support("emulated", "no bf16 arithmetic here")
BUDGET = Budget((0, 2, 4, 6), "one CPU a core", 8 << 30)
CAPABILITIES: Probed = {
    "torch": Capabilities(
        "2.13.0", {"cpu": {"fp32": NATIVE, "bf16": EMULATED}, "cuda:0": {"fp32": NATIVE, "bf16": NATIVE}}
    ),
    "onnxruntime": Capabilities("1.31.1", {"cpu": {"fp32": NATIVE, "fp16": NONE}}),
    "onnxruntime==1.30.0": BackendUnavailable("onnxruntime==1.30.0 is not installed", hint="pip install it"),
    "openvino": BackendUnavailable("openvino is not installed", hint="pip install 'bakeoff[openvino]'"),
}


def planned(capabilities: Probed = CAPABILITIES, **keys: Any) -> Plan:
    suite = {"workloads": ["resnet50"], "backends": ["torch", "onnxruntime"], "threads": [2], **keys}
    return plan(Suite.from_dict(suite), BUDGET, capabilities)


def labels(found: Plan) -> list[str]:
    return [case.label for case in found.cases if case.workload != HARNESS]


def reasons(found: Plan) -> list[tuple[str, str, str]]:
    return [(case.backend_spec, status, reason) for case, status, reason in found.refused]


def test_cases_in_the_suites_order() -> None:
    found = planned(batches=[1, 4], threads=[1, "auto"], workloads=["resnet50", "minilm-l6"])
    assert labels(found)[:5] == [
        "resnet50 b1 · torch · fp32 · cpu · 1 thread",
        "resnet50 b1 · torch · fp32 · cpu · 4 threads",
        "resnet50 b1 · onnxruntime · fp32 · cpu · 1 thread",
        "resnet50 b1 · onnxruntime · fp32 · cpu · 4 threads",
        "resnet50 b4 · torch · fp32 · cpu · 1 thread",
    ]
    assert len(labels(found)) == 16
    assert labels(found)[-1] == "minilm-l6 b4 s128 · onnxruntime · fp32 · cpu · 4 threads"
    assert not found.refused


def test_groups_and_their_baselines() -> None:
    found = planned(batches=[1, 4], baseline="onnxruntime")
    assert [group.split(" single")[0] for group in found.groups] == ["resnet50 b1", "resnet50 b4"]
    by_id = {case.id: case for case in found.cases}
    for group, ids in found.groups.items():
        assert [by_id[i].backend for i in ids] == ["torch", "onnxruntime"]
        baseline = found.baselines[group]
        assert baseline in ids
        assert by_id[str(baseline)].backend == "onnxruntime"


def test_the_baseline_is_fp32_if_it_can_be() -> None:
    found = planned(backends=["torch"], devices=["cuda:0"], precisions=["bf16", "fp32"])
    baseline = next(iter(found.baselines.values()))
    assert [case.target.precision for case in found.cases if case.id == baseline] == ["fp32"]
    found = planned(backends=["torch"], devices=["cuda:0"], precisions=["bf16"])
    assert next(iter(found.baselines.values())) == found.cases[0].id


def test_a_refused_baseline_leaves_the_group_without() -> None:
    found = planned(backends=["openvino", "torch"])
    assert list(found.baselines.values()) == [None]


def test_the_harness_measures_itself_once_and_in_no_group() -> None:
    found = planned(batches=[1, 2, 4])
    own = [case for case in found.cases if case.workload == HARNESS]
    assert [(case.backend, case.role, case.content, case.target.threads) for case in own] == [
        ("anchor", "anchor", HARNESS, 1),
        ("null", "overhead", HARNESS, 1),
    ]
    assert not {case.id for case in own} & {i for ids in found.groups.values() for i in ids}
    assert labels(planned(anchor=False, null=False)) == [
        c.label for c in planned(anchor=False, null=False).cases
    ]


def test_each_case_once() -> None:
    found = planned(backends=["torch", "torch"], batches=[1, 1], threads=[4, "auto"])
    assert len(labels(found)) == 1
    assert len({case.id for case in found.cases}) == len(found.cases)


def test_missing_backends_and_versions() -> None:
    found = planned(backends=["openvino", "torch", "onnxruntime==1.30.0"])
    assert reasons(found) == [
        ("openvino", "missing", "openvino is not installed (pip install 'bakeoff[openvino]')"),
        ("onnxruntime==1.30.0", "missing", "onnxruntime==1.30.0 is not installed (pip install it)"),
    ]
    assert len(labels(found)) == 1


def test_a_version_is_judged_by_its_own_probe() -> None:
    other = {**CAPABILITIES, "onnxruntime==1.30.0": Capabilities("1.30.0", {"cpu": {"fp16": NATIVE}})}
    found = planned(other, backends=["onnxruntime", "onnxruntime==1.30.0"], precisions=["fp16"])
    assert [case.backend_spec for case in found.cases][:1] == ["onnxruntime==1.30.0"]
    assert probe_name("onnxruntime==1.30.0") == "onnxruntime==1.30.0"
    assert probe_name("torch") == "torch"


def test_emulation_only_when_asked_for_by_name() -> None:
    found = planned(backends=["torch"], precisions=["bf16", "bf16:emulated"])
    assert labels(found) == ["resnet50 b1 · torch · bf16:emulated · cpu · 2 threads"]
    [(_, status, reason)] = reasons(found)
    assert status == "unsupported"
    assert "only emulates bf16 (no bf16 arithmetic here); `--precision bf16:emulated` measures it" in reason
    native = planned(backends=["torch"], devices=["cuda:0"], precisions=["bf16:emulated"])
    assert "natively; ask for --precision bf16" in native.refused[0][2]


@pytest.mark.parametrize(
    ("precision", "expected"),
    [
        ("fp16", "onnxruntime on cpu has no fp16 (it casts); it has fp32"),
        ("int8:qdq", "onnxruntime on cpu has no int8:qdq; it has fp32"),
        ("fp16:emulated", "onnxruntime on cpu has no fp16 (it casts); it has fp32"),
    ],
)
def test_precisions_that_a_runtime_lacks(precision: str, expected: str) -> None:
    found = planned(backends=["onnxruntime"], precisions=[precision])
    assert reasons(found) == [("onnxruntime", "unsupported", expected)]


def test_devices() -> None:
    found = planned(devices=["cuda"])
    assert labels(found) == ["resnet50 b1 · torch · fp32 · cuda:0 · 2 threads"]
    assert reasons(found) == [("onnxruntime", "unsupported", "onnxruntime has no device cuda; it has cpu")]
    assert not labels(planned(devices=["cuda:1"]))


def test_a_runtime_that_knows_why_a_device_is_missing_says_so() -> None:
    told = {"onnxruntime": Capabilities("1.31.1", {}, {"cuda": "NVIDIA's driver is not here"})}
    found = planned(told, backends=["onnxruntime"], devices=["cuda:0"])
    why = "onnxruntime has no device cuda:0; it has none (NVIDIA's driver is not here)"
    assert reasons(found) == [("onnxruntime", "unsupported", why)]


GPUS = named((Gpu(0, "GPU-aa", "A"), Gpu(1, "GPU-bb", "B", instances=(Gpu(0, "MIG-cc", "1g"),))), None)
TWO = {"torch": Capabilities("2.13.0", {name: {"fp32": NATIVE} for name in ("cpu", "cuda:0", "cuda:1")})}


@pytest.mark.parametrize(
    ("asked", "measured"),
    [
        (["cuda"], ["cuda:0"]),
        (["cuda:all", "cpu"], ["cuda:0", "cuda:1", "cpu"]),
        (["cuda:all", "cuda:1"], ["cuda:0", "cuda:1"]),
        (["cuda:GPU-bb"], ["cuda:1"]),
        (["cuda:MIG-cc"], ["cuda:1:0"]),
        (["cuda:1:0"], ["cuda:1:0"]),
        (["cuda:1:5", "cuda:GPU-zz"], []),
    ],
)
def test_gpus_by_name(asked: list[str], measured: list[str]) -> None:
    suite = {"workloads": ["resnet50"], "backends": ["torch"], "threads": [1], "devices": asked}
    found = plan(Suite.from_dict(suite), BUDGET, TWO, GPUS)
    assert [case.target.device for case in found.cases if case.workload != HARNESS] == measured
    for case, status, reason in found.refused:
        assert (status, case.target.device) == ("unsupported", case.target.device)
        assert reason.startswith(f"torch has no device {case.target.device}; it has cpu, cuda:0, cuda:1")


def test_all_gpus_where_there_is_none() -> None:
    ((_, status, reason),) = planned(backends=["torch"], devices=["cuda:all"]).refused
    assert (status, reason) == ("unsupported", "torch has no device cuda:all; it has cpu, cuda:0")


def test_more_threads_than_the_budget() -> None:
    found = planned(backends=["torch"], threads=[4, 5])
    assert len(labels(found)) == 1
    assert reasons(found) == [
        ("torch", "unsupported", "5 threads asked for, the budget is 4: one CPU a core")
    ]


def test_a_shape_that_the_workload_refuses() -> None:
    found = planned(workloads=[{"name": "minilm-l6", "sequence": [100_000]}], backends=["torch"])
    [(case, status, reason)] = found.refused
    assert (case.sequence, status) == (100_000, "unsupported")
    assert reason.startswith("minilm-l6 b1 s100000: ")


def test_entries_say_more_than_the_suite() -> None:
    found = planned(
        workloads=[{"name": "minilm-l6", "sequence": [16, 32], "batch": 2}],
        backends=[{"name": "onnxruntime", "options": {"enable_mem_reuse": 1}, "precisions": ["fp32"]}],
        precisions=["fp16"],
    )
    assert labels(found) == [
        "minilm-l6 b2 s16 · onnxruntime · fp32 · cpu · 2 threads · enable_mem_reuse=1",
        "minilm-l6 b2 s32 · onnxruntime · fp32 · cpu · 2 threads · enable_mem_reuse=1",
    ]
    assert {case.role for case in found.cases if case.workload != HARNESS} == {"runtime"}


def test_a_workload_may_have_precisions_of_its_own() -> None:
    found = planned(
        workloads=["minilm-l6", {"name": "resnet50", "precisions": ["bf16", "fp32"]}],
        backends=["torch", {"name": "onnxruntime", "precisions": ["fp32", "fp16"]}],
        devices=["cuda:0", "cpu"],
        precisions=["fp32"],
    )
    asked = {
        (c.workload, c.backend, c.target.precision) for c in (*found.cases, *(r[0] for r in found.refused))
    }
    assert {one for one in asked if one[0] != HARNESS} == {
        ("minilm-l6", "torch", "fp32"),
        ("minilm-l6", "onnxruntime", "fp32"),
        ("minilm-l6", "onnxruntime", "fp16"),
        ("resnet50", "torch", "bf16"),
        ("resnet50", "torch", "fp32"),
        ("resnet50", "onnxruntime", "fp32"),
    }
