"""What NEW lost of what BASE measured: a gate closes on it, and no common case has a code of its own."""

import json
from pathlib import Path

import pytest

from bench.cli import main
from bench.interfaces.block import MEASURED
from tests.helpers.fake_results import Ask
from tests.helpers.fake_runs import write_run

STEADY = Ask("torch", 0.0893)
LOST = [
    (Ask("onnxruntime", status="crashed", reason="killed by SIGSEGV during burst\nlog"), "broken", "SIGSEGV"),
    (Ask("onnxruntime", status="timeout", reason="burst took over 60 s"), "broken", "timeout"),
    (Ask("onnxruntime", status="out-of-memory", reason="3 GB"), "broken", "out-of-memory"),
    (Ask("onnxruntime", status="failed", reason="prepare: no disk"), "broken", "no disk"),
    (Ask("onnxruntime", 0.04, status="wrong-output", reason="error 0.3"), "broken", "wrong-output"),
    (Ask("onnxruntime", 0.04, ran="bf16"), "broken", "asked for precision fp32, ran bf16"),
    (Ask("onnxruntime", 0.04, status="unverified", reason="no reference"), "gone", "no reference"),
    (Ask("onnxruntime", status="unsupported", reason="no such operator"), "gone", "no such operator"),
    (Ask("onnxruntime", status="missing", reason="not installed"), "gone", "not installed"),
    (None, "gone", "NEW has no such case"),
]


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def runs(base: list[Ask], new: list[Ask], days: int = 1) -> list[str]:
    """Two stores; the arguments of `compare`."""
    for name, asks, month in (("base", base, "11"), ("new", new, "12")):
        for day in range(1, days + 1):
            write_run(Path(f"{name}.sqlite"), f"2026{month}0{day}-090000", asks, seed=int(month) + 40 * day)
    return ["compare", "base.sqlite::*", "new.sqlite::*"]


@pytest.mark.parametrize(("lost", "word", "why"), LOST)
def test_a_case_that_new_lost_closes_the_gate(
    lost: Ask | None, word: str, why: str, capsys: pytest.CaptureFixture[str]
) -> None:
    typed = runs([STEADY, Ask("onnxruntime", 0.04)], [STEADY, *([lost] if lost else [])])
    assert main([*typed, "--gate", "5%"]) == 1
    said = " ".join(capsys.readouterr().out.split())
    assert f"closed (1 cannot tell, 1 {word})" in said
    assert main([*typed, "--gate", "5%", "--json"]) == 1
    judged = json.loads(capsys.readouterr().out)["gate"]
    assert judged["exit_code"] == 1
    assert why in judged["results"][-1]["reason"]
    assert main([*typed, "--gate", "5%", f"--{word}", "pass"]) == 0
    assert main(typed) == 0  # no gate was asked for


@pytest.mark.parametrize("there", [True, False])
@pytest.mark.parametrize("status", ["crashed", "unsupported", "unverified", "wrong-output"])
def test_what_base_did_not_measure_either_is_no_loss(status: str, there: bool) -> None:
    seconds = 0.04 if status in MEASURED else None
    bad = Ask("onnxruntime", seconds, status=status, reason="so it is")  # type: ignore[arg-type]
    assert main([*runs([STEADY, bad], [STEADY, *([bad] if there else [])]), "--gate", "5%"]) == 0


def test_one_run_of_three_that_broke_is_broken(capsys: pytest.CaptureFixture[str]) -> None:
    typed = runs([STEADY, Ask("onnxruntime", 0.04)], [STEADY, Ask("onnxruntime", 0.04)], days=2)
    crashed = Ask("onnxruntime", status="crashed", reason="SIGSEGV")
    write_run(Path("new.sqlite"), "20261205-090000", [STEADY, crashed], seed=9)
    assert main([*typed, "--gate", "5%"]) == 1
    assert "1 broken" in capsys.readouterr().out


@pytest.mark.parametrize("gate", [[], ["--gate", "5%"], ["--gate", "5%", "--gone", "pass"], ["--machines"]])
def test_no_common_case_is_a_sentence_and_a_code(gate: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    typed = runs([STEADY], [Ask("openvino", 0.04)])
    assert main([*typed, *gate]) == 4
    assert "bakeoff: nothing was judged: no case is on both sides" in capsys.readouterr().err


def test_no_comparable_case_is_a_code_too(capsys: pytest.CaptureFixture[str]) -> None:
    """Without an anchor runs of two days cannot be compared at all."""
    for name in ("base", "new"):
        write_run(Path(f"{name}.sqlite"), "20261101-090000", [STEADY], seed=3, anchor=False)
    assert main(["compare", "base.sqlite", "new.sqlite", "--gate", "5%"]) == 4
    assert "nothing was judged: no case can be compared" in capsys.readouterr().err


def test_all_cases_broken_is_a_closed_gate_and_not_nothing() -> None:
    crashed = Ask("torch", status="crashed", reason="SIGSEGV")
    assert main([*runs([STEADY], [crashed]), "--gate", "5%"]) == 1


def test_a_missing_store_is_not_a_regression(capsys: pytest.CaptureFixture[str]) -> None:
    write_run(Path("new.sqlite"), "20261101-090000", [STEADY], seed=3)
    assert main(["compare", "base.sqlite", "new.sqlite", "--gate", "5%"]) == 4
    assert "no store at base.sqlite" in capsys.readouterr().err
    Path("base.sqlite").write_text("<html>not a store</html>")
    assert main(["compare", "base.sqlite", "new.sqlite", "--gate", "5%"]) == 4
    assert main(["compare", "new.sqlite::nothing", "new.sqlite", "--gate", "5%"]) == 2


def test_within_a_run_a_configuration_that_broke_closes_the_gate(capsys: pytest.CaptureFixture[str]) -> None:
    crashed = Ask("onnxruntime", threads=1, status="crashed", reason="SIGSEGV")
    write_run(Path("run.sqlite"), "20261101-090000", [STEADY, Ask("onnxruntime", 0.04), crashed], seed=3)
    typed = ["compare", "onnxruntime@threads=2", "onnxruntime@threads=1", "--store", "run.sqlite"]
    assert main([*typed, "--gate", "5%"]) == 1
    assert "1 broken" in capsys.readouterr().out
    assert main([*typed, "--gate", "5%", "--broken", "pass"]) == 0
