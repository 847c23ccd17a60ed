"""Places that results go to: tried before anything is measured, and named with what to type instead."""

from __future__ import annotations

import errno
import os
import sqlite3
from pathlib import Path

import pytest

from bench import api
from bench.cache import artefacts
from bench.cli import main
from bench.files import places
from bench.files.places import require_place, try_folder
from bench.files.whole import write_whole
from bench.interfaces.errors import BakeoffError, PrepareError, StoreError, UsageError
from bench.machine import storage
from bench.store.sqlite import Store
from tests.helpers.fake_results import Ask
from tests.helpers.fake_runs import write_run


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder; whoever plans has come too far."""

    def too_late(*_: object) -> None:
        raise AssertionError("it was planned before the places were tried")

    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("BAKEOFF_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(api, "plan_suite", too_late)
    return tmp_path


def refuse_writing(monkeypatch: pytest.MonkeyPatch, folder: Path, number: int = errno.EROFS) -> None:
    """No file can be made in `folder`; root may write wherever permissions alone forbid it."""

    def tried(where: Path, name: str = "") -> None:
        if places.there(where).is_relative_to(folder):
            raise OSError(number, os.strerror(number))

    for module in (places, artefacts, storage):
        monkeypatch.setattr(module, "try_folder", tried)


@pytest.mark.parametrize(
    ("report", "code", "says"),
    [
        (".", 2, ". is a folder"),
        ("cache/", 2, "name a file in it: --report cache/NAME"),
        ("/dev/null", 2, "/dev/null is no regular file"),
        ("pipe", 2, "pipe is no regular file"),
        ("file/report.html", 4, "Not a directory"),
        ("x" * 300, 4, "File name too long"),
        ("-", 2, "bakeoff report -o -"),
    ],
)
def test_a_report_that_cannot_be_written_ends_a_run_before_it_begins(
    here: Path, report: str, code: int, says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (here / "cache").mkdir()
    (here / "file").write_text("")
    os.mkfifo(here / "pipe")
    assert main(["run", "quick", "--report", report]) == code
    assert says in capsys.readouterr().err
    assert not (here / "results").exists()


def test_a_full_disk_is_named_and_the_flag_that_was_typed(
    here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    refuse_writing(monkeypatch, here / "full", errno.ENOSPC)
    (here / "full").mkdir()
    assert main(["run", "quick", "--report", "full/r.html"]) == 4
    assert "free some disk space" in capsys.readouterr().err
    refuse_writing(monkeypatch, here / "full")
    assert main(["run", "quick", "--report", "full/r.html"]) == 4
    said = capsys.readouterr().err
    assert "Read-only file system" in said
    assert "--report PATH" in said
    assert " -o " not in said


def test_a_cache_that_cannot_be_written_ends_a_run_before_it_is_planned(
    here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    refuse_writing(monkeypatch, here / "cache")
    assert main(["run", "quick"]) == 4
    said = capsys.readouterr().err
    assert "cannot write to the cache" in said
    assert "BAKEOFF_CACHE" in said
    (here / "cache" / "onnx" / ("0" * artefacts.KEY_DIGITS)).mkdir(parents=True)
    artefacts.require_writable()  # one that may only be read serves as far as it goes
    monkeypatch.setenv("BAKEOFF_CACHE", str(here / "results" / "bakeoff.sqlite"))
    with pytest.raises(PrepareError, match="cannot write to the cache"):
        artefacts.require_writable()


def test_a_store_that_cannot_be_written_ends_a_run_before_it_is_planned(here: Path) -> None:
    write_run(here / "s.sqlite", "20261101-090000", [Ask("torch", 0.1)], seed=1)
    read_only = sqlite3.connect(f"{(here / 's.sqlite').as_uri()}?mode=ro", uri=True, isolation_level=None)
    store = Store(read_only, here / "s.sqlite")
    with pytest.raises(StoreError, match="readonly") as caught:
        store.require_writable()
    store.close()
    assert "--store PATH" in caught.value.hint
    assert caught.value.exit_code == 4


def test_nothing_is_left_of_a_trial(here: Path) -> None:
    try_folder(here / "deep" / "deeper", "report.html")
    assert list(here.iterdir()) == []
    require_place(Path("-"), "-o")
    require_place(here / "deep" / "report.html", "-o")
    assert list(here.iterdir()) == []


@pytest.mark.parametrize("command", [["report"], ["export"]])
def test_what_exists_already_is_not_replaced_unless_it_is_a_file(command: list[str], here: Path) -> None:
    write_run(here / "s.sqlite", "20261101-090000", [Ask("torch", 0.1)], seed=1)
    typed = [*command, "--store", "s.sqlite", "-o"]
    os.mkfifo(here / "pipe")
    assert main([*typed, "pipe"]) == 2
    assert (here / "pipe").is_fifo()
    assert main([*typed, str(here)]) == 2
    with pytest.raises(UsageError):
        write_whole(here / "pipe", b"")
    (here / "target").write_text("old")
    (here / "link").symlink_to(here / "target")
    assert main([*typed, "link"]) == 0
    assert (here / "link").is_symlink()
    assert (here / "target").read_text() != "old"


@pytest.mark.parametrize(
    ("command", "begins"),
    [
        (["report"], "<!"),
        (["export"], "run,workload,"),
        (["export", "--format", "json"], "{"),
        (["export", "--format", "markdown"], "# quick"),
        (["export", "--format", "parquet"], "PAR1"),
        (["export", "--samples"], "case_id,"),
    ],
)
def test_a_dash_is_standard_output(
    command: list[str], begins: str, here: Path, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    write_run(here / "s.sqlite", "20261101-090000", [Ask("torch", 0.1)], seed=1)
    assert main([*command, "--store", "s.sqlite", "-o", "-"]) == 0
    out, err = capfdbinary.readouterr()
    assert out.startswith(begins.encode())
    assert main([*command, "--store", "s.sqlite", "-o", "file"]) == 0
    assert (here / "file").read_bytes() == out  # and not a word of where it went
    assert err == b""
    assert not (here / "-").exists()


def test_a_report_that_fails_in_the_end_says_how_to_write_it_again(
    here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The disk filled up while it was measured: nothing of it is lost."""
    from bench.api import Run
    from bench.cli import run
    from reports.html import page

    write_run(here / "my store.sqlite", "20261101-090000", [Ask("torch", 0.1)], seed=1)

    def full(*_: object) -> None:
        raise BakeoffError("cannot write r.html: No space left on device", hint="free some")

    monkeypatch.setattr(page, "write", full)
    monkeypatch.setattr(run, "watched", lambda *_, **__: Run("20261101-090000", here / "my store.sqlite"))
    assert main(["run", "quick", "--report", "r.html", "--store", "my store.sqlite"]) == 4
    said = capsys.readouterr().err
    assert "bakeoff report --store 'my store.sqlite' 20261101-090000 -o r.html" in said


def test_doctor_looks_at_the_cache_and_the_store(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = {check.name: check for check in storage.checks(here / "results" / "s.sqlite")}
    assert [found[name].state for name in ("cache", "store")] == ["ok", "ok"]
    assert str(here / "cache") in found["cache"].fact
    assert "free" in found["disk"].fact
    refuse_writing(monkeypatch, here)
    found = {check.name: check for check in storage.checks(here / "results" / "s.sqlite")}
    assert [found[name].state for name in ("cache", "store")] == ["bad", "bad"]
    assert "BAKEOFF_CACHE" in found["cache"].mend
    assert "--store" in found["store"].mend
    assert storage.checks(here)[2].state == "bad"  # the store's place is a folder
    assert list(here.iterdir()) == []
