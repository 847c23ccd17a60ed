from __future__ import annotations

import errno
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from bench.cache import artefacts
from bench.files import paths
from bench.interfaces.errors import PrepareError

KEY = artefacts.key_of({"a": 1})

MAKE_AND_HANG = """
import sys, time
from bench.cache import artefacts
draft = artefacts.Draft("kind", sys.argv[1])
(draft.folder / "model").write_bytes(b"half")
print(draft.folder, flush=True)
time.sleep(3600)
"""


@pytest.fixture(autouse=True)
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("BAKEOFF_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def notes() -> list[str]:
    return []


def put(content: bytes = b"weights", key: str = KEY) -> artefacts.Artefact:
    draft = artefacts.Draft("kind", key)
    (draft.folder / "model").write_bytes(content)
    (draft.folder / "model.data").write_bytes(b"companion")
    (draft.folder / "job.json").write_text("{}")
    return draft.commit("model", {"n": 1}, [{"kind": "kind"}], ["model", "model.data"])


def test_keys_follow_their_facts() -> None:
    assert artefacts.key_of({"a": 1, "b": [2]}) == artefacts.key_of({"b": [2], "a": 1})
    assert len({artefacts.key_of({"a": n}) for n in (1, 2, "1")}) == 3


def test_the_root_is_a_choice(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BAKEOFF_CACHE", "~/somewhere")
    assert paths.cache_root() == Path.home() / "somewhere"
    monkeypatch.delenv("BAKEOFF_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", "/elsewhere")
    assert "bakeoff" in paths.cache_root().parts


def test_put_and_found(notes: list[str]) -> None:
    assert artefacts.find("kind", KEY, notes.append) is None
    made = put()
    found = artefacts.find("kind", KEY, notes.append)
    assert found == made
    assert found.path.read_bytes() == b"weights"
    assert found.sha256 == "9a129038d9a00aed0cf6a7ea059ca50a813449061ab87848cf1a13eafdf33b2c"
    assert (found.facts, found.lineage) == ({"n": 1}, ({"kind": "kind"},))
    assert {p.name for p in found.folder.iterdir()} == {"model", "model.data", "manifest.json"}
    assert [p.name for p in found.folder.parent.iterdir()] == [KEY]
    assert notes == []


def damage_content(folder: Path) -> None:
    (folder / "model").write_bytes(b"WEIGHTS")


def damage_companion(folder: Path) -> None:
    (folder / "model.data").write_bytes(b"cOmpanion")


def damage_size(folder: Path) -> None:
    status = (folder / "model").stat()
    (folder / "model").write_bytes(b"weig")
    os.utime(folder / "model", ns=(status.st_atime_ns, status.st_mtime_ns))


def damage_missing(folder: Path) -> None:
    (folder / "model.data").unlink()


def damage_manifest(folder: Path) -> None:
    (folder / "manifest.json").write_text("{")


def damage_manifest_facts(folder: Path) -> None:
    (folder / "manifest.json").write_text(json.dumps({"files": {}, "main": "model"}))


def damage_no_manifest(folder: Path) -> None:
    (folder / "manifest.json").unlink()


DAMAGES = [value for name, value in list(globals().items()) if name.startswith("damage_")]


@pytest.mark.parametrize("damage", DAMAGES)
def test_damage_is_noticed_and_made_anew(damage: Callable[[Path], None], notes: list[str]) -> None:
    folder = put().folder
    damage(folder)
    assert artefacts.find("kind", KEY, notes.append) is None
    assert len(notes) == 1
    assert KEY in notes[0]
    assert not folder.exists()
    assert put().path.read_bytes() == b"weights"
    assert artefacts.find("kind", KEY, notes.append) is not None


def test_removed_at_once(root: Path, notes: list[str]) -> None:
    folder = put().folder
    artefacts.remove(folder)
    assert list((root / "kind").iterdir()) == []
    assert artefacts.find("kind", KEY, notes.append) is None
    artefacts.remove(folder)  # somebody was quicker
    assert notes == []


def test_what_a_killed_removal_left_is_swept(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = put().folder
    with monkeypatch.context() as patch:
        patch.setattr(artefacts.shutil, "rmtree", lambda path: None)
        artefacts.remove(folder)
    (aside,) = (root / "kind").iterdir()
    os.utime(aside)
    assert list(artefacts.dead_drafts(root / "kind")) == []  # it may be at work yet
    os.utime(aside, (1e9, 1e9))
    assert list(artefacts.dead_drafts(root / "kind")) == [aside]
    put()
    assert not aside.exists()


def test_a_use_is_noted_in_a_cache_that_may_be_written() -> None:
    manifest = put().folder / "manifest.json"
    os.utime(manifest, (1e9, 1e9))
    assert artefacts.find("kind", KEY, print) is not None
    assert manifest.stat().st_mtime > 1e9


def test_what_is_only_read_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    def read_only(path: Path) -> None:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    put()
    monkeypatch.setattr(os, "utime", read_only)
    assert artefacts.find("kind", KEY, print) is not None


def test_a_copied_cache_is_whole(notes: list[str]) -> None:
    made = put()
    os.utime(made.path)  # other modification time, same content
    assert artefacts.find("kind", KEY, notes.append) is not None
    assert notes == []


def test_a_killed_maker_leaves_nothing(root: Path, notes: list[str]) -> None:
    command = [sys.executable, "-c", MAKE_AND_HANG, KEY]
    maker = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert maker.stdout is not None
    folder = Path(maker.stdout.readline().strip())
    assert artefacts.find("kind", KEY, notes.append) is None  # absent while it is made
    old = 1_000_000_000
    os.utime(folder, (old, old))
    put(key=artefacts.key_of({"b": 2}))
    assert folder.exists()  # its maker lives
    maker.send_signal(signal.SIGKILL)
    maker.wait()
    maker.stdout.close()
    assert artefacts.find("kind", KEY, notes.append) is None
    put()
    assert not folder.exists()
    assert notes == []


def test_two_makers_of_one_key() -> None:
    first, second = artefacts.Draft("kind", KEY), artefacts.Draft("kind", KEY)
    for draft in (first, second):
        (draft.folder / "model").write_bytes(b"same")
    made = [draft.commit("model", {}, [], ["model"]) for draft in (first, second)]
    assert made[0] == made[1]
    assert [p.name for p in made[0].folder.parent.iterdir()] == [KEY]


def test_a_discarded_draft_leaves_nothing(root: Path) -> None:
    draft = artefacts.Draft("kind", KEY)
    draft.discard()
    draft.discard()
    assert list((root / "kind").iterdir()) == []


def test_a_cache_that_cannot_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("BAKEOFF_CACHE", str(tmp_path / "file"))
    with pytest.raises(PrepareError, match=r"cannot write to the cache .*Not a directory") as caught:
        artefacts.Draft("kind", KEY)
    assert "BAKEOFF_CACHE" in caught.value.hint


def test_a_full_disk(root: Path, monkeypatch: pytest.MonkeyPatch, notes: list[str]) -> None:
    def full(path: Path) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    draft = artefacts.Draft("kind", KEY)
    (draft.folder / "model").write_bytes(b"weights")
    with monkeypatch.context() as patch:
        patch.setattr(artefacts, "_sync", full)
        with pytest.raises(PrepareError, match="No space left"):
            draft.commit("model", {}, [], ["model"])
    draft.discard()
    assert artefacts.find("kind", KEY, notes.append) is None
    assert list((root / "kind").iterdir()) == []
