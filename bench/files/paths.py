"""Folders of bakeoff's own: where the cache lies, that it can be written, and what a folder takes."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from bench.interfaces.errors import PrepareError


def cache_root() -> Path:
    """$BAKEOFF_CACHE, or the user's cache folder. Raises PrepareError where neither says a place."""
    chosen = os.environ.get("BAKEOFF_CACHE")
    try:
        if chosen:
            return Path(chosen).expanduser().absolute()
        import platformdirs

        return Path(platformdirs.user_cache_dir("bakeoff"))
    except (RuntimeError, KeyError) as error:  # of a user without a home
        whose = f"BAKEOFF_CACHE={chosen}" if chosen else f"HOME is not set and user {os.getuid()} has none"
        raise PrepareError(
            f"no folder for the cache: {whose} ({error})",
            hint="export BAKEOFF_CACHE=FOLDER, or export HOME=FOLDER",
        ) from error
    except FileNotFoundError as error:
        raise PrepareError(
            f"the current folder is gone, and BAKEOFF_CACHE={chosen} starts from it",
            hint="cd to another folder, or export BAKEOFF_CACHE=/FOLDER",
        ) from error


@contextlib.contextmanager
def writing() -> Iterator[None]:
    """Turns an OSError into a PrepareError that names the cache and the mend."""
    try:
        yield
    except OSError as error:
        raise PrepareError(
            f"cannot write to the cache {cache_root()}: {error.strerror or error}",
            hint="free space there, or choose another folder: export BAKEOFF_CACHE=FOLDER",
        ) from error


def folder_bytes(folder: Path) -> int:
    """Size of all files in a folder and below."""
    return sum(status.st_size for status in statuses(folder))


def statuses(folder: Path) -> Iterator[os.stat_result]:
    """Of each file in a folder and below; links are not followed."""
    for path in folder.rglob("*"):
        try:
            status = path.lstat()
        except OSError:  # just deleted
            continue
        if not path.is_dir():
            yield status
