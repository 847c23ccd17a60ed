"""A lock of the kernel's on an open file."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from bench.files.flock import take


@pytest.mark.parametrize(
    ("first", "second", "gets"), [(True, True, True), (True, False, False), (False, True, False)]
)
def test_who_shares_it(first: bool, second: bool, gets: bool, tmp_path: Path) -> None:
    path = tmp_path / "lock"
    path.touch()
    one, other = os.open(path, os.O_RDWR), os.open(path, os.O_RDONLY)
    try:
        assert take(one, shared=first)
        assert take(other, shared=second, wait=False) is gets
        os.close(one)
        assert take(other, wait=False), "closed, it is free"
    finally:
        os.close(other)
