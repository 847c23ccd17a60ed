"""The same cases on several machines: what is the same, which way stands for a machine, and what may be
said.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from bench.compare.across_machines import across_machines, beside, case_name, compare_machines, shared
from bench.compare.results import Results
from reports.html.machines import machines, reasons
from reports.terminal import comparison as shown
from tests.helpers import fake_results as fake
from tests.helpers.fake_results import Ask

LINES = (["a"], ["b"])


def cpu(**run: Any) -> Results:
    asks = [Ask("torch", 0.0893), Ask("torch", 0.15, threads=1), Ask("openvino", 0.0431)]
    return fake.judged(fake.make("resnet50", asks, seed=3) + fake.harness(), **run)


def gpu(**run: Any) -> Results:
    asks = [
        Ask("torch", 0.0041, device="cuda:0", threads=1),
        Ask("tensorrt", 0.0009, device="cuda:0", threads=1),
    ]
    made = fake.make("resnet50", asks, seed=21)
    made += fake.make("minilm-l6", [Ask("torch", 0.002, device="cuda:0", threads=1)], seed=5, sequence=8)
    return fake.judged(made + fake.harness(), machine=fake.GPU_MACHINE, id="20261123-101500", **run)


def test_the_best_of_each_and_case_by_case() -> None:
    best, torch = across_machines(cpu(), [gpu()])
    assert (best.title, best.name) == ("resnet50 b1", "the best of each")
    assert [one.row.case.backend for one in best.standings] == ["openvino", "tensorrt"]
    assert torch.name == "torch · fp32"
    assert [one.row.case.target.device for one in torch.standings] == ["cpu", "cuda:0"]
    assert torch.standings[0].row.case.target.threads == 2, "the fastest way that the machine has"
    assert torch.standings[0].verdict is None
    found = torch.standings[1].verdict
    assert found is not None
    assert found.ratio.value == pytest.approx(0.0041 / 0.0893, rel=0.1)
    assert found.word == "suspect"
    assert "it takes 3 on each side" in found.reason


def test_what_only_one_machine_has_measured_is_left_out() -> None:
    assert {one.title for one in across_machines(gpu(), [cpu()])} == {"resnet50 b1"}
    assert across_machines(cpu(), []) == ()


def test_another_workload_of_the_same_name_is_not_the_same() -> None:
    other = gpu()
    key = other.groups[0].key.replace("c0ffee0000000000", "another")
    changed = replace(other, groups=(replace(other.groups[0], key=key),))
    assert across_machines(cpu(), [changed]) == ()


def test_what_is_shared_is_all_but_the_place() -> None:
    case = cpu().rows[0].case
    moved = replace(
        case, target=replace(case.target, device="cuda:0", threads=1), version="1.0", weights="/x"
    )
    assert shared(moved) == shared(case)
    for changes in ({"precision": "bf16"}, {"preset": "expert"}, {"variant": "aoti"}, {"options": {"a": 1}}):
        assert shared(replace(case, target=replace(case.target, **changes))) != shared(case)
    assert shared(replace(case, batch=2)) != shared(case)
    expert = replace(case, target=replace(case.target, preset="expert", options={"a": 1}))
    assert case_name(expert) == "torch · fp32 · expert · a=1"


def test_three_runs_on_each_side_may_prove_it() -> None:
    compared = compare_machines([cpu()] * 3, [gpu()] * 3, LINES)
    (torch,) = compared.comparisons
    assert torch.name == "resnet50 b1 · torch · fp32 · cpu → cuda:0"
    assert torch.verdict.word == "faster"
    assert torch.judged
    assert compared.kind == "machines"
    assert compared.only_base == ("resnet50 b1 · openvino · fp32",)
    assert len(compared.only_new) == 2


def test_models_of_one_name_that_are_not_the_same_are_named() -> None:
    """Two versions of bakeoff, or other weights: the same words on both sides, and nothing compared."""
    there = gpu()
    for row in there.rows:
        object.__setattr__(row.record, "case", replace(row.case, content="other"))
    compared = compare_machines([cpu()], [there], LINES)
    assert compared.comparisons == ()
    assert compared.notes[1].startswith("Not the same model on both sides, and not compared: resnet50 (other")
    assert "minilm" not in compared.notes[1], "only one side has it"
    assert len(compare_machines([cpu()], [gpu()], LINES).notes) == 1


def test_it_is_shown_without_the_anchors_words() -> None:
    text = shown.plain(compare_machines([cpu()], [gpu()], LINES))
    assert "of the latencies as they are" in text
    assert "each had its own day" in text
    assert "anchor" not in text.replace("no anchor", "")
    assert max(map(len, text.splitlines())) <= 100


def test_the_pages_table_has_a_column_a_machine() -> None:
    third = cpu(machine={**fake.MACHINE, "label": "other box"}, id="20261124-000000")
    found = machines(beside(cpu(), [gpu(), third]))
    assert found.columns == ("AMD EPYC 7B13", "NVIDIA H200 on INTEL XEON PLATINUM 8581C", "other box")
    (table,) = found.tables
    names = [name for name, _ in table.rows]
    assert names == ["the best of each", "torch · fp32", "openvino · fp32"]
    openvino = dict(table.rows)["openvino · fp32"]
    assert openvino[1] is None
    assert openvino[2] is not None
    assert openvino[2].ratio is not None
    assert len(reasons(found)) >= 1
    assert machines(beside(cpu(), [])).columns == ()
