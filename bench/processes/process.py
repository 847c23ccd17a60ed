"""Starting, stopping, continuing and ending worker processes, and the guard that none outlives a run."""

from __future__ import annotations

import hashlib
import os
import secrets
import signal
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from bench.files.paths import cache_root
from bench.interfaces.errors import MEND
from bench.processes import reaper
from bench.processes.reaper import RUN_MARK, WORKER_MARK, kill_marked
from bench.processes.variables import child_variables, is_own

LOG_BYTES = 64 * 1024
CHILD_PACKAGES = ("bench", "backends", "workloads")  # what workers and converters import of us
ROOT = Path(__file__).resolve().parents[2]  # where the four packages lie


def python_path(interpreter: Path | None) -> str:
    """$PYTHONPATH of a child: bakeoff's code; of another environment's interpreter that and nothing else of
    the parent's, so that no package of ours stands in for one of theirs."""
    return str(ROOT if is_own(interpreter) else code_folder())


def code_folder() -> Path:
    """A folder with our packages alone: where bakeoff is installed, others lie beside them."""
    folder = cache_root() / "code" / hashlib.sha256(str(ROOT).encode()).hexdigest()[:8]
    folder.mkdir(parents=True, exist_ok=True)
    for package in CHILD_PACKAGES:
        link = folder / package
        if not link.is_symlink() or link.readlink() != ROOT / package:
            aside = folder / f".{package}.{secrets.token_hex(4)}"
            aside.symlink_to(ROOT / package)
            aside.replace(link)
    return folder


@contextmanager
def guard() -> Iterator[str]:
    """While it is open every child process carries a mark; when it closes, or bakeoff is killed, all
    processes with the mark are ended by a keeper process. Yields the mark's value."""
    token = secrets.token_hex(8)
    # The keeper must not carry the mark itself, so it starts first.
    command = [sys.executable, "-I", "-S", reaper.__file__, token]
    watch = subprocess.Popen(command, stdin=subprocess.PIPE, start_new_session=True)
    before = os.environ.get(RUN_MARK)
    os.environ[RUN_MARK] = token
    try:
        yield token
    finally:
        if before is None:
            del os.environ[RUN_MARK]
        else:
            os.environ[RUN_MARK] = before
        assert watch.stdin is not None
        watch.stdin.close()
        watch.wait()


class LogTail:
    """Drains a worker's stdout and stderr, keeping the last 64 KiB. The thread sleeps unless it prints."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._chunks: deque[bytes] = deque()
        self._size = 0
        self.dropped = 0
        self._thread = threading.Thread(target=self._drain, name="bakeoff-log", daemon=True)
        self._thread.start()

    def _drain(self) -> None:
        with os.fdopen(self._descriptor, "rb", buffering=0) as pipe:
            while chunk := pipe.read(LOG_BYTES):
                self._chunks.append(chunk)
                self._size += len(chunk)
                while self._size - len(self._chunks[0]) >= LOG_BYTES:
                    gone = len(self._chunks.popleft())
                    self._size -= gone
                    self.dropped += gone

    def close(self) -> str:
        """The end of what was printed; at most one second is spent on a child that keeps the pipe open."""
        self._thread.join(timeout=1.0)
        text = b"".join(list(self._chunks))[-LOG_BYTES:].decode(errors="replace")
        return f"[{self.dropped} bytes before this left out]\n{text}" if self.dropped else text


class Process:
    """A worker process: leader of a session and process group of its own, marked, its output drained.

    Args:
        arguments: what follows the interpreter.
        environment: variables set besides the parent's.
        pass_fds: descriptors it inherits.
        mend: the command that makes its environment whole, for the hint of what is missing there.
    """

    _count = 0

    def __init__(
        self,
        arguments: list[str],
        *,
        interpreter: Path | None = None,
        environment: dict[str, str] | None = None,
        pass_fds: tuple[int, ...] = (),
        mend: str = "",
    ) -> None:
        Process._count += 1
        self._mark = f"{os.getpid()}.{Process._count}.{secrets.token_hex(4)}"
        inherited = child_variables(interpreter, python_path(interpreter))
        variables = {**inherited, **(environment or {}), WORKER_MARK: self._mark}
        variables[MEND] = mend
        reader, writer = os.pipe()
        try:
            self.popen = subprocess.Popen(
                [str(interpreter or sys.executable), "-P", *arguments],
                env=variables,
                stdin=subprocess.DEVNULL,
                stdout=writer,
                stderr=writer,
                pass_fds=pass_fds,
                start_new_session=True,
            )
        except BaseException:
            os.close(reader)
            raise
        finally:
            os.close(writer)
        self.pid = self.popen.pid
        self._log = LogTail(reader)
        self._stopped = False

    @property
    def alive(self) -> bool:
        return self.popen.poll() is None

    def stop(self) -> None:
        """SIGSTOP to the group; returns when the leader has stopped (or is dead)."""
        if not self._stopped and self.alive:
            with suppress(ProcessLookupError):
                os.killpg(self.pid, signal.SIGSTOP)
                self._stopped = self._await_state(os.WSTOPPED, os.CLD_STOPPED)

    def resume(self) -> None:
        """SIGCONT to the group; returns when the leader runs again (or is dead)."""
        if self._stopped:
            with suppress(ProcessLookupError):
                os.killpg(self.pid, signal.SIGCONT)
                self._await_state(os.WCONTINUED, os.CLD_CONTINUED)
            self._stopped = False

    def _await_state(self, option: int, code: int) -> bool:
        """Waits for a change of state without taking the exit status away from Popen."""
        with suppress(ChildProcessError):
            state = os.waitid(os.P_PID, self.pid, option | os.WEXITED | os.WNOWAIT)
            if state is not None and state.si_code == code:
                os.waitid(os.P_PID, self.pid, option | os.WNOHANG)  # taken, so the next wait is fresh
                return True
        return False

    def end(self) -> str:
        """Ends it and all it started; returns the end of its log. Safe to call twice."""
        for number in (signal.SIGCONT, signal.SIGKILL):
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(self.pid, number)
        self.popen.wait()
        kill_marked(f"{WORKER_MARK}={self._mark}".encode())
        return self._log.close()
