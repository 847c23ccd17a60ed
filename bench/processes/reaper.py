"""Outlives a killed bakeoff by a moment: ends every process that carries a run's mark.

`python -I -S keeper.py TOKEN` reads its standard input until the end, which comes when bakeoff closes it or
is killed, however abruptly; then it kills whatever has TOKEN in its environment. A worker asks the kernel to
die with its parent, but what a worker forked would live on; the mark is inherited by fork, by double fork
and by a new session alike. Standard library alone, run as a file, so that it starts in milliseconds.
"""

from __future__ import annotations

import os
import signal
import sys
import time

RUN_MARK = "BAKEOFF_RUN"
WORKER_MARK = "BAKEOFF_WORKER"


def marked(mark: bytes) -> list[int]:
    """Processes other than this one that were started with `mark` (`NAME=value`) in their environment."""
    found = []
    try:
        entries = os.listdir("/proc")
    except OSError:  # macOS: process groups have to do
        return []
    for entry in entries:
        if not entry.isdigit() or int(entry) == os.getpid():
            continue
        try:
            with open(f"/proc/{entry}/environ", "rb") as file:
                if mark in file.read().split(b"\0"):
                    found.append(int(entry))
        except OSError:
            continue  # gone meanwhile, or somebody else's
    return found


def kill_marked(mark: bytes, within_s: float = 3.0) -> list[int]:
    """Kills marked processes until none is left; returns those that would not go in time."""
    deadline = time.monotonic() + within_s
    while True:
        alive = [pid for pid in marked(mark) if not is_zombie(pid)]
        for pid in alive:
            try:
                os.kill(pid, signal.SIGKILL)  # reaches stopped processes as well
            except ProcessLookupError:
                continue
            except PermissionError:
                continue
        if not alive or time.monotonic() > deadline:
            return alive
        time.sleep(0.01)


def is_zombie(pid: int) -> bool:
    """Whether only its exit status is left of it."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            return file.read().rpartition(b")")[2].split()[0] in (b"Z", b"X")
    except (OSError, IndexError):
        return True


def main() -> None:
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    while os.read(0, 4096):
        pass
    kill_marked(f"{RUN_MARK}={sys.argv[1]}".encode())


if __name__ == "__main__":
    main()
