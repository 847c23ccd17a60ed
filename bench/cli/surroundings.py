"""What ends a command though bakeoff is not at fault: the file system, a limit of the shell, or a file that
hides a package. One translation of such errors into a sentence and what to do."""

from __future__ import annotations

import errno
import os

from bench.interfaces.errors import BakeoffError
from bench.plugins.shadows import blamed
from bench.processes.resources import speaks_of_memory

MEMORY = "end other programs, or raise the bound on memory (ulimit -v, the container's)"
THREADS = "raise the bounds on processes and memory (ulimit -u, ulimit -v, the container's)"
SYSTEM = ("/proc", "/sys")
HINTS = {
    errno.EACCES: "make it readable and writable for this user, or name another place",
    errno.EPERM: "make it readable and writable for this user, or name another place",
    errno.EROFS: "name another place, one that can be written",
    errno.ENOSPC: "free space there, or name another place",
    errno.EDQUOT: "free space there, or name another place",
    errno.EFBIG: "raise the bound on files (ulimit -f)",
    errno.EMFILE: "raise the bound on open files (ulimit -n)",
    errno.ENFILE: "close other programs' files: the system has no more",
    errno.ENOMEM: MEMORY,
    errno.EAGAIN: THREADS,
    errno.EIO: "look at the disk: dmesg",
    errno.ENOTDIR: "name another place, in a folder",
    errno.EISDIR: "name a file",
    errno.ELOOP: "mend the links, or name another place",
    errno.ENAMETOOLONG: "name another place, a shorter one",
    errno.ESTALE: "mount the file system again",
    errno.ETIMEDOUT: "look at the file system's server",
}


def explained(error: Exception) -> BakeoffError | None:
    """The error in a sentence that names the surroundings at fault; None for what may be a defect."""
    if hidden := blamed(error):
        said = f"{type(error).__name__}: {error}"
        return BakeoffError(
            f"{hidden[0]} hides {hidden[1]}, which bakeoff needs ({said})",
            hint="unset PYTHONPATH, leave this folder, or rename that file",
        )
    text = f"{type(error).__name__}: {error}"
    if "can't start new thread" in text:
        return BakeoffError("the system starts no further thread", hint=THREADS)
    if isinstance(error, MemoryError) or speaks_of_memory(text):
        return BakeoffError(f"memory ran out ({text})", hint=MEMORY)
    if isinstance(error, OSError) and error.errno in HINTS:
        where = "standard output, or a file" if error.filename is None else os.fsdecode(error.filename)
        return BakeoffError(f"{where}: {error.strerror or error}", hint=HINTS[error.errno])
    if isinstance(error, FileNotFoundError):
        return _not_there(error)
    return None


def _not_there(error: FileNotFoundError) -> BakeoffError | None:
    """Of what the system has, or Python looks for by itself: the current folder, one for temporary files."""
    if error.filename is not None:
        file = os.fsdecode(error.filename) if isinstance(error.filename, str | bytes) else ""
        system = next((folder for folder in SYSTEM if file.startswith(f"{folder}/")), "")
        if not system:
            return None
        return BakeoffError(f"{file} is not there", hint=f"mount {system}, or run where it is mounted")
    try:
        os.getcwd()
    except FileNotFoundError:
        return BakeoffError("the current folder is gone", hint="cd to another folder")
    return BakeoffError(error.strerror or str(error), hint="export TMPDIR=FOLDER, one that can be written")
