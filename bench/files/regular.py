"""Files from strangers are files: not pipes, devices or sockets, which may never end or never begin.

Standard library alone: the worker side may import this module.
"""

from __future__ import annotations

import os
import stat
from errno import EINVAL, EISDIR, ENOENT
from io import BufferedReader
from pathlib import Path

KINDS = {
    stat.S_IFIFO: "a named pipe (FIFO), not a file",
    stat.S_IFCHR: "a character device, not a file",
    stat.S_IFBLK: "a block device, not a file",
    stat.S_IFSOCK: "a socket, not a file",
}


def status(path: Path) -> os.stat_result:
    """The status of a regular file, links followed. Raises OSError whose `strerror` names what else it is."""
    try:
        found = path.stat()
    except FileNotFoundError:
        if path.is_symlink():
            raise OSError(ENOENT, f"a link to {os.readlink(path)}, which is not there", str(path)) from None
        raise
    _require(found, path)
    return found


def there(path: str) -> bool:
    """Whether a name is of a file, or of what is none and no folder either; never raises."""
    return os.path.exists(path) and not os.path.isdir(path)


def opened(path: Path) -> BufferedReader:
    """A regular file, open for reading; nothing is waited for. Raises OSError as `status` does."""
    status(path)  # before it is opened: opening alone does things to some devices
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        _require(os.fstat(descriptor), path)  # what was opened, whatever has come there since
        return os.fdopen(descriptor, "rb")
    except BaseException:
        os.close(descriptor)
        raise


def _require(found: os.stat_result, path: Path) -> None:
    kind = stat.S_IFMT(found.st_mode)
    if kind == stat.S_IFDIR:
        raise IsADirectoryError(EISDIR, "a folder, not a file", str(path))
    if kind != stat.S_IFREG:
        raise OSError(EINVAL, KINDS.get(kind, "not a regular file"), str(path))
