"""One measurement at a time on a machine, whoever runs it. Standard library alone.

The lock is the kernel's (flock), so it is free again the moment its holder dies, however that happens. The
file stays where it is; its text only tells who measures.
"""

from __future__ import annotations

import os
import stat
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from bench.files import flock
from bench.interfaces.errors import BakeoffError

NAME = "bakeoff-measure.lock"
COMMON = (Path("/tmp"), Path("/var/tmp"), Path("/dev/shm"))  # folders that all users share
POLL_S = 0.2
GRACE_S = 0.1  # `holder` takes the lock for an instant to look; that is no measurement

_held: set[int] = set()  # descriptors of locks that this process holds


@dataclass(frozen=True, slots=True)
class Holder:
    """Who measures: process id, 0 if unknown, and since when (local time)."""

    pid: int
    since: str

    def __str__(self) -> str:
        return f"process {self.pid}, since {self.since}" if self.pid else "a process that left no name"


def lock_path() -> Path:
    """The same file for every user and job: $TMPDIR is one user's, and comes last."""
    usable = (folder for folder in COMMON if os.access(folder, os.W_OK | os.X_OK))
    return (next(usable, None) or Path(tempfile.gettempdir())) / NAME


@contextmanager
def measurement_lock(
    wait: bool, on_wait: Callable[[str], None] = lambda message: None, path: Path | None = None
) -> Iterator[None]:
    """Holds the machine-wide measurement lock; children of this process do not.

    Args:
        wait: until it is free, else a BakeoffError names the holder.
        on_wait: gets one sentence when waiting begins and whenever the holder changes.
        path: of the lock file, for tests.

    Raises:
        BakeoffError: somebody else measures and `wait` is false, or the file cannot be opened.
    """
    path = path or lock_path()
    fd = _open(path)
    _held.add(fd)
    try:
        _acquire(fd, wait, on_wait)
        os.ftruncate(fd, 0)
        os.pwrite(fd, f"{os.getpid()} {time.strftime('%Y-%m-%d %H:%M:%S')}\n".encode(), 0)
        try:
            yield
        finally:
            if fd in _held:  # else this is a forked child that left the block
                os.ftruncate(fd, 0)
    finally:
        if fd in _held:
            _held.discard(fd)
            os.close(fd)


def holder(path: Path | None = None) -> Holder | None:
    """Who holds the lock now, None where it is free."""
    try:
        fd = os.open(path or lock_path(), os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return None
    try:
        return None if flock.take(fd, shared=True, wait=False) else _read(fd)
    finally:
        os.close(fd)


def _acquire(fd: int, wait: bool, on_wait: Callable[[str], None]) -> None:
    told, give_up = None, time.monotonic() + GRACE_S
    while not flock.take(fd, wait=False):
        if time.monotonic() < give_up:
            time.sleep(GRACE_S / 10)
            continue
        who = _read(fd)
        if not wait:
            hint = "let it end" + (f"; to see what it is: ps -fp {who.pid}" if who.pid else "")
            raise BakeoffError(f"another measurement is running on this machine ({who})", hint=hint)
        if who != told:
            on_wait(f"waiting for another measurement on this machine ({who})")
            told = who
        time.sleep(POLL_S)


def _open(path: Path) -> int:
    """The lock file, for every user. It is created only where it is missing: in a sticky folder the kernel
    refuses O_CREAT on another user's file (fs.protected_regular)."""
    flags = os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
    error: OSError | None = None
    for _ in range(5):
        try:
            return _checked(os.open(path, flags), path)
        except FileNotFoundError:
            try:
                fd = os.open(path, flags | os.O_CREAT | os.O_EXCL, 0o666)
                os.fchmod(fd, 0o666)  # past the umask
                return fd
            except FileExistsError:
                continue  # somebody was quicker
            except OSError as caught:
                error = caught
                break
        except OSError as caught:
            error = caught
            time.sleep(0.02)  # perhaps just created and not yet opened to all
    raise BakeoffError(
        f"the measurement lock {path} cannot be opened: {error.strerror if error else 'it keeps vanishing'}",
        hint=f"let its owner make it usable: chmod 666 {path}",
    )


def _checked(fd: int, path: Path) -> int:
    if stat.S_ISREG(os.fstat(fd).st_mode):
        return fd
    os.close(fd)
    raise BakeoffError(f"the measurement lock {path} is not a regular file", hint=f"remove it: rm {path}")


def _read(fd: int) -> Holder:
    pid, _, since = os.pread(fd, 256, 0).decode(errors="replace").strip().partition(" ")
    return Holder(int(pid), since) if pid.isdecimal() and since.isprintable() else Holder(0, "")


def _forget() -> None:
    """In a forked child: its copy of the descriptor would keep the lock after the parent's death."""
    for fd in _held:
        with suppress(OSError):
            os.close(fd)
    _held.clear()


os.register_at_fork(after_in_child=_forget)
