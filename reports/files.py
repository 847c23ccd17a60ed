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
    """Writes a file beside its place and moves it there; makes the folder. Returns the path.

    A link stays one: the file that it leads to is replaced.

    Raises BakeoffError with the next step where the place cannot be written, UsageError where something is
    there that is no file.
    """
    require_file(path)
    shown, path = path, path.resolve() if path.is_symlink() else path
    try:
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
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        hint = "free some disk space and repeat the command" if full else "name another place: -o PATH"
        raise BakeoffError(f"cannot write {shown}: {error.strerror or error}", hint=hint) from error
    return shown


def _umask() -> int:
    current = os.umask(0)
    os.umask(current)
    return current
