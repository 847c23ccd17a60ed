"""The main job on a tiny workload with the real runtimes, and what a person sees when something is off."""

import json
import os
import re
import sqlite3
from itertools import pairwise
from pathlib import Path

import pytest

from bench.interfaces.precision import runs_as
from bench.store.sqlite import Store

TINY = ("--workload", "tiny-cnn", "--threads", "1")


def rows(bakeoff) -> list[dict]:
    """The latest run's rows as `show --json` gives them."""
    return [
        row for row in json.loads(bakeoff("show", "--json").stdout)["rows"] if row["workload"] == "tiny-cnn"
    ]


@pytest.mark.slow
def test_the_main_job(bakeoff, tmp_path: Path) -> None:
    done = bakeoff("run", "quick", *TINY, "--report", "out/report.html")
    assert done.returncode == 0, done.stdout + done.stderr
    for backend in ("torch", "onnxruntime", "openvino"):
        assert re.search(rf"ok +tiny-cnn b1 · {backend} ", done.stdout), done.stdout
    page = (tmp_path / "out" / "report.html").read_text()
    assert page.count("tiny-cnn") >= 3
    shown = bakeoff("show")
    assert shown.returncode == 0
    assert "onnxruntime" in shown.stdout
    cases = {(row["backend"], row["precision"]): row for row in rows(bakeoff)}
    dynamic = cases.pop(("torch", "int8-dynamic"))
    assert dynamic["status"] == "unsupported"
    assert "linear layers" in dynamic["reason"]
    assert len(cases) == 5
    for (_, precision), row in cases.items():
        assert row["status"] == "ok"
        assert row["ranked"]
        assert 3 <= row["replicates"] <= 6  # one that others disturbed is repeated
        assert row["band_low"] <= row["error"] <= row["band_high"]
        assert row["precision_ran"] == runs_as(precision)
        assert row["precision_evidence"] == "executed"
        assert row["latency_low_ms"] < row["latency_ms"] < row["latency_high_ms"]
        assert row["device_latency_ms"] > 0
        assert row["model_mb"] < row["peak_mb"]
    assert cases["torch", "fp32"]["ratio"] is None
    assert cases["openvino", "int8:qdq"]["ratio"] > 0
    for kind in ("csv", "parquet", "json", "markdown"):
        assert bakeoff("export", "--format", kind, "-o", f"x.{kind}").returncode == 0
        assert (tmp_path / f"x.{kind}").stat().st_size > 500
    with Store.open(tmp_path / "results" / "bakeoff.sqlite") as store:
        run = store.run().id
        blocks, rounds = store.blocks(run), store.rounds(run)
        records, estimates = store.cases(run), store.estimates(run)
    proofs = [block.replicate for block in blocks if block.actual]
    assert {(one.part, one.round) for one in rounds} == {(b.part, o.round) for b in blocks for o in b.bursts}
    assert all(one.took_ns > 0 for one in rounds)
    assert all(one.began_ns < other.began_ns for one, other in pairwise(rounds) if one.part == other.part)
    asked = [one for one in records if one.case.workload != "harness"]
    assert {one.origin["door"] for one in asked} == {"plugin"}  # of the tests' own distribution
    assert all(one.origin["digest"] == one.case.content for one in asked)
    assert {one.reference["source"] for one in asked if one.band} == {"torch-fp64"}
    assert {row["reference"] for row in cases.values()} == {"torch-fp64"}
    said = {one.case_id: (one.word, one.ratio.value) for one in estimates}
    assert said == {row["case_id"]: (row["verdict"], row["ratio"]) for row in cases.values() if row["ratio"]}
    assert proofs == [0] * 7  # once a case, anchor and null backend too
    again = bakeoff("run", "--resume")
    assert again.returncode == 0
    assert "made in" not in again.stdout
    assert "part 1" not in again.stdout


@pytest.mark.slow
def test_what_cannot_be_is_a_row_with_its_reason(bakeoff) -> None:
    precisions = "fp32,fp16,bf16,int4-weight"
    done = bakeoff("run", *TINY, "--backend", "openvino,onnxruntime", "--precision", precisions)
    assert done.returncode == 0, done.stdout + done.stderr
    found = {(row["backend"], row["precision"]): row for row in rows(bakeoff)}
    assert len(found) == 8
    half, other = found["openvino", "fp16"], found["onnxruntime", "fp16"]
    if half["status"] == "ok":  # on a CPU that computes fp16
        assert half["precision_ran"] == "fp16"
    else:
        assert half["status"] == "unsupported"
        assert "f32" in half["reason"] or "fp16" in half["reason"]
    assert half["ranked"] == (half["status"] == "ok")
    assert other["status"] == "unsupported"
    assert "its CPU provider has no kernels" in other["reason"]
    assert not other["ranked"]
    assert "of this model's weights in int4" in found["openvino", "int4-weight"]["reason"]
    assert found["openvino", "fp32"]["ranked"]


@pytest.mark.slow
def test_what_failed_is_measured_again_as_asked(bakeoff, tmp_path: Path) -> None:
    """A worker's failure is a row and exit code 3; `--rerun` says what a resumed run does about it."""
    entry = "{name: reference, options: {fault: raise, when: late, after: 5}}"
    (tmp_path / "s.yaml").write_text(
        f"workloads: [tiny-cnn]\nbackends: [onnxruntime, {entry}]\nthreads: [1]\n"
    )
    first = bakeoff("run", "s.yaml", "--json")
    assert first.returncode == 3
    assert "told to raise" in first.stdout
    assert "bakeoff run --resume" in first.stderr
    events = [json.loads(line) for line in first.stdout.splitlines()]
    assert [event["event"] for event in events[:1] + events[-1:]] == ["run", "done"]

    def again(rerun: str) -> tuple[int, int, set[str]]:
        done = bakeoff("run", "--resume", "--rerun", rerun, "--json")
        blocks = [json.loads(x)["block"] for x in done.stdout.splitlines() if '"event": "block"' in x]
        failed = sum(block["status"] == "failed" for block in blocks)
        return done.returncode, failed, {block["status"] for block in blocks} - {"failed"}

    assert again("never") == (3, 0, set())
    assert again("onfail") == (3, 1, {"ok"})  # beside its baseline and anchor
    assert again("always") == (3, 1, {"ok"})
    good, row = rows(bakeoff)
    assert (good["status"], row["status"]) == ("ok", "failed")
    assert "told to raise" in row["reason"]


@pytest.mark.slow
def test_where_all_failed_nothing_was_measured(bakeoff, tmp_path: Path) -> None:
    """Code 4 comes before 3; anchor and null backend, which are measured all the same, do not count."""
    entry = "{name: reference, options: {fault: raise, when: late, after: 5}}"
    (tmp_path / "s.yaml").write_text(f"workloads: [tiny-cnn]\nbackends: [{entry}]\nthreads: [1]\n")
    done = bakeoff("run", "s.yaml")
    assert done.returncode == 4, done.stdout + done.stderr
    assert "bakeoff: nothing was measured" in done.stderr
    assert "bakeoff run --resume" in done.stderr


@pytest.mark.slow
def test_what_the_budget_left_out_is_told_and_that_it_was_overrun(bakeoff) -> None:
    asked = (*TINY, "--backend", "onnxruntime", "--precision", "fp32", "--batch", "1,2")
    done = bakeoff("run", *asked, "--budget", "1s")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "bakeoff: 1 of the 2 cases were not measured: the budget ended before" in done.stderr
    assert "of a budget of 1 s: the first part is always begun" in " ".join(done.stdout.split())


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("run", "quikc"), "did you mean 'quick'?"),
        (("run", "--backend", "onnxruntim"), "did you mean 'onnxruntime'?"),
        (("run", "--workload", "resnet5"), "did you mean 'resnet50'?"),
        (("run", "--batch", "0"), "--batch"),
        (("run", "--batch", "-3"), "--batch"),
        (("run", "--precision", "int3"), "int8"),
        (("run", "--threads", "lots"), "--threads"),
        (("run", "--budget", "soon"), "10m"),
        (("run", "--workload", "tiny-cnn", "--weights", "none.safetensors"), "none.safetensors"),
        (("run", "nothing.yaml"), "nothing.yaml"),
        (("show", "--store", "none.sqlite"), "bakeoff run --store none.sqlite quick"),
        (("report", "--store", "none.sqlite"), "bakeoff run --store none.sqlite quick"),
        (("export", "--store", "none.sqlite"), "bakeoff run --store none.sqlite quick"),
        (("run", "--resume", "--store", "none.sqlite"), "bakeoff run --store none.sqlite quick"),
        (("run", "--resume", "--batch", "8", "--store", "none.sqlite"), "--batch cannot change it"),
        (("rnu",), "did you mean 'run'?"),
        (("run", "--prcision", "fp32"), "did you mean '--precision'?"),
    ],
)
def test_a_mistake_is_named_with_the_next_step(bakeoff, arguments, says) -> None:
    done = bakeoff(*arguments)
    assert says in done.stderr, done.stderr
    assert "Traceback" not in done.stderr
    assert done.returncode == (4 if says == "bakeoff run --store none.sqlite quick" else 2)


def test_a_suite_with_a_typo_names_its_line(bakeoff, tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text("workloads: [tiny-cnn]\nbackends: [torch]\nbatchs: [1]\n")
    done = bakeoff("run", "mine.yaml")
    assert done.returncode == 2
    assert "mine.yaml:3" in done.stderr
    assert "batches" in done.stderr


def test_debug_shows_the_traceback(bakeoff) -> None:
    assert "Traceback" in bakeoff("run", "quikc", "--debug").stderr


def test_a_store_from_a_newer_version(bakeoff, tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "new.sqlite") as db:
        db.execute("PRAGMA user_version = 99")
    done = bakeoff("show", "--store", "new.sqlite")
    assert done.returncode == 4
    assert "newer bakeoff" in done.stderr
    assert "--store" in done.stderr


@pytest.mark.skipif(
    not os.path.exists("/proc/self/mem"), reason="a folder that root cannot write, Linux only"
)
def test_a_folder_that_cannot_be_written(bakeoff) -> None:
    done = bakeoff("run", *TINY, "--store", "/proc/self/s.sqlite")
    assert done.returncode == 4
    assert "--store" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_broken_model_file_is_named(bakeoff, environment, tmp_path: Path) -> None:
    (tmp_path / "broken.safetensors").write_bytes(b"not weights at all")
    done = bakeoff(
        "run", *TINY, "--backend", "torch", "--weights", "broken.safetensors", "--store", "s.sqlite"
    )
    assert done.returncode == 2
    assert "broken.safetensors" in done.stdout + done.stderr
    assert "Traceback" not in done.stderr


def test_lists(bakeoff) -> None:
    assert "tiny-cnn" in bakeoff("list", "workloads").stdout
    assert "openvino" in bakeoff("list", "backends").stdout
    assert "quick" in bakeoff("list", "suites").stdout
    cases = json.loads(bakeoff("list", "cases", "--json").stdout)
    assert sum("resnet50" in case["what"] for case in cases) == 5
    assert bakeoff("list", "runs", "--store", "none.sqlite").returncode == 4


def test_doctor_tells_versions_and_fitness(bakeoff) -> None:
    done = bakeoff("doctor", "--json")
    assert done.returncode == 0, done.stderr
    assert {"torch", "onnxruntime", "openvino"} <= {
        backend["name"] for backend in json.loads(done.stdout)["backends"]
    }
    assert "onnxruntime" in bakeoff("doctor").stdout
