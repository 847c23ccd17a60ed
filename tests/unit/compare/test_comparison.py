"""A comparison as it is shown: in 100 columns, safely, with all that it takes to act on it."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from bench.cli import main
from bench.compare.across_runs import compare_runs
from bench.compare.comparison import Compared, Gate, gated
from bench.compare.environment_diff import Difference
from bench.compare.judge import results
from bench.compare.within_run import compare_within
from bench.interfaces.estimate import Estimate
from bench.stats.gate import Rules
from bench.stats.verdict import Verdict
from bench.store.sqlite import Store
from bench.suite.configuration import parse_side
from reports.terminal import comparison as shown
from tests.helpers import fake_results as fake
from tests.helpers.fake_results import Ask
from tests.helpers.fake_runs import write_run

LINES = (["20261121-090000 (quick) of a.sqlite"], ["20261122-090000 (quick) of b.sqlite"])


@pytest.fixture(scope="module")
def across(tmp_path_factory: pytest.TempPathFactory) -> Compared:
    """One run against one, ONNX Runtime 30 % slower in a newer version, a case on either side alone."""
    folder = tmp_path_factory.mktemp("stores")
    base = [Ask("torch", 0.0893), Ask("onnxruntime", 0.0437), Ask("openvino", 0.04)]
    new = [Ask("torch", 0.0893), Ask("onnxruntime", 0.0568), Ask("tvm", 0.2)]
    found = []
    for name, asks, version in (("a", base, "1.30.0"), ("b", new, "1.31.1")):
        path = folder / f"{name}.sqlite"
        write_run(path, "20261121-090000", asks, seed=ord(name), versions={"onnxruntime": version})
        with Store.open(path) as store:
            found.append(results(store))
    return compare_runs([found[0]], [found[1]], LINES)


@pytest.fixture(scope="module")
def within() -> Compared:
    asks = [Ask("torch", 0.0893), Ask("onnxruntime", 0.05, threads=1), Ask("onnxruntime", 0.04)]
    run = fake.judged(fake.make("resnet50", asks, seed=3))
    said = ("onnxruntime@threads=1", "onnxruntime@threads=2")
    return compare_within(run, *map(parse_side, said), said, "run 20261122 (quick)")


def nasty(compared: Compared) -> Compared:
    text = "\x1b[2J[bold]boo[/bold]\r\n" + "x" * 300
    unknown = Verdict("not comparable", Estimate(None, None, None, 0), reason=text)
    infinite = Verdict("inconclusive", Estimate(1.0, 0.0, float("inf"), 2), p=float("nan"))
    rows = tuple(
        replace(compared.comparisons[0], name=f"{text} · {i}", verdict=verdict, settle=text)
        for i, verdict in enumerate((unknown, infinite))
    )
    return replace(compared, comparisons=rows, differences=(Difference(text, text, text),), base=(text,))


def gate_at(compared: Compared, threshold: float = 0.05) -> Gate:
    return gated(compared, Rules(threshold))


def test_it_fits_the_width_and_cannot_steer_the_terminal(across: Compared, within: Compared) -> None:
    for one in (across, within, nasty(across), nasty(within), replace(across, comparisons=())):
        text = shown.plain(one, gate=gate_at(one))
        assert max(map(len, text.splitlines())) <= shown.WIDTH
        assert all(character.isprintable() or character == "\n" for character in text)


def test_a_changed_version_stands_above_the_results(across: Compared) -> None:
    text = shown.plain(across)
    change, table = text.index("onnxruntime  1.30.0 → 1.31.1"), text.index("verdict")
    assert 0 < text.index("What differs between them besides the day") < change < table
    assert text.index(LINES[0][0]) < text.index(LINES[1][0]) < change


def test_a_suspect_says_why_and_how_to_settle_it(across: Compared) -> None:
    flat = " ".join(shown.plain(across).split())
    assert "onnxruntime (suspect): slower by" in flat
    assert "1 run against 1, and it takes 3 on each side to prove a difference" in flat
    assert (
        "settle it in turns: bakeoff ab onnxruntime==1.30.0 onnxruntime==1.31.1"
        " --workload resnet50 --batch 1 --threads 2" in flat
    )
    assert "more runs on each side: bakeoff run quick --workload resnet50" in flat
    assert "Only in BASE: resnet50 b1 · openvino" in flat
    assert "Only in NEW: resnet50 b1 · tvm" in flat


def test_what_all_share_is_said_once(across: Compared) -> None:
    text = shown.plain(across)
    assert "\nresnet50 b1 · fp32 · cpu · 2 threads\n" in text
    (row,) = (line for line in text.splitlines() if "suspect " in line and "×" in line)
    assert row.split()[0] == "onnxruntime"


def test_within_a_run_the_looks_level_and_the_difference_are_named(within: Compared) -> None:
    text = shown.plain(within)
    assert "threads  1 → 2" in text
    assert "paired by rounds" in text
    assert "95 % intervals" in text
    assert "faster" in text
    assert "besides the day" not in text


def test_the_gate_prints_what_each_comparison_would_find(across: Compared, within: Compared) -> None:
    text = shown.plain(within, gate=gate_at(within))
    assert "Gate at 5 % slower: open (1 pass)." in text
    assert "finds" in text.split("Gate at")[1]
    text = shown.plain(across, gate=gate_at(across))
    assert "Gate at 5 % slower: closed (2 cannot tell, 1 gone)." in text
    assert "NEW has no such case" in text
    assert "`gone` and `broken` close it" in " ".join(text.split())
    excused = shown.plain(across, gate=gated(across, Rules(0.05, gone="pass")))
    assert "Gate at 5 % slower: open (2 cannot tell, 1 gone)." in excused


def test_the_document_holds_everything(across: Compared) -> None:
    data = json.loads(json.dumps(shown.document(across, gate=gate_at(across)), allow_nan=False))
    assert data["kind"] == "across"
    assert data["differences"] == [{"what": "onnxruntime", "base": "1.30.0", "new": "1.31.1"}]
    ort = next(one for one in data["comparisons"] if "onnxruntime" in one["name"])
    assert ort["verdict"]["word"] == "suspect"
    assert 1.2 < ort["verdict"]["ratio"]["value"] < 1.4
    assert ort["verdict"]["ratio"]["low"] > 1
    assert ort["settle"].startswith("bakeoff ab")
    assert len(ort["units"][0]) == 1
    assert data["only_base"] == ["resnet50 b1 · openvino · fp32 · cpu · 2 threads"]
    assert data["gate"]["exit_code"] == 1
    assert [one["word"] for one in data["gate"]["results"]] == ["cannot tell", "cannot tell", "gone"]
    assert shown.document(across)["gate"] is None
    json.dumps(shown.document(nasty(across)), allow_nan=False)


def test_nothing_in_common_is_said(across: Compared) -> None:
    text = shown.plain(replace(across, comparisons=(), differences=()))
    assert "No case is on both sides." in text
    assert "Nothing but the day differs" in text


def test_the_page_shows_what_is_printed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """docs/compare.md's example. Where a change is meant, paste what this prints."""
    monkeypatch.chdir(tmp_path)
    monday = [
        Ask("torch", 0.0893),
        Ask("onnxruntime", 0.0437),
        Ask("openvino", 0.04),
        Ask("openvino", 0.02, precision="int8"),
    ]
    tuesday = [Ask("torch", 0.0893), Ask("onnxruntime", 0.0568), Ask("openvino", 0.04)]
    other = {**fake.MACHINE, "kernel": "6.1.0-21-cloud-amd64", "governor": "performance"}
    write_run(Path("mon.sqlite"), "20261123-111903", monday, seed=1, versions={"onnxruntime": "1.30.0"})
    write_run(Path("tue.sqlite"), "20261124-111903", tuesday, seed=2, machine_speed=1.04, machine=other)
    assert main(["compare", "mon.sqlite", "tue.sqlite"]) == 0
    printed = "\n".join(line.rstrip() for line in capsys.readouterr().out.splitlines()).rstrip()
    assert printed in (Path(__file__).parents[3] / "docs" / "compare.md").read_text(), printed
