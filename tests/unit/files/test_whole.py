"""A file is there whole or not at all, with the mode that the person's umask gives any file."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from bench.files import whole


def test_a_file_is_replaced_and_nothing_else_is_left(tmp_path: Path) -> None:
    path = tmp_path / "folder" / "file"
    whole.replace_file(path, b"one")
    whole.replace_file(path, b"two")
    assert path.read_bytes() == b"two"
    assert [one.name for one in path.parent.iterdir()] == ["file"]


def test_a_failure_leaves_what_was_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"before")

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(whole.os, "replace", full)
    with pytest.raises(OSError, match="No space left"):
        whole.replace_file(path, b"after")
    assert path.read_bytes() == b"before"
    assert [one.name for one in tmp_path.iterdir()] == ["file"]


@pytest.mark.parametrize("hidden", [False, True], ids=["/proc", "no /proc"])
def test_its_mode_is_that_of_any_new_file(
    hidden: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def read(self: Path, **_: object) -> str:
        raise FileNotFoundError(2, "No such file or directory", str(self))

    if hidden:
        monkeypatch.setattr(Path, "read_text", read)
    for mask in (0o022, 0o077, 0o002):
        before = os.umask(mask)
        try:
            whole.replace_file(tmp_path / "file", b"data")
        finally:
            assert os.umask(before) == mask, "it is as it was"
        assert stat.S_IMODE((tmp_path / "file").stat().st_mode) == 0o666 & ~mask
