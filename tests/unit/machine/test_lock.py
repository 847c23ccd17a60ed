"""The measurement lock between processes."""

from __future__ import annotations

import fcntl
import os
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from bench.interfaces.errors import BakeoffError
from bench.machine import lock
from bench.machine.lock import holder, lock_path, measurement_lock

HOLD = """
import os, sys, time
from pathlib import Path
from bench.machine.lock import measurement_lock
with measurement_lock(wait=False, path=Path(sys.argv[1])):
    {body}
    print(os.getpid(), flush=True)
    time.sleep(3600)
"""


def hold(path: Path, body: str = "pass") -> subprocess.Popen[str]:
    """Another process that holds the lock when this returns."""
    command = [sys.executable, "-c", HOLD.format(body=body), str(path)]
    other = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert other.stdout is not None
    other.stdout.readline()
    return other


def end(process: subprocess.Popen[str]) -> None:
    process.kill()
    process.wait()
    if process.stdout:
        process.stdout.close()


class Clock:
    """Time that goes on while one sleeps, and does something then."""

    strftime = staticmethod(time.strftime)

    def __init__(self, then: Callable[[float], object]) -> None:
        self.now, self.then = 0.0, then

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds
        self.then(self.now)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "measure.lock"


def test_one_file_for_every_user(monkeypatch: pytest.MonkeyPatch, path: Path) -> None:
    monkeypatch.setenv("TMPDIR", str(path.parent))
    assert lock_path() == Path("/tmp/bakeoff-measure.lock")
    old = os.umask(0o077)
    try:
        with measurement_lock(wait=False, path=path):
            assert stat.S_IMODE(path.stat().st_mode) == 0o666
    finally:
        os.umask(old)


def test_free_held_free(path: Path) -> None:
    assert holder(path) is None
    with measurement_lock(wait=False, path=path):
        found = holder(path)
        assert found is not None
        assert found.pid == os.getpid()
        assert found.since.startswith(time.strftime("%Y-"))
    assert holder(path) is None
    assert path.read_text() == ""
    with measurement_lock(wait=False, path=path):
        pass


def test_held_by_another_process(path: Path) -> None:
    other = hold(path)
    try:
        with (
            pytest.raises(BakeoffError, match=f"another measurement .*process {other.pid}"),
            measurement_lock(wait=False, path=path),
        ):
            pytest.fail("held twice")
        found = holder(path)
        assert found is not None
        assert found.pid == other.pid
    finally:
        end(other)


def test_waits_and_says_for_whom(path: Path) -> None:
    other = hold(path)
    told: list[str] = []

    def on_wait(text: str) -> None:
        told.append(text)
        other.kill()

    with measurement_lock(wait=True, on_wait=on_wait, path=path):
        assert other.wait() == -signal.SIGKILL
    end(other)
    assert len(told) == 1
    assert str(other.pid) in told[0]


def test_kill_9_frees_it_even_if_children_live(path: Path) -> None:
    body = "import subprocess; subprocess.Popen(['sleep', '5']); os.fork() or time.sleep(5)"
    other = hold(path, body)
    os.kill(other.pid, signal.SIGKILL)
    other.wait()
    with measurement_lock(wait=False, path=path):
        pass
    end(other)


def test_looking_does_not_take_it(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`holder` takes a shared lock for an instant; a measurement that starts just then gets its turn."""
    with measurement_lock(wait=False, path=path):
        pass
    fd = os.open(path, os.O_RDONLY)
    fcntl.flock(fd, fcntl.LOCK_SH)
    clock = Clock(lambda now: fcntl.flock(fd, fcntl.LOCK_UN) if now >= lock.GRACE_S / 2 else None)
    monkeypatch.setattr(lock, "time", clock)
    with measurement_lock(wait=False, path=path):
        assert lock.GRACE_S / 2 <= clock.now < lock.GRACE_S
    os.close(fd)


def test_a_look_that_lasts_is_a_measurement(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    other = hold(path)
    try:
        clock = Clock(lambda now: None)
        monkeypatch.setattr(lock, "time", clock)
        with pytest.raises(BakeoffError, match=f"process {other.pid}"), measurement_lock(False, path=path):
            pytest.fail("held twice")
        assert clock.now >= lock.GRACE_S
    finally:
        end(other)


def test_not_a_lock_file(tmp_path: Path, path: Path) -> None:
    path.symlink_to(tmp_path / "victim")
    with pytest.raises(BakeoffError, match="cannot be opened"), measurement_lock(wait=False, path=path):
        pass
    assert not (tmp_path / "victim").exists()
    path.unlink()
    os.mkfifo(path)
    with pytest.raises(BakeoffError, match="not a regular file"), measurement_lock(wait=False, path=path):
        pass


def test_folder_missing(tmp_path: Path) -> None:
    with (
        pytest.raises(BakeoffError, match="No such file"),
        measurement_lock(False, path=tmp_path / "no" / "lock"),
    ):
        pass


def test_what_strangers_write_is_not_shown(path: Path) -> None:
    with measurement_lock(wait=False, path=path):
        path.write_bytes(b"12 \x1b[2J evil\n")
        assert holder(path) == lock.Holder(0, "")
