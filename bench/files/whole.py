"""Files that are there whole or not at all."""

from __future__ import annotations

import errno
import os
import tempfile
from contextlib import suppress
from pathlib import Path

from bench.files.places import require_file
from bench.interfaces.errors import BakeoffError


def write_whole(path: Path, data: bytes) -> Path:
    """Writes a file that a person named, whole or not at all; makes the folder. Returns the path.

    A link stays one: the file that it leads to is replaced.

    Raises BakeoffError with the next step where the place cannot be written, UsageError where something is
    there that is no file.
    """
    require_file(path)
    try:
        replace_file(path.resolve() if path.is_symlink() else path, data)
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        hint = "free some disk space and repeat the command" if full else "name another place: -o PATH"
        raise BakeoffError(f"cannot write {path}: {error.strerror or error}", hint=hint) from error
    return path


def replace_file(path: Path, data: bytes) -> None:
    """Writes a file beside its place and moves it there; makes the folder. Nothing is left where it fails.

    Raises OSError.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
        os.chmod(name, 0o666 & ~_umask())  # mkstemp's own mode is for the owner alone
        os.replace(name, path)
    except BaseException:
        with suppress(OSError):
            os.unlink(name)
        raise


def _umask() -> int:
    """Read where the system tells it: setting it to see it would change it for other threads meanwhile."""
    with suppress(OSError):
        for line in Path("/proc/self/status").read_text(errors="replace").splitlines():
            if line.startswith("Umask:"):
                return int(line.split()[1], 8)
    current = os.umask(0)
    os.umask(current)
    return current
