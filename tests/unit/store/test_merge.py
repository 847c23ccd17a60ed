"""Stores of several machines in one: whole runs, once each, labelled; sources are left as they are."""

from __future__ import annotations

import hashlib
import json
import sqlite3
from pathlib import Path

import pytest

from bench.cli import main
from bench.compare.environment_diff import differences
from bench.compare.judge import results
from bench.compare.said import said
from bench.interfaces.errors import StoreError, UsageError
from bench.machine.label import LABEL, LABEL_FROM, described, label
from bench.store.merge import Source, merge, parse_source
from bench.store.records import RoundRecord, RunRecord
from bench.store.sqlite import Store
from tests.helpers import fake_results as fake
from tests.helpers.fake_results import Ask


def store(path: Path, machine: dict[str, object], asks: list[Ask], run_id: str = "20261122-111903") -> Path:
    """A store with one finished run of ResNet-50."""
    made = fake.make("resnet50", asks, seed=3) + fake.harness()
    with Store.open(path, create=True) as opened:
        record = RunRecord(run_id, "quick", "finished", f"{run_id}Z", machine=dict(machine), command=["run"])
        opened.create_run(record)
        opened.add_cases(record.id, [one.record for one in made])
        opened.add_blocks(record.id, [block for one in made for block in one.blocks])
    return path


CPU, GPU = [Ask("torch", 0.0893)], [Ask("torch", 0.0041, device="cuda:0", threads=1)]


@pytest.fixture
def both(tmp_path: Path) -> tuple[Path, Path]:
    return store(tmp_path / "cpu.sqlite", fake.MACHINE, CPU), store(
        tmp_path / "gpu.sqlite", fake.GPU_MACHINE, GPU
    )


def runs(path: Path) -> dict[str, str]:
    """Label → id."""
    with Store.open(path) as opened:
        return {label(run): run.id for run in opened.runs()}


def test_every_run_comes_whole_and_with_its_machine(both: tuple[Path, Path], tmp_path: Path) -> None:
    before = [hashlib.sha256(path.read_bytes()).hexdigest() for path in both]
    into = tmp_path / "all.sqlite"
    merge([Source(path) for path in both], into)
    labels = runs(into)
    assert set(labels) == {"AMD EPYC 7B13", "NVIDIA H200 on INTEL XEON PLATINUM 8581C"}
    assert len(set(labels.values())) == 2, "the same id twice gets a suffix"
    with Store.open(into) as merged, Store.open(both[1]) as source:
        (run,) = source.runs()
        copied = labels["NVIDIA H200 on INTEL XEON PLATINUM 8581C"]
        assert [one.case.id for one in merged.cases(copied)] == [one.case.id for one in source.cases(run.id)]
        for one, other in zip(merged.blocks(copied), source.blocks(run.id), strict=True):
            assert one.host_ns.tolist() == other.host_ns.tolist()
            assert one.bursts == other.bursts
            assert one.figures == other.figures
    after = [hashlib.sha256(path.read_bytes()).hexdigest() for path in both[:1]]
    assert after == before[:1]


def test_once_more_changes_nothing(both: tuple[Path, Path], tmp_path: Path) -> None:
    into = tmp_path / "all.sqlite"
    first = merge([Source(path) for path in both], into)
    again = merge([Source(path) for path in reversed(both)], into)
    assert [one.known for one in first] == [False, False]
    assert [one.known for one in again] == [True, True]
    assert len(runs(into)) == 2


def test_a_label_of_a_persons_own(both: tuple[Path, Path], tmp_path: Path) -> None:
    into = tmp_path / "all.sqlite"
    merge([Source(both[0], "laptop"), Source(both[1], "gpu-box")], into)
    assert set(runs(into)) == {"laptop", "gpu-box"}
    with pytest.raises(UsageError, match="another machine than the one called 'laptop'"):
        merge([Source(both[1], "laptop")], into)
    merge([Source(into)], tmp_path / "copy.sqlite")
    assert set(runs(tmp_path / "copy.sqlite")) == {"laptop", "gpu-box"}, "labels travel with the runs"


def test_where_a_label_came_from_travels_with_it(both: tuple[Path, Path], tmp_path: Path) -> None:
    merge([Source(both[0], "laptop"), Source(both[1])], tmp_path / "all.sqlite")
    merge([Source(tmp_path / "all.sqlite")], tmp_path / "copy.sqlite")
    for name in ("all.sqlite", "copy.sqlite"):
        with Store.open(tmp_path / name) as opened:
            known = {run.machine[LABEL]: run.machine[LABEL_FROM] for run in opened.runs()}
            assert known == {"laptop": "given", "NVIDIA H200 on INTEL XEON PLATINUM 8581C": "described"}
            first, other = opened.runs()
            assert not [one.what for one in differences([first], [other]) if "from" in one.what]


def test_rounds_and_estimates_are_merged(tmp_path: Path) -> None:
    path = store(tmp_path / "one.sqlite", fake.MACHINE, [*CPU, Ask("openvino", 0.04)])
    with Store.open(path) as opened:
        (run,) = opened.runs()
        opened.add_blocks(run.id, [], [RoundRecord(0, 0, 0, 9, [1, 2], 0.1, "slow")])
        opened.keep_estimates(run.id, said(results(opened, run.id)))
        wanted = opened.rounds(run.id), opened.estimates(run.id)
        assert [one.word for one in wanted[1]] == ["faster"]
    merge([Source(path)], tmp_path / "all.sqlite")
    with Store.open(tmp_path / "all.sqlite") as merged:
        assert (merged.rounds(run.id), merged.estimates(run.id)) == wanted


def test_two_machines_that_are_described_alike(tmp_path: Path) -> None:
    one = store(tmp_path / "a.sqlite", fake.MACHINE, CPU)
    other = store(tmp_path / "b.sqlite", {**fake.MACHINE, "cores": 4}, CPU, "20261123-000000")
    merge([Source(one), Source(other)], tmp_path / "all.sqlite")
    assert set(runs(tmp_path / "all.sqlite")) == {"AMD EPYC 7B13", "AMD EPYC 7B13 (2)"}


def test_two_runs_of_one_machine_share_its_label(tmp_path: Path) -> None:
    one = store(tmp_path / "a.sqlite", fake.MACHINE, CPU)
    other = store(tmp_path / "b.sqlite", {**fake.MACHINE, "kernel": "6.18"}, CPU, "20261123-000000")
    merge([Source(one), Source(other)], tmp_path / "all.sqlite")
    with Store.open(tmp_path / "all.sqlite") as opened:
        assert [label(run) for run in opened.runs()] == ["AMD EPYC 7B13"] * 2


@pytest.mark.parametrize("content", [None, b"hello " * 100])
def test_what_is_no_store_is_named(both: tuple[Path, Path], tmp_path: Path, content: bytes | None) -> None:
    bad = tmp_path / "bad.sqlite"
    if content:
        bad.write_bytes(content)
    with pytest.raises(StoreError, match=r"bad\.sqlite"):
        merge([Source(bad)], tmp_path / "all.sqlite")


def test_a_store_is_not_merged_into_itself(both: tuple[Path, Path]) -> None:
    with pytest.raises(UsageError, match="among the stores to read"):
        merge([Source(both[0])], both[0])


@pytest.mark.parametrize(
    ("text", "source"),
    [
        ("a.sqlite", Source(Path("a.sqlite"))),
        ("box=a.sqlite", Source(Path("a.sqlite"), "box")),
        ("my box = a.sqlite", Source(Path("a.sqlite"), "my box")),
    ],
)
def test_how_sources_are_written(text: str, source: Source) -> None:
    assert parse_source(text) == source


def test_a_file_may_have_the_sign_in_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("x=y.sqlite").touch()
    assert parse_source("x=y.sqlite") == Source(Path("x=y.sqlite"))
    with pytest.raises(UsageError, match="no LABEL=STORE"):
        parse_source("=y.sqlite")


def test_how_a_machine_is_described() -> None:
    two = {"cpu": "X", "gpus": [{"name": "H200"}, {"name": "H200"}, {"name": "T4"}]}
    assert described(two) == "2 × H200, T4 on X"
    assert described({}) == "unknown CPU"
    assert described({"cpu": "X", "gpus": "nonsense"}) == "X"


def test_the_command(both: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    into = str(tmp_path / "all.sqlite")
    assert main(["merge", f"laptop={both[0]}", str(both[1]), "--into", into]) == 0
    said = capsys.readouterr().out
    assert "run 20261122-111903 of laptop" in said
    assert f"2 runs of 2 machines in {into}; see them side by side: bakeoff report --store {into}" in said
    assert main(["merge", str(both[1]), "--into", into, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [one["new"] for one in found["runs"]] == [False]
    page = tmp_path / "report.html"
    assert main(["report", "--store", into, "-o", str(page)]) == 0
    text = page.read_text()
    assert "Across machines" in text
    assert "laptop" in text
    capsys.readouterr()
    assert main(["compare", "--machines", str(both[0]), str(both[1])]) == 0
    said = capsys.readouterr().out
    assert "resnet50 b1" in said
    assert "cpu → cuda:0" in said
    assert "suspect" in said
    assert main(["compare", "--machines", "--gate", "5%", str(both[0]), str(both[1])]) == 2


def test_runs_that_started_in_one_second_are_two(tmp_path: Path) -> None:
    path = store(tmp_path / "twins.sqlite", fake.MACHINE, CPU)
    with Store.open(path) as opened:
        (run,) = opened.runs()
        cases = opened.cases(run.id)
        other = fake.make("resnet50", CPU, seed=9)
        twin = opened.create_run(run)
        opened.add_cases(twin, cases)
        opened.add_blocks(twin, [block for one in other for block in one.blocks])
    assert twin == "20261122-111903-2"
    into = tmp_path / "all.sqlite"
    for known in (False, True):
        done = merge([Source(path, "box")], into)
        assert [(one.id, one.known) for one in done] == [("20261122-111903", known), (twin, known)]


def test_a_run_that_went_on_since_is_the_same(both: tuple[Path, Path], tmp_path: Path) -> None:
    into = tmp_path / "all.sqlite"
    merge([Source(both[0])], into)
    with Store.open(both[0]) as opened:
        (run,) = opened.runs()
        more = fake.make("resnet50", CPU, seed=9, replicates=4)[0].blocks[3]
        opened.add_blocks(run.id, [more])
    (done,) = merge([Source(both[0])], into)
    assert done.known


@pytest.mark.parametrize("content", [None, b""], ids=["no run", "empty file"])
def test_a_store_without_a_run_is_not_passed_over(
    content: bytes | None, both: tuple[Path, Path], tmp_path: Path
) -> None:
    path = tmp_path / "copied.sqlite"
    if content is None:
        Store.open(path, create=True).close()
    else:
        path.write_bytes(content)
    with pytest.raises(StoreError, match=r"copied\.sqlite holds no run") as caught:
        merge([Source(both[0]), Source(path)], tmp_path / "all.sqlite")
    assert "-wal" in caught.value.hint


def test_an_error_names_the_store_and_not_its_copy(both: tuple[Path, Path], tmp_path: Path) -> None:
    path = tmp_path / "cut.sqlite"
    path.write_bytes(both[0].read_bytes()[:50])
    with pytest.raises(StoreError) as caught:
        merge([Source(path)], tmp_path / "all.sqlite")
    assert str(path) in str(caught.value)
    assert "copy.sqlite" not in str(caught.value)
    assert "--store" not in caught.value.hint, "merge has no such flag"


def test_labels_longer_than_a_file_name(
    both: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """They differ in the last letter alone."""
    names, into = ["x" * 299 + end for end in "ab"], tmp_path / "all.sqlite"
    sources = [f"{name}={path}" for name, path in zip(names, both, strict=True)]
    assert main(["merge", *sources, "--into", str(into)]) == 0
    assert set(runs(into)) == set(names)
    capsys.readouterr()
    assert main(["list", "runs", "--json", "--store", str(into)]) == 0
    assert [one["machine"] for one in json.loads(capsys.readouterr().out)] == names
    assert main(["list", "runs", "--store", str(into)]) == 0
    assert "20261122-111903-2" in capsys.readouterr().out, "a long label leaves the ids readable"
    assert main(["list", "runs", "--json", "--store", str(both[0])]) == 0
    assert "machine" not in json.loads(capsys.readouterr().out)[0], "nobody labelled it"


def test_a_damaged_store_is_named_before_any_is_merged(both: tuple[Path, Path], tmp_path: Path) -> None:
    with sqlite3.connect(both[1]) as db:
        db.execute("UPDATE blocks SET facts = 'cut off'")
    db.close()
    with pytest.raises(StoreError, match="is damaged"):
        merge([Source(path) for path in both], tmp_path / "all.sqlite")
    assert not (tmp_path / "all.sqlite").exists()
