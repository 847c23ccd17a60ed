"""Waiting for what happens, however slow the machine is."""

from __future__ import annotations

import time
from collections.abc import Callable

PATIENCE_S = 300.0  # over any machine's slowness: what takes as long does not come


def until(happened: Callable[[], object], what: str = "it") -> None:
    """Returns as soon as it has happened. Raises AssertionError where it does not come."""
    give_up = time.monotonic() + PATIENCE_S
    while not happened():
        assert time.monotonic() < give_up, f"{what} did not happen in {PATIENCE_S:g} s"
        time.sleep(0.002)
