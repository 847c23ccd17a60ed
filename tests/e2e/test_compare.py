"""`bakeoff compare` as a person calls it: on runs really made here, and on stores with a known truth."""

import json
import shlex
from pathlib import Path

import pytest

from bench.cli.parser import parse
from bench.suite.configuration import parse_side
from tests.e2e.conftest import Bakeoff
from tests.helpers.fake_results import Ask
from tests.helpers.fake_runs import write_run

SUITE = """\
workloads: [tiny-cnn]
backends: [{name: onnxruntime, preset: [stock, expert]}]
threads: [1]
"null": false
"""


@pytest.mark.slow
def test_runs_of_two_days_and_configurations_of_one(bakeoff: Bakeoff, tmp_path: Path) -> None:
    (tmp_path / "s.yaml").write_text(SUITE)
    for day, flags in (("mon", []), ("tue", ["--preset", "stock"])):
        done = bakeoff("run", "s.yaml", *flags, "--store", f"{day}.sqlite")
        assert done.returncode == 0, done.stdout + done.stderr

    asked = ("compare", "mon.sqlite", "tue.sqlite", "--json", "--gate", "5%")
    assert bakeoff(*asked).returncode == 1  # tuesday's run lacks a case of monday's
    done = bakeoff(*asked, "--gone", "pass")
    assert done.returncode == 0, done.stdout + done.stderr
    data = json.loads(done.stdout)
    assert (data["kind"], data["differences"], data["only_new"]) == ("across", [], [])
    assert data["only_base"] == ["tiny-cnn b1 · onnxruntime · fp32 · cpu · 1 thread · expert"]
    assert all(seconds > 0 for seconds in data["anchor"])
    (one,) = data["comparisons"]
    assert one["verdict"]["word"] in ("suspect", "inconclusive")
    assert "3 on each side" in one["verdict"]["reason"]
    assert one["verdict"]["ratio"]["low"] < one["verdict"]["ratio"]["value"]
    assert one["settle"] == "bakeoff run s.yaml --preset stock --store tue.sqlite"
    assert [each["word"] for each in data["gate"]["results"]] == ["cannot tell", "gone"]
    assert "Nothing but the day differs" in bakeoff("compare", "mon.sqlite", "tue.sqlite").stdout

    sides = ("onnxruntime@preset=stock", "onnxruntime@preset=expert")
    done = bakeoff("compare", *sides, "--store", "mon.sqlite", "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    data = json.loads(done.stdout)
    (one,) = data["comparisons"]
    assert (data["kind"], data["looks"]) == ("within", [3])
    assert len(one["logs"]) >= 3  # a disturbed replicate is repeated
    assert one["verdict"]["word"] in ("faster", "slower", "equivalent", "inconclusive")
    assert "preset  stock → expert" in bakeoff("compare", *sides, "--store", "mon.sqlite").stdout


@pytest.fixture
def stores(tmp_path: Path) -> Path:
    """Three days each of a version and of one that is 30 % slower, the machine itself 10 % faster then."""
    for i in range(3):
        for name, version, times, speed in (("old", "1.30.0", 1.0, 1.0), ("new", "1.31.1", 1.3, 0.9)):
            asks = [Ask("torch", 0.0893), Ask("onnxruntime", 0.0437 * times)]
            versions = {"onnxruntime": version}
            run = f"2026112{i}-0{len(name)}{i}000{'' if name == 'old' else '-2'}"
            write_run(
                tmp_path / f"{name}.sqlite",
                run,
                asks,
                seed=i + 50 * len(version + name),
                versions=versions,
                machine_speed=speed,
            )
    return tmp_path


def test_a_run_against_a_run_is_suspect_and_the_command_is_one_that_can_be_typed(
    bakeoff: Bakeoff, stores: Path
) -> None:
    done = bakeoff("compare", "old.sqlite", "new.sqlite")
    assert done.returncode == 0, done.stderr
    assert done.stdout.index("onnxruntime  1.30.0 → 1.31.1") < done.stdout.index("verdict")
    assert "onnxruntime (suspect): slower by" in done.stdout
    (line,) = (line for line in done.stdout.splitlines() if "bakeoff ab" in line)
    command = line.split("settle it in turns: ")[1].strip()
    options = parse(shlex.split(command)[1:])
    assert [parse_side(side).backend for side in (options.a, options.b)] == [
        "onnxruntime==1.30.0",
        "onnxruntime==1.31.1",
    ]
    assert (options.workload, options.batch, options.threads) == (["resnet50"], ["1"], ["2"])


def test_three_days_against_three_close_the_gate(bakeoff: Bakeoff, stores: Path) -> None:
    closed = bakeoff("compare", "old.sqlite::*", "new.sqlite::*", "--gate", "5 %")
    assert closed.returncode == 1, closed.stdout + closed.stderr
    assert "slower" in closed.stdout
    assert "Gate at 5 % slower: closed (1 pass, 1 regression)." in closed.stdout
    back = bakeoff("compare", "new.sqlite::*", "old.sqlite::*", "--gate", "5%", "--json")
    assert back.returncode == 0, back.stdout + back.stderr
    words = [one["verdict"]["word"] for one in json.loads(back.stdout)["comparisons"]]
    assert words[1] == "faster"


def test_what_cannot_be_told_closes_the_gate_only_if_asked(bakeoff: Bakeoff, stores: Path) -> None:
    one = ("compare", "old.sqlite", "new.sqlite", "--gate", "5%")
    assert bakeoff(*one).returncode == 0
    assert bakeoff(*one, "--inconclusive", "fail").returncode == 1


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("old.sqlite", "gone.sqlite"), "no store at gone.sqlite"),
        (
            ("latest", "torch", "--store", "old.sqlite"),
            "is a run of old.sqlite and 'torch' is a configuration",
        ),
        (("latest", "latest", "--store", "old.sqlite"), "on both sides"),
        (("torch", "openvino", "--store", "old.sqlite"), "has no case 'openvino'"),
        (("onnxrutime", "torch", "--store", "old.sqlite"), "did you mean 'onnxruntime'?"),
        (("old.sqlite", "new.sqlite", "--run", "latest"), "leave --run out"),
        (("old.sqlite", "new.sqlite", "--gate", "0.05"), "write it with the sign"),
        (("old.sqlite",), "NEW"),
    ],
)
def test_a_mistake_is_named_with_the_next_step(
    bakeoff: Bakeoff, stores: Path, arguments: tuple[str, ...], says: str
) -> None:
    done = bakeoff("compare", *arguments)
    assert says in done.stderr, done.stderr
    assert "Traceback" not in done.stderr
    assert done.returncode == (4 if "gone.sqlite" in arguments else 2)
