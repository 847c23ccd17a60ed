"""What a stranger's store holds acts neither on a terminal nor on a file that is written of it."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest

from bench.cli import main
from bench.store.records import RunRecord
from bench.store.sqlite import Store
from bench.text.printable import printable
from reports.exporters import formats
from tests.helpers.fake_results import MACHINE, VERSIONS, Ask, make

EVIL = "Intel(R)\0 Core\x1b[31mRED\x1b[0m\r\n\x9b2J\x07 \N{RIGHT-TO-LEFT OVERRIDE}gnp.exe"
ACTS = re.compile("[\0\x07\x1b\x9b\u202e]")


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """A run with such text in all that can be named."""
    asks = [
        Ask("torch" + EVIL, 0.1, device="cuda:0" + EVIL),
        Ask("jax", 0.02, variant=EVIL, log=EVIL, reason=EVIL),
        Ask("openvino", status="failed", reason=EVIL, log=EVIL),
    ]
    made = make("resnet50" + EVIL, asks, seed=2)
    made[0] = replace(made[0], record=replace(made[0].record, unit="image" + EVIL))
    path = tmp_path / "evil.sqlite"
    with Store.open(path, create=True) as opened:
        run = RunRecord("2026" + EVIL, EVIL, "finished", "2026-11-22T11:19:03+00:00")
        run = replace(
            run, machine={**MACHINE, "cpu": EVIL}, versions={**VERSIONS, "torch": EVIL}, notes=[EVIL]
        )
        opened.create_run(run)
        opened.add_cases(run.id, [one.record for one in made])
        opened.add_blocks(run.id, [block for one in made for block in one.blocks])
    return path


@pytest.mark.parametrize(
    "command",
    [["show"], ["list", "runs"], ["show", "nonsense"], ["compare", "evil.sqlite", "evil.sqlite"]],
    ids=" ".join,
)
def test_nothing_acts_on_a_terminal(
    command: list[str], store: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(store.parent)
    main([*command, "--store", str(store)])
    said = capsys.readouterr()
    assert "CoreRED" in said.out + said.err
    assert not ACTS.findall(said.out + said.err)


@pytest.mark.parametrize("name", [*formats(), "html"])
def test_nothing_acts_in_a_file(name: str, store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = store.parent / f"out.{name}"
    command = ["report"] if name == "html" else ["export", "--format", name]
    assert main([*command, "--store", str(store), "-o", str(path)]) == 0
    if name == "parquet":
        import pandas as pd

        text = pd.read_parquet(path).to_json()
    else:
        text = path.read_text(encoding="utf-8")
    assert "CoreRED" in text
    assert not ACTS.findall(text)


def test_json_for_programs_is_escaped(store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["list", "runs", "--json", "--store", str(store)]) == 0
    said = capsys.readouterr().out
    assert not ACTS.findall(said)
    assert json.loads(said)[0]["suite"] == EVIL, "the name by which it is asked for is left as it is"


def test_what_stays() -> None:
    text = "resnet50 b1 · torch\tfp32\n12.3 µs ±4 % — 模型 \N{ZERO WIDTH JOINER}"
    assert printable(text) == text
    assert printable("\x1b[1;31mred\x1b[0m and \x1b]0;title\x07") == "red and ]0;title"


def test_nothing_of_the_machine_acts_on_a_terminal(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The doctor shows what /proc, drivers and runtimes say of themselves."""
    monkeypatch.setattr("bench.doctor.diagnose", lambda store: None)
    monkeypatch.setattr("bench.doctor.lines", lambda found: [f"CPU  {EVIL}", "memory  2 GB"])
    main(["doctor"])
    said = capsys.readouterr().out
    assert not ACTS.findall(said)
    assert said.endswith("\nmemory  2 GB\n")
