"""Whether the cache and the store can be written, and how much room there is: checks of `bakeoff doctor`."""

from __future__ import annotations

import shutil
from pathlib import Path

from bench.files.paths import cache_root
from bench.files.places import there, try_folder
from bench.machine.checks import Check
from bench.text.numbers import file_size

ROOMY = 8e9  # bytes: what the first visit of the quick suite keeps in the cache, and some room


def checks(store: Path) -> tuple[Check, ...]:
    """Whether the cache and the store can be written, and how much room there is."""
    return (
        _writable("cache", cache_root(), "export BAKEOFF_CACHE=FOLDER"),
        _room(cache_root()),
        _writable("store", store.parent, "name another one: --store PATH", what=store),
    )


def _writable(name: str, folder: Path, mend: str, what: Path | None = None) -> Check:
    try:
        if what is not None and what.is_dir():
            return Check(name, "bad", f"{what} is a folder", mend)
        try_folder(folder)
    except OSError as error:
        return Check(name, "bad", f"{what or folder} cannot be written: {error.strerror or error}", mend)
    return Check(name, "ok", f"{what or folder}")


def _room(folder: Path) -> Check:
    free = shutil.disk_usage(there(folder)).free
    text = f"{file_size(free)} free for the cache"
    if free >= ROOMY:
        return Check("disk", "ok", text)
    return Check("disk", "warn", f"{text}; the quick suite keeps about 7 GB", "bakeoff cache prune")
