"""What was asked for and cannot be measured: told before anything is, never passed over in silence."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

import pytest

from bench import api
from bench.cli import main
from bench.interfaces.backend import Capabilities, Support, Target
from bench.interfaces.case import HARNESS, Case
from bench.interfaces.errors import BackendUnavailable, UsageError
from bench.machine.budget import Budget
from bench.plan.plan import Plan, plan
from bench.plan.refusals import NothingMeasurable, require_measurable, require_prepared
from bench.prepare.prepare import HARNESS_IO, Prepared
from bench.store.records import RunRecord
from bench.store.sqlite import Store
from bench.suite.suite import Suite
from tests.helpers.fake_results import Ask
from tests.helpers.fake_runs import write_run

FP32 = Capabilities("1", {"cpu": {"fp32": Support("native")}})
GONE = BackendUnavailable("ncnn cannot be imported", hint="bakeoff setup ncnn")
HERE = {"torch": FP32, "onnxruntime": FP32, "ncnn": GONE}


def planned(capabilities: dict[str, Any] = HERE, **keys: Any) -> Plan:
    suite = {"workloads": ["minilm-l6"], "backends": ["torch"], "threads": [1], **keys}
    return plan(Suite.from_dict(suite), Budget((0,), "", 1 << 30), capabilities)


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder and cache, runtimes as in `HERE`, and a lock that nobody may take."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("BAKEOFF_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(api, "probe_all", lambda names: {name: HERE.get(name, GONE) for name in names})

    def locked(*_: object) -> None:
        raise AssertionError("the measurement lock was taken")

    monkeypatch.setattr(api, "measurement_lock", locked)
    return tmp_path


@pytest.mark.parametrize(
    ("keys", "whole", "says"),
    [
        ({"backends": ["ncnn"]}, False, "the case cannot be measured here:\n  missing: minilm-l6"),
        ({"backends": ["ncnn"], "batches": [1, 2]}, False, "none of the 2 cases can be measured here:"),
        ({"precisions": ["bf16"]}, False, "unsupported: minilm-l6 b1 s128 · torch · bf16"),
        ({"backends": ["torch", "ncnn"]}, True, "1 of the 2 cases cannot be measured here:"),
    ],
)
def test_nothing_measurable_is_told_with_each_reason(keys: dict[str, Any], whole: bool, says: str) -> None:
    with pytest.raises(NothingMeasurable) as caught:
        require_measurable(planned(**keys), whole)
    assert says in caught.value.message
    assert caught.value.exit_code == 4


def test_a_part_that_can_be_measured_is_measured() -> None:
    require_measurable(planned(backends=["torch", "ncnn"]), whole=False)
    require_measurable(planned(), whole=True)


def test_many_reasons_are_counted() -> None:
    with pytest.raises(NothingMeasurable) as caught:
        require_measurable(planned(backends=["ncnn"], batches=list(range(1, 10))), whole=False)
    assert caught.value.message.count("missing:") == 6
    assert caught.value.message.endswith("and 3 more")


def test_what_could_not_be_prepared_is_nothing_measurable_too() -> None:
    cases = [Case("minilm-l6", "c", 1, 128, name, Target()) for name in ("torch", "onnxruntime")]
    cases.append(Case(HARNESS, HARNESS, 1, None, "null", Target()))
    good, bad = Prepared(None, HARNESS_IO), Prepared(None, HARNESS_IO, error="no disk", status="failed")
    require_prepared(cases, {cases[0].id: bad, cases[1].id: good, cases[2].id: good}, whole=False)
    for prepared, whole in (({cases[0].id: bad, cases[1].id: bad}, False), ({cases[0].id: bad}, True)):
        with pytest.raises(NothingMeasurable, match="no disk"):
            require_prepared(cases, {case.id: good for case in cases} | prepared, whole)


@pytest.mark.parametrize(
    ("typed", "says"),
    [
        (["run", "--workload", "minilm-l6", "--backend", "ncnn"], "ncnn cannot be imported"),
        (["run", "--workload", "minilm-l6", "--backend", "torch", "--precision", "bf16"], "has no bf16"),
        (["run", "--workload", "minilm-l6", "--backend", "torch", "--device", "cuda:0"], "no device cuda:0"),
        (["run", "--workload", "minilm-l6", "--backend", "torch", "--threads", "999"], "999 threads"),
        (["ab", "torch", "ncnn", "--workload", "minilm-l6"], "ncnn cannot be imported"),
        (["aa", "ncnn", "--workload", "minilm-l6"], "ncnn cannot be imported"),
    ],
)
def test_it_ends_before_the_lock_and_before_a_run_is_begun(
    machine: Path, typed: list[str], says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(typed) == 4
    said = capsys.readouterr().err
    assert says in said
    assert "  bakeoff doctor" in said
    with sqlite3.connect(machine / "results" / "bakeoff.sqlite") as db:
        assert db.execute("SELECT count(*) FROM runs").fetchone() == (0,)


def test_what_cannot_be_prepared_ends_before_the_lock_with_its_rows_kept(
    machine: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def prepare(cases: list[Case], *_: object) -> dict[str, Prepared]:
        return {case.id: Prepared(None, HARNESS_IO, error="no disk", status="failed") for case in cases}

    monkeypatch.setattr(api, "prepare", prepare)
    assert main(["run", "--workload", "minilm-l6", "--backend", "torch", "--precision", "fp32"]) == 4
    assert "failed: minilm-l6 b1 s128 · torch · fp32" in capsys.readouterr().err
    with Store.open(machine / "results" / "bakeoff.sqlite") as store:
        (run,) = store.runs()
        assert run.state == "interrupted"  # `--resume` tries again
        blocks = {block.case_id: block.status for block in store.blocks(run.id)}
        (torch,) = (one.case for one in store.cases(run.id) if one.case.backend == "torch")
        assert blocks[torch.id] == "failed"


@pytest.mark.parametrize(
    "keys",
    [
        {"workloads": ["minilm-l6", {"name": "distilbert", "precisions": ["bf16"]}], "backends": [
            {"name": "torch", "precisions": ["fp32"]}]},
        {"backends": ["torch", {"name": "onnxruntime", "precisions": ["int8:qdq"]}], "workloads": [
            {"name": "minilm-l6", "precisions": ["fp32"]}]},
    ],
)  # fmt: skip
def test_lists_without_a_precision_in_common_leave_nobody_out_in_silence(keys: dict[str, Any]) -> None:
    lost = "distilbert" if len(keys["workloads"]) > 1 else "onnxruntime"
    with pytest.raises(UsageError, match=f"no case is left of {lost}"):
        planned(**keys)


@pytest.mark.parametrize(
    "typed", [["report"], ["export"], ["export", "--format", "json"], ["export", "--samples"]]
)
def test_nothing_to_write_is_no_empty_file(
    typed: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A run that was killed before it was planned, or of which nothing was measured."""
    monkeypatch.chdir(tmp_path)
    with Store.open(Path("s.sqlite"), create=True) as store:
        store.create_run(RunRecord("20261101-090000", "quick", "running", "2026-11-01T09:00:00+00:00"))
    assert main([*typed, "--store", "s.sqlite", "-o", "out"]) == 4
    said = capsys.readouterr().err
    assert "run 20261101-090000 holds no case" in said
    assert "bakeoff run --store s.sqlite --resume 20261101-090000" in said
    failed = Ask("torch", status="failed", reason="no disk")
    write_run(Path("other.sqlite"), "20261102-090000", [failed], seed=1)
    assert main([*typed, "--store", "other.sqlite", "-o", "out"]) == (4 if "--samples" in typed else 0)


def test_a_store_without_a_run_is_not_merged_in_silence(tmp_path: Path) -> None:
    write_run(tmp_path / "a.sqlite", "20261101-090000", [Ask("torch", 0.1)], seed=1)
    Store.open(tmp_path / "empty.sqlite", create=True).close()
    typed = ["merge", str(tmp_path / "a.sqlite"), str(tmp_path / "empty.sqlite")]
    assert main([*typed, "--into", str(tmp_path / "all.sqlite")]) == 4
    assert not (tmp_path / "all.sqlite").exists()
