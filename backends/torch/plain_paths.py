"""Folders under names that a C++ toolchain takes: compilers are called with command lines that nobody quoted.

Inductor splits its own at blanks, and GNU make and ld scripts do likewise. A folder whose path has more than
plain characters is reached by a link of a plain name in a private folder. Standard library alone.
"""

from __future__ import annotations

import hashlib
import os
import re
import stat
import tempfile
from pathlib import Path

from bench.interfaces.errors import PrepareError

PLAIN = re.compile(r"[A-Za-z0-9_./+@,=-]+")
FALLBACKS = ("XDG_RUNTIME_DIR", "/tmp", "/var/tmp", "/dev/shm")


def plain(folder: Path) -> Path:
    """The folder, made if it is not there, or a link to it whose path is plain. Raises PrepareError."""
    folder.mkdir(parents=True, exist_ok=True)
    if PLAIN.fullmatch(str(folder)):
        return folder
    home = private()
    for link in home.iterdir():  # of folders that were moved or removed since
        if link.is_symlink() and not link.exists():
            link.unlink(missing_ok=True)
    link = home / hashlib.sha256(os.fsencode(folder)).hexdigest()[:16]
    if not link.is_symlink() or link.readlink() != folder:
        aside = home / f"{link.name}.{os.getpid()}"
        aside.symlink_to(folder)
        aside.replace(link)
    return link


def private() -> Path:
    """A folder with a plain path that this user alone reads and writes. Raises PrepareError without one."""
    for base in _bases():
        folder = base / f"bakeoff-{os.getuid()}"
        try:
            folder.mkdir(mode=0o700, exist_ok=True)
            found = folder.lstat()
        except OSError:
            continue
        ours = found.st_uid == os.getuid() and not found.st_mode & 0o077
        if stat.S_ISDIR(found.st_mode) and ours and os.access(folder, os.W_OK | os.X_OK):
            return folder
    raise PrepareError(
        "a C++ compiler needs a folder whose path has neither blanks nor quotes, and none can be made",
        hint="export TMPDIR=FOLDER, one with a plain path that is yours",
    )


def plain_temporary() -> None:
    """From here on temporary files of this process and its children lie under a plain path."""
    if not PLAIN.fullmatch(tempfile.gettempdir()):
        tempfile.tempdir = os.environ["TMPDIR"] = str(private())


def _bases() -> list[Path]:
    named = [tempfile.gettempdir(), *(os.environ.get(name, "") or name for name in FALLBACKS)]
    return [Path(name) for name in named if name.startswith("/") and PLAIN.fullmatch(name)]
