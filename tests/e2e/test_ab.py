"""`bakeoff ab` and `bakeoff aa` with real runtimes on the tiny workload."""

from __future__ import annotations

import json

import pytest

from tests.e2e.conftest import Bakeoff

TINY = ("--workload", "tiny-cnn", "--threads", "1")


@pytest.mark.slow
def test_a_large_difference_is_proven_at_the_first_look_and_closes_a_gate(bakeoff: Bakeoff) -> None:
    done = bakeoff("ab", "onnxruntime", "torch", *TINY, "--budget", "5m", "--gate", "10%", "--json")
    assert done.returncode == 1, done.stdout + done.stderr
    found = json.loads(done.stdout)
    (one,) = found["comparisons"]
    assert one["verdict"]["word"] == "slower"
    assert one["verdict"]["ratio"]["low"] > 1.1
    assert len(one["logs"]) == 6  # the first look settled it
    assert found["gate"]["results"][0]["word"] == "regression"
    assert "plan: at most" in done.stderr
    assert "replicate 4: 2 of 2 cases go on" in done.stderr
    again = bakeoff("compare", "onnxruntime", "torch", "--json")
    assert json.loads(again.stdout)["comparisons"][0]["verdict"] == one["verdict"]
    resumed = bakeoff("run", "--resume")  # settled: nothing is measured any more
    assert resumed.returncode == 0, resumed.stderr
    assert "part 1" not in resumed.stdout


@pytest.mark.slow
def test_something_against_itself_in_a_short_time_does_not_close_a_gate(bakeoff: Bakeoff) -> None:
    done = bakeoff("ab", "onnxruntime", "onnxruntime", *TINY, "--budget", "15s", "--gate", "5%")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Gate at 5 % slower: open" in done.stdout
    assert "BASE  onnxruntime" in done.stdout


@pytest.mark.slow
def test_aa_judges_the_machine(bakeoff: Bakeoff) -> None:
    done = bakeoff("aa", "onnxruntime", *TINY, "--budget", "32s")
    assert done.returncode == 0, done.stdout + done.stderr
    for said in ("against itself", "between replicates beyond that", "false verdicts", "3 % slower"):
        assert said in done.stdout, done.stdout
    short = bakeoff("aa", "onnxruntime", *TINY, "--budget", "1s")
    assert short.returncode == 4
    assert "--budget" in short.stderr


@pytest.mark.slow
def test_a_side_that_cannot_be_measured_is_said_so(bakeoff: Bakeoff) -> None:
    done = bakeoff("ab", "onnxruntime", "onnxruntime@precision=fp16", *TINY, "--budget", "10s")
    assert done.returncode == 4
    assert "unsupported" in done.stderr
