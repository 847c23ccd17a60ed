"""Empty words on the command line, and one word where a list would be taken apart."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.cli.parser import parse
from bench.interfaces.errors import UsageError
from bench.suite.flags import suite_from_flags
from bench.suite.suite import Suite

FLAGS = [
    ["run", "--budget", ""],
    ["run", "--budget="],
    ["run", "--resume", ""],
    ["run", "--baseline", " "],
    ["run", "--workload", ""],
    ["export", "-o", ""],
    ["show", "--store", ""],
    ["cache", "prune", "--workload="],
    ["setup", "--suite", ""],
]
WORDS = [
    ["run", ""],
    ["list", "cases", ""],
    ["show", ""],
    ["aa", ""],
    ["compare", "a", ""],
    ["env", "create", ""],
]


@pytest.mark.parametrize("typed", FLAGS, ids=" ".join)
def test_an_empty_value_is_no_default(typed: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """`--budget "$BUDGET"` in a script where nobody set it."""
    with pytest.raises(SystemExit) as caught:
        parse(typed)
    assert caught.value.code == 2
    flag = typed[-1].rstrip("=") or typed[-2]
    command = " ".join(word for word in typed if word.isalpha())
    assert f"argument {flag.strip() or typed[-2]}: a value is missing\n  bakeoff {command} --help" in (
        capsys.readouterr().err
    )


@pytest.mark.parametrize("typed", WORDS, ids=" ".join)
def test_an_empty_word_is_not_passed_over(typed: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        parse(typed)
    assert caught.value.code == 2
    assert "an argument is empty" in capsys.readouterr().err


def test_a_flag_that_may_stand_alone_still_may() -> None:
    assert parse(["run", "--resume"]).resume == "latest"
    assert parse(["compare", "a=b", "c@d=e"]).base == "a=b"


BASE = {"name": "own", "workloads": ["resnet50"], "backends": ["torch", "onnxruntime"]}


@pytest.mark.parametrize(
    ("key", "word", "message"),
    [
        ("budget", "1,5m", "--budget: '1,5m' is no duration"),
        ("baseline", "torch,onnxruntime", "--baseline: 'torch,onnxruntime' is none of"),
        ("profile", "quick,publish", "--profile: must be"),
        ("rotate", "1,5", "--rotate: must be a valid integer"),
    ],
)
def test_a_comma_is_no_end_of_a_single_value(key: str, word: str, message: str) -> None:
    """`1,5m` is how half of Europe writes 1.5m; it was 1 s."""
    with pytest.raises(UsageError, match=message):
        suite_from_flags(Suite.from_dict(BASE), {key: word})


def test_a_path_may_hold_a_comma(tmp_path: Path) -> None:
    path = tmp_path / "a,b.safetensors"
    suite = suite_from_flags(Suite.from_dict({**BASE, "workloads": ["resnet50"]}), {"weights": str(path)})
    assert suite.workloads[0].weights == str(path)


@pytest.mark.parametrize("key", ["relevant", "rotate"])
def test_true_is_no_number(key: str) -> None:
    with pytest.raises(UsageError, match=f"{key}: must be a number, not true"):
        Suite.from_dict({**BASE, key: True})
