"""Looks at a checkpoint: what it is and what it holds, without torch and without running anything of it."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from bench.files import heads, regular
from bench.interfaces.errors import ModelFileError
from bench.prepare.checkpoints import archives, headers, sharded
from bench.prepare.checkpoints.sharded import Index
from bench.prepare.checkpoints.tree import Tree, listed, shown

NAME_ONE = "name a safetensors file, a saved state_dict, or the folder of a sharded one after --weights"
T = TypeVar("T")
Stamp = tuple[tuple[str, int, int], ...]  # (path, bytes, modification time) of each file


@dataclass(frozen=True, slots=True)
class Files:
    """The files of a checkpoint: one, or those of an index."""

    path: Path
    index: Index | None = None

    @property
    def paths(self) -> list[Path]:
        return list(self.index.shards.values()) if self.index else [self.path]


def files(path: Path) -> Files:
    """The files of a checkpoint that a person named: a file, an index, or a folder with one.

    Raises:
        ModelFileError: it is missing, unreadable, empty, no regular file, or an index that does not hold.
    """
    try:
        named = sharded.index_of(path) if path.is_dir() else path
        if regular.status(named).st_size == 0:
            raise ModelFileError(f"{named} is empty", hint="fetch or save it again")
        with regular.opened(named) as file:
            is_json = heads.kind(file.read(heads.HEAD), regular.status(named).st_size) == heads.JSON
        index = sharded.read_index(named) if is_json else None
        if is_json and index is None:
            raise ModelFileError(f"{named} is a JSON file, but no index of a checkpoint", hint=NAME_ONE)
        found = Files(named, index)
        for one in found.paths:
            regular.status(one)
    except OSError as error:
        raise ModelFileError(f"{error.filename or path}: {error.strerror}", hint=NAME_ONE) from error
    return found


def stamp(found: Files) -> Stamp:
    """What tells whether the files are still those that were looked at."""
    statuses = [(str(one), regular.status(one)) for one in found.paths]
    return tuple((name, status.st_size, status.st_mtime_ns) for name, status in statuses)


def look(path: Path) -> Tree:
    """What a checkpoint holds. Raises ModelFileError with what it is instead, and the next thing to do."""
    found = files(path)
    if found.index is None:
        return _look(found.path, stamp(found))
    held = {name: _look(one, stamp(Files(one))) for name, one in found.index.shards.items()}
    return joined(found.index, held)


def joined(index: Index, held: Mapping[str, Mapping[str, T]]) -> dict[str, T]:
    """The shards as one, each key from the file that the index gives. Raises ModelFileError."""
    lacking = [key for key, name in index.keys.items() if key not in held[name]]
    if lacking:
        raise ModelFileError(
            f"{index.path}: {listed(lacking)} is not in the file that it gives "
            f"({shown(index.keys[lacking[0]])})",
            hint="fetch index and files of the same revision",
        )
    return {key: held[name][key] for key, name in index.keys.items()}


@functools.lru_cache(maxsize=64)
def _look(path: Path, _stamp: Stamp) -> Tree:
    try:
        with regular.opened(path) as file:
            size = regular.status(path).st_size
            found = heads.kind(file.read(heads.HEAD), size)
            if found == heads.SAFETENSORS:
                return headers.read(file, size)
            file.seek(0)
            if found == heads.ZIP:
                return archives.read_zip(file, str(path))
            if found == heads.PICKLE:
                return archives.read_pickles(file, str(path))
    except OSError as error:
        raise ModelFileError(f"{path}: {error.strerror}", hint=NAME_ONE) from error
    except ValueError as error:
        hint = "fetch or save it again"
        raise ModelFileError(f"{path} is a broken safetensors file: {error}", hint=hint) from error
    what = "empty" if size == 0 else found.name
    raise ModelFileError(f"{path} is {what}", hint=found.instead or NAME_ONE)
