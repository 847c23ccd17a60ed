"""`bakeoff cache list|prune` as a person calls it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bench import api
from bench.cache import artefacts
from bench.cache import lock as cache_lock
from bench.cli import main
from bench.files import paths
from bench.interfaces.errors import UsageError
from bench.machine import lock
from bench.machine.lock import measurement_lock
from tests.helpers.cached_bytes import family, put

DAY_S = 86400.0
Bakeoff = Callable[..., tuple[int, str, str]]

MAKE_AND_DIE = """
import os
from bench.cache import artefacts
draft = artefacts.Draft("onnx", artefacts.key_of({"b": 2}))
(draft.folder / "file").write_bytes(b"x" * 1000)
os.utime(draft.folder, (1e9, 1e9))
os._exit(1)
"""


@pytest.fixture(autouse=True)
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("BAKEOFF_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setattr(lock, "lock_path", lambda: tmp_path / "measure.lock")
    return tmp_path / "cache"


@pytest.fixture
def bakeoff(capsys: pytest.CaptureFixture[str]) -> Bakeoff:
    """Exit code, standard output, standard error."""

    def call(*arguments: str) -> tuple[int, str, str]:
        code = main(["cache", *arguments])
        said = capsys.readouterr()
        return code, said.out, said.err

    return call


def kept() -> set[str]:
    """Kinds of what is there, hidden folders too."""
    return {path.parent.name for path in paths.cache_root().glob("*/*")}


def killed_maker() -> None:
    subprocess.run([sys.executable, "-c", MAKE_AND_DIE], check=False)


def test_an_empty_cache(bakeoff: Bakeoff, root: Path) -> None:
    assert bakeoff("list") == (0, f"  0 B in 0 artefacts, in {root}\n", "")
    assert bakeoff("prune") == (0, f"freed 0 B of 0 artefacts; 0 B stay in {root}\n", "")


def test_a_list_fits_a_terminal_and_says_what_frees_what(bakeoff: Bakeoff, root: Path) -> None:
    family("llama-small:prefill", weights="ab" * 32)
    family("minilm-l6", idle_s=40 * DAY_S)
    put(
        "exported", put("origin", workload="resnet50", data=b"x" * 2_000_000), workload="resnet50", revision=0
    )
    killed_maker()
    code, out, _ = bakeoff("list")
    lines = out.splitlines()
    assert code == 0
    assert max(len(line) for line in lines if str(root) not in line) <= 80
    titles = [line.split()[0] for line in lines if line[1:2].isalpha() and not line.startswith(" kept")]
    assert titles[0] == "resnet50"  # the largest first
    assert set(titles) == {"resnet50", "minilm-l6", "llama-small:prefill"}
    assert "llama-small:prefill (own) " in out
    assert "…" not in out
    (origin,) = (line.split() for line in lines if "2.00 MB" in line and line.split()[0] == "origin")
    assert origin[1:] == ["1", "2.00", "MB", origin[4], "just", "now", "current"]
    assert any(line.split()[0] == "onnx" and "40 d ago" in line for line in lines if line.strip())
    assert "in 1: its converter has changed since" in out
    assert "1.00 kB half made" in out
    assert f"MB in 10 artefacts, in {root}" in out
    commands = {line.split(" frees")[0].strip(): line for line in lines if line.startswith("  bakeoff cache")}
    assert list(commands) == [
        "bakeoff cache prune",
        "bakeoff cache prune --unused 30d",
        "bakeoff cache prune --all",
    ]
    assert "what is stale" in commands["bakeoff cache prune"]


def test_the_list_as_a_document(bakeoff: Bakeoff, root: Path) -> None:
    made = family()
    found = json.loads(bakeoff("list", "--json")[1])
    assert found["folder"] == str(root)
    assert found["bytes"] == sum(one["bytes"] for one in found["artefacts"])
    (onnx,) = (one for one in found["artefacts"] if one["kind"] == "onnx")
    assert onnx["key"] == made["onnx"].folder.name
    assert (onnx["workload"], onnx["state"], onnx["reason"]) == ("minilm-l6", "current", "")
    assert set(onnx["versions"]) == {"torch", "onnx", "onnxscript"}
    assert onnx["made"].endswith("+00:00")


def test_without_a_flag_what_is_stale_goes(bakeoff: Bakeoff) -> None:
    family()
    put("reference", put("origin", data=b"other", revision=0), content="0" * 16)
    draft = artefacts.Draft("onnx", artefacts.key_of({"a": 1}))  # its maker lives
    killed_maker()
    (draft.folder / "file").write_bytes(b"half")
    os.utime(draft.folder, (1e9, 1e9))
    before = kept_folders()
    code, dry, _ = bakeoff("prune", "--dry-run")
    assert (code, kept_folders()) == (0, before)
    code, wet, _ = bakeoff("prune")
    assert code == 0
    assert wet == dry.replace("would free", "freed")
    assert "minilm-l6: 1 reference" in wet
    assert "its workload's definition has changed since" in wet
    assert "1 half made, left by a run that was killed" in wet
    assert "of 2 artefacts" in wet
    assert len(before - kept_folders()) == 3
    assert {one["state"] for one in listed(bakeoff)} == {"current"}
    assert len(listed(bakeoff)) == 4
    assert draft.folder.is_dir()
    draft.discard()
    assert bakeoff("prune")[1].startswith("freed 0 B of 0 artefacts")


def kept_folders() -> set[Path]:
    return set(paths.cache_root().glob("*/*"))


def listed(bakeoff: Bakeoff) -> list[dict[str, Any]]:
    return list(json.loads(bakeoff("list", "--json")[1])["artefacts"])


def test_what_is_unused_goes_though_it_is_current(bakeoff: Bakeoff) -> None:
    family("minilm-l6", idle_s=31 * DAY_S)
    family("resnet50", idle_s=29 * DAY_S)
    code, out, _ = bakeoff("prune", "--unused", "30d")
    assert code == 0
    assert "minilm-l6: 1 origin" in out
    assert {one["workload"] for one in listed(bakeoff)} == {"resnet50"}


def test_a_workload_that_others_were_made_from(bakeoff: Bakeoff) -> None:
    """The decoder's two workloads share their weights."""
    shared = family("llama-small:prefill")["origin"]
    put("exported", shared, workload="llama-small:decode")
    out = bakeoff("prune", "--workload", "llama-small:prefill")[1]
    assert "1 artefact kept all the same: what others that stay were made from" in out
    assert {(one["kind"], one["workload"], one["state"]) for one in listed(bakeoff)} == {
        ("origin", "llama-small:prefill", "current"),
        ("exported", "llama-small:decode", "current"),
    }
    bakeoff("prune", "--workload", "llama-small:prefill,llama-small:decode")
    assert kept() == set()


def test_everything(bakeoff: Bakeoff, root: Path) -> None:
    family()
    (root / "probes").mkdir()
    (root / "probes" / "torch.json").write_text("{}")
    found = json.loads(bakeoff("prune", "--all", "--dry-run", "--json")[1])
    assert (found["dry_run"], len(found["artefacts"]), found["kept_bytes"]) == (True, 4, 0)
    assert json.loads(bakeoff("prune", "--all", "--json")[1])["bytes"] == found["bytes"] > 0
    assert kept() == {"probes"}  # answers of runtimes, no model files


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--all", "--stale"), "--all means everything"),
        (("--all", "--unused", "3d"), "--all means everything"),
        (("--workload", "minilm-l7"), "did you mean 'minilm-l6'?"),
        (("--workload", "minilm-l6,resnet50"), "nothing of a workload 'resnet50'"),
    ],
)
def test_mistakes_delete_nothing(bakeoff: Bakeoff, arguments: tuple[str, ...], says: str) -> None:
    family()
    code, out, err = bakeoff("prune", *arguments)
    assert (code, out) == (2, "")
    assert says in err
    assert len(listed(bakeoff)) == 4


def test_nothing_goes_while_somebody_measures(bakeoff: Bakeoff) -> None:
    put("origin", revision=0)
    with measurement_lock(wait=False):
        code, out, err = bakeoff("prune")
        assert "1 artefact" in bakeoff("prune", "--dry-run")[1]
    assert (code, out) == (2, "")
    assert f"nothing is pruned: another measurement is running on this machine (process {os.getpid()}" in err
    assert len(listed(bakeoff)) == 1


def test_nothing_goes_while_a_run_prepares_or_measures(bakeoff: Bakeoff, root: Path) -> None:
    put("origin", revision=0)
    with cache_lock.shared(), cache_lock.shared():
        code, out, err = bakeoff("prune")
    assert (code, out) == (2, "")
    assert f"a run that uses {root} is going on" in err
    assert f"fuser -v {root}" in err
    assert bakeoff("prune")[0] == 0
    assert listed(bakeoff) == []


def test_a_run_keeps_its_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """From its first step on; a killed one does not."""

    class Seen(Exception):
        pass

    def look(suite: Any) -> Any:
        with pytest.raises(UsageError, match="is going on"), cache_lock.alone():
            pass
        raise Seen

    monkeypatch.setattr(api, "plan_suite", look)
    with pytest.raises(Seen):
        api.run("quick", store=tmp_path / "s.sqlite")
    with cache_lock.alone():
        pass


def test_a_cache_that_cannot_be_written_is_used_all_the_same(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, bakeoff: Bakeoff
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("BAKEOFF_CACHE", str(tmp_path / "file"))
    with cache_lock.shared():
        pass
    code, _, err = bakeoff("prune")
    assert code == 4
    assert "cannot write to the cache" in err
