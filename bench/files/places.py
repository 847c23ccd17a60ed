"""Places that something will be written to, tried before anything is measured for them.

Nothing is left there. Standard library alone.
"""

from __future__ import annotations

import errno
import stat
import tempfile
from pathlib import Path

from bench.interfaces.errors import BakeoffError, UsageError

STDOUT = "-"  # as a path: standard output
PROBE = b"\0" * 4096  # a full disk takes an empty file


def require_place(path: Path, flag: str) -> None:
    """Tries whether a file can be written at `path`.

    Args:
        flag: what the path was typed after, for the hint.

    Raises:
        UsageError: a folder, a device or a pipe is there.
        BakeoffError: nothing can be written there, and why.
    """
    if str(path) == STDOUT:
        return
    require_file(path, flag)
    try:
        try_folder(path.parent, path.name)
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        hint = "free some disk space and repeat the command" if full else f"name another place: {flag} PATH"
        raise BakeoffError(f"cannot write {path}: {error.strerror or error}", hint=hint) from error


def require_file(path: Path, flag: str = "-o") -> None:
    """Raises UsageError where something is at `path` that no file may replace."""
    try:
        mode = path.stat().st_mode
    except OSError:
        return
    if stat.S_ISDIR(mode):
        raise UsageError(f"{path} is a folder", hint=f"name a file in it: {flag} {path / 'NAME'}")
    if not stat.S_ISREG(mode):
        raise UsageError(f"{path} is no regular file", hint=f"name a file, or `{STDOUT}` for standard output")


def try_folder(folder: Path, name: str = "") -> None:
    """Writes a file to a folder, or to the nearest one above it that is there, and removes it.

    Raises OSError.
    """
    with tempfile.NamedTemporaryFile(prefix=f".{name}.", dir=there(folder)) as file:
        file.write(PROBE)
        file.flush()


def there(folder: Path) -> Path:
    """The folder, or the nearest one above it that is there."""
    found = folder.absolute()
    while not found.exists():
        found = found.parent
    return found
