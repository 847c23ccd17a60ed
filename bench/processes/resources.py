"""A process's memory and its bounds, read and set from within. Worker side: standard library alone."""

from __future__ import annotations

import ctypes
import os
import re
import resource
import signal
import sys
from contextlib import suppress
from pathlib import Path

_PR_SET_PDEATHSIG = 1
_UNMAPPED = re.compile(r"(/[^\n:]*): failed to map segment from shared object")
# mallopt's parameters, and the most that glibc lets them grow to by itself (mallopt(3)).
_M_TRIM_THRESHOLD, _MOST_TRIM = -1, 64 << 20
_M_MMAP_THRESHOLD, _MOST_MMAP = -3, 32 << 20
OUT_OF_MEMORY_SIGNS = (
    "bad_alloc",
    "out of memory",
    "cannot allocate memory",
    "can't allocate memory",
    "not enough memory",
    "failed to allocate memory",
    "unable to allocate",
    "memoryerror",
    "oom-kill",
    "failed to map segment from shared object",  # the loader, half-way through an import
    "error return without exception set",  # CPython itself, likewise: in either wording
    "returned null without setting an exception",
)


def speaks_of_memory(text: str) -> bool:
    """Whether an error's text is what runtimes print when memory runs out."""
    lowered = _UNMAPPED.sub(_without_noexec, text).lower()
    return any(sign in lowered for sign in OUT_OF_MEMORY_SIGNS)


def _without_noexec(found: re.Match[str]) -> str:
    """What the loader says of a library; '' where nothing may be executed from where it lies."""
    folder = Path(found[1]).parent
    while not folder.exists():  # a temporary one, gone since
        folder = folder.parent
    return "" if os.statvfs(folder).f_flag & os.ST_NOEXEC else found[0]


def die_with_parent(parent: int) -> None:
    """Asks the kernel for SIGKILL when the parent dies, and leaves at once if it is dead already."""
    if sys.platform == "linux":
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0) != 0:
            raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG) failed")
    if os.getppid() != parent:
        os._exit(0)


def be_first_to_go() -> None:
    """If the machine runs out of memory the kernel takes this process, not the parent; no core files."""
    with suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("1000")
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def limit_memory(nbytes: int) -> None:
    """Bounds private writable memory; reservations that are never touched do not count (Linux ≥ 4.7)."""
    resource.setrlimit(resource.RLIMIT_DATA, (nbytes, nbytes))


def keep_freed_memory() -> None:
    """Has glibc's malloc keep what an inference frees for the next one; elsewhere nothing is done.

    It gives freed memory back to the kernel until the process has once freed a block as large, and a program
    that has run for a while has. In a fresh worker it would depend on how the weights came into memory
    whether each inference pays for hundreds of page faults. The thresholds are where glibc's own adaptation
    ends.
    """
    with suppress(AttributeError, OSError):  # another C library
        libc = ctypes.CDLL(None)
        libc.mallopt(_M_MMAP_THRESHOLD, _MOST_MMAP)
        libc.mallopt(_M_TRIM_THRESHOLD, _MOST_TRIM)


def resident_bytes() -> int:
    """Resident memory now; the peak where the system does not tell (macOS)."""
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
    except OSError:
        return peak_bytes()
    return pages * os.sysconf("SC_PAGE_SIZE")


def reset_peak() -> bool:
    """Sets the peak back to what is resident now; False where the system does not let us."""
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        return False
    return True


def peak_bytes() -> int:
    """Highest resident memory since the start or the last reset."""
    with suppress(OSError):
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
