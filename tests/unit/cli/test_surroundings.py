"""Where the surroundings are at fault a command ends with a sentence that says so, and never as a defect."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from bench.cli.surroundings import explained
from bench.environments import install
from bench.files.paths import cache_root
from bench.interfaces.errors import EXIT_NOTHING, PrepareError
from reports.html.scrub import scrub

ROOT = Path(__file__).resolve().parents[3]
NOBODY = 54321


def bakeoff(
    command: str, folder: Path, *, before: str = "", after: str = "", **variables: str
) -> subprocess.CompletedProcess[str]:
    """`before; bakeoff command after` in a shell."""
    line = f'{before} "{sys.executable}" -m bench {command} {after}'
    return subprocess.run(
        ["bash", "-c", line],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT), "BAKEOFF_CACHE": str(folder / "cache"), **variables},
        capture_output=True,
        text=True,
        timeout=120,
    )


def no_home(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a container whose user has no entry."""
    for name in ("HOME", "XDG_CACHE_HOME", "BAKEOFF_CACHE", "PYENV_ROOT"):
        monkeypatch.delenv(name, raising=False)

    def unknown(uid: int) -> None:
        raise KeyError(f"getpwuid(): uid not found: {uid}")

    monkeypatch.setattr("pwd.getpwuid", unknown)


def test_a_user_without_a_home(monkeypatch: pytest.MonkeyPatch) -> None:
    no_home(monkeypatch)
    with pytest.raises(PrepareError, match="HOME is not set") as raised:
        cache_root()
    assert "export BAKEOFF_CACHE=FOLDER" in raised.value.hint
    assert list(install._pythons())  # one is bakeoff's own
    assert scrub("/data/models/x.onnx of a user") == "x.onnx of a user"


def test_the_home_of_an_unknown_user(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BAKEOFF_CACHE", "~nobody-of-that-name/cache")
    with pytest.raises(PrepareError, match="BAKEOFF_CACHE=~nobody-of-that-name/cache"):
        cache_root()


def test_a_folder_that_is_gone(tmp_path: Path) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    done = bakeoff("cache list", gone, before="rmdir ../gone;", BAKEOFF_CACHE="kept")
    assert done.returncode == EXIT_NOTHING
    assert "the current folder is gone, and BAKEOFF_CACHE=kept starts from it" in done.stderr
    assert "cd to another folder" in done.stderr


@pytest.mark.parametrize("command", ["list suites", "cache list", "show --store none"])
def test_streams_that_are_closed(command: str, tmp_path: Path) -> None:
    usual = bakeoff(command, tmp_path)
    for closed in (">&-", "2>&-", "<&-", ">&- 2>&- <&-"):
        done = bakeoff(command, tmp_path, after=closed)
        assert done.returncode == usual.returncode
        assert "defect" not in done.stdout + done.stderr
        assert done.stdout == ("" if closed.startswith(">") else usual.stdout)
        assert done.stderr == ("" if "2>" in closed else usual.stderr)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full")
def test_an_output_that_is_full(tmp_path: Path) -> None:
    done = bakeoff("list suites", tmp_path, after=">/dev/full")
    assert done.returncode == EXIT_NOTHING
    assert "standard output could not be written whole: No space left on device" in done.stderr
    assert "defect" not in done.stderr
    assert "Exception ignored" not in done.stderr
    assert bakeoff("show --store none", tmp_path, after="2>/dev/full").returncode == EXIT_NOTHING


def hiding(folder: Path, name: str, text: str) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / name).parent.mkdir(exist_ok=True)
    (folder / name).write_text(text)
    return folder / name


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("numpy/__init__.py", ""),
        ("pydantic.py", "raise ImportError('of another project')"),
        ("rich/__init__.py", "def"),
    ],
)
def test_a_file_that_hides_what_bakeoff_needs(name: str, text: str, tmp_path: Path) -> None:
    file = hiding(tmp_path / "theirs", name, text)
    path = os.pathsep.join([str(tmp_path / "theirs"), str(ROOT)])
    done = bakeoff("run quick --budget 1s", tmp_path, PYTHONPATH=path)
    assert done.returncode == EXIT_NOTHING
    assert f"{file} hides" in done.stderr, done.stderr
    assert "unset PYTHONPATH" in done.stderr
    assert "defect" not in done.stderr


@pytest.mark.parametrize(
    ("error", "said", "hint"),
    [
        (PermissionError(13, "Permission denied", "/data/s.yaml"), "/data/s.yaml: Permission denied", "user"),
        (OSError(24, "Too many open files"), "Too many open files", "ulimit -n"),
        (OSError(27, "File too large", "x.html"), "x.html: File too large", "ulimit -f"),
        (OSError(30, "Read-only file system", b"/ro/x"), "/ro/x: Read-only file system", "another place"),
        (BlockingIOError(11, "Resource temporarily unavailable"), "unavailable", "ulimit -u"),
        (RuntimeError("can't start new thread"), "no further thread", "ulimit -u"),
        (FileNotFoundError(2, "No such file", "/proc/meminfo"), "/proc/meminfo is not there", "mount /proc"),
        (MemoryError(), "memory ran out", "ulimit -v"),
        (SystemError("error return without exception set"), "memory ran out", "ulimit -v"),
        (
            FileNotFoundError(2, "No usable temporary directory found in ['/x']"),
            "No usable temporary directory",
            "TMPDIR",
        ),
    ],
)
def test_limits_and_file_systems(error: Exception, said: str, hint: str) -> None:
    found = explained(error)
    assert found is not None
    assert said in found.message
    assert hint in found.hint


@pytest.mark.parametrize(
    "error", [RuntimeError("x"), KeyError("rounds"), FileNotFoundError(2, "No such file", "ours.json")]
)
def test_a_defect_stays_one(error: Exception) -> None:
    assert explained(error) is None
