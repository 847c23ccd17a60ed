"""Where made files are kept: one folder an artefact, by content, whole or absent.

    ROOT/KIND/KEY/manifest.json, and the files that it names

An artefact is made in a sibling folder and renamed into place once everything in it is on the disk. A
folder that a killed process left behind is swept by the next one (it holds a lock while it lives). Two
processes that make the same key both succeed: the later one takes what the earlier has put there.

A file whose size and modification time are those of the manifest is taken as whole; any other is hashed, once
a process, and the artefact is discarded where the hash differs. The manifest's own modification time is when
the artefact was last asked for; when it was made stands in the manifest, with its files.
"""

from __future__ import annotations

import contextlib
import errno
import functools
import hashlib
import json
import os
import secrets
import shutil
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypedDict

from bench.files import flock, regular
from bench.files.paths import cache_root, writing
from bench.files.places import try_folder
from bench.interfaces.errors import PrepareError
from bench.text import strict_json

MANIFEST = "manifest.json"
LOCK = ".lock"
KEY_DIGITS = 32
ARTEFACTS = "[0-9a-f]" * KEY_DIGITS  # the names of their folders, for glob
DRAFTS = f".[0-9a-f]*.{'[0-9a-f]' * 8}"
GRACE_S = 60.0  # how long a draft is left alone before its lock is tried


@dataclass(frozen=True, slots=True)
class Artefact:
    """A folder of the cache and what its manifest says."""

    folder: Path
    manifest: Mapping[str, Any]

    @property
    def path(self) -> Path:
        """The main file."""
        return self.folder / str(self.manifest["main"])

    @property
    def sha256(self) -> str:
        """Of the main file, hexadecimal."""
        return str(self.manifest["files"][self.manifest["main"]]["sha256"])

    @property
    def size(self) -> int:
        """Bytes of all its files."""
        return sum(int(record["size"]) for record in self.manifest["files"].values())

    @property
    def facts(self) -> Mapping[str, Any]:
        """What its converter found while making it."""
        return dict(self.manifest["facts"])

    @property
    def lineage(self) -> tuple[Mapping[str, Any], ...]:
        """How it was made, newest step first."""
        return tuple(self.manifest["lineage"])


class KeyFacts(TypedDict):
    """What the key of a converter's artefact is made of: what is alike in all of it is made once.

    `kind` and `revision` of the converter, `content` of the workload with its weights, the `facts` that the
    converter asks for, `versions` of the distributions that make it, and SHA-256 of its `parents` by kind.
    """

    kind: str
    revision: int
    content: str
    facts: Mapping[str, Any]
    versions: Mapping[str, str]
    parents: Mapping[str, str]


def key_of(facts: Mapping[str, Any]) -> str:
    """The key of what these facts determine; they must be JSON-able."""
    canonical = json.dumps(facts, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()[:KEY_DIGITS]


def find(kind: str, key: str, note: Callable[[str], None]) -> Artefact | None:
    """The artefact if it is here and whole: that is a use of it. A damaged one is discarded, and `note` is
    told why."""
    folder = cache_root() / kind / key
    try:
        manifest = strict_json.loads((folder / MANIFEST).read_text())
    except FileNotFoundError:
        if folder.is_dir():
            _discard(folder, "it has no manifest", note)
        return None
    except (OSError, ValueError) as error:
        _discard(folder, f"its manifest cannot be read ({error})", note)
        return None
    if damage := _damage(folder, manifest):
        _discard(folder, damage, note)
        return None
    with contextlib.suppress(OSError):  # a cache that may only be read
        os.utime(folder / MANIFEST)
    return Artefact(folder, manifest)


def remove(folder: Path) -> None:
    """Deletes an artefact: gone at once for whoever looks, whole or not at all. Raises PrepareError."""
    aside = folder.parent / f".{folder.name}.{secrets.token_hex(4)}"
    with writing(), contextlib.suppress(FileNotFoundError):
        folder.rename(aside)
        shutil.rmtree(aside)


def dead_drafts(home: Path, grace_s: float = GRACE_S) -> Iterator[Path]:
    """Folders of a kind whose maker no longer lives, each locked until the next is asked for."""
    for folder in sorted(home.glob(DRAFTS)):
        with contextlib.suppress(OSError):
            if time.time() - folder.stat().st_mtime < grace_s:
                continue
            try:
                lock = os.open(folder / LOCK, os.O_RDWR | os.O_CLOEXEC)
            except FileNotFoundError:  # an artefact whose removal was cut off
                yield folder
                continue
            try:
                if flock.take(lock, wait=False):
                    yield folder
            finally:
                os.close(lock)


class Draft:
    """A folder in which an artefact is being made; `commit` or `discard` ends it. Raises PrepareError."""

    def __init__(self, kind: str, key: str) -> None:
        self.kind, self.key = kind, key
        home = cache_root() / kind
        self.folder = home / f".{key}.{secrets.token_hex(4)}"
        with writing():
            home.mkdir(parents=True, exist_ok=True)
            for dead in dead_drafts(home):
                shutil.rmtree(dead, ignore_errors=True)
            self.folder.mkdir()
            self._lock = os.open(self.folder / LOCK, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC)
            flock.take(self._lock)

    def files(self) -> set[str]:
        """What is in it, at any depth, relative to it."""
        return {str(path.relative_to(self.folder)) for path in self.folder.rglob("*") if not path.is_dir()}

    def commit(
        self,
        main: str,
        facts: Mapping[str, Any],
        lineage: Sequence[Mapping[str, Any]],
        keep: Sequence[str],
        about: Mapping[str, Any] = MappingProxyType({}),
    ) -> Artefact:
        """Puts the files named in `keep` (`main` among them) in place with a manifest; drops the rest.

        `about` stands in the manifest beside what the key was made of (see `bench.cache.inventory.Holding`).
        """
        with writing():
            for name in self.files() - {*keep, LOCK}:
                (self.folder / name).unlink()
            manifest = {
                "kind": self.kind,
                "key": self.key,
                "main": main,
                "files": {name: _record(self.folder / name) for name in keep},
                "facts": dict(facts),
                "lineage": [dict(step) for step in lineage],
                "about": dict(about),
            }
            (self.folder / MANIFEST).write_text(strict_json.dumps(manifest, indent=1) + "\n")
            for path in (*self.folder.rglob("*"), self.folder):
                _sync(path)
            target = self.folder.parent / self.key
            try:
                self.folder.rename(target)
            except OSError as error:
                if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                    raise
                # Another process was first: what it made is the same.
            else:
                (target / LOCK).unlink()
                _sync(target.parent)
        self.discard()
        found = find(self.kind, self.key, lambda _text: None)
        if found is None:
            raise PrepareError(f"{target} vanished while it was put in place", hint="bakeoff run --resume")
        return found

    def discard(self) -> None:
        """Removes what is left of the draft."""
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1
        shutil.rmtree(self.folder, ignore_errors=True)


def require_writable() -> None:
    """Tries whether the cache can be written. One that may only be read serves as far as it goes.

    Raises PrepareError where it cannot be written and holds nothing either.
    """
    root = cache_root()
    try:
        root.mkdir(parents=True, exist_ok=True)
        try_folder(root)
    except OSError:
        if not any(root.glob(f"*/{ARTEFACTS}")):
            with writing():
                raise


def file_sha256(path: Path) -> str:
    """SHA-256 of a file's content; remembered in this process while size and modification time stay.

    Raises OSError where it is no regular file: a pipe or a device might never end.
    """
    status = regular.status(path)
    return _hash(path, status.st_size, status.st_mtime_ns)


@functools.lru_cache(maxsize=256)
def _hash(path: Path, size: int, mtime_ns: int) -> str:
    with regular.opened(path) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _record(path: Path) -> dict[str, Any]:
    status = path.stat()
    return {"sha256": file_sha256(path), "size": status.st_size, "mtime_ns": status.st_mtime_ns}


def _damage(folder: Path, manifest: Any) -> str:
    """'' or what is wrong with the files that a manifest names."""
    try:
        for name, record in manifest["files"].items():
            status = (folder / name).stat()
            if status.st_size != record["size"]:
                return f"{name} has {status.st_size} bytes, not {record['size']}"
            same_time = status.st_mtime_ns == record["mtime_ns"]
            if not same_time and file_sha256(folder / name) != record["sha256"]:
                return f"the checksum of {name} is not the one of its manifest"
        if manifest["main"] not in manifest["files"] or not {"facts", "lineage"} <= manifest.keys():
            return "its manifest is incomplete"
    except OSError as error:
        return f"{error.filename}: {error.strerror}"
    except (KeyError, TypeError, AttributeError):
        return "its manifest is incomplete"
    return ""


def _discard(folder: Path, why: str, note: Callable[[str], None]) -> None:
    note(f"{folder} is damaged and made anew: {why}")
    remove(folder)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
