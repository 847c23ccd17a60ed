"""Threads of this process, as the system lists them."""

from __future__ import annotations

from pathlib import Path


def tasks(name: str = "") -> int:
    """Threads of this process whose names begin so; 0 where the system does not list them."""
    return sum(path.read_text().startswith(name) for path in Path("/proc/self/task").glob("*/comm"))
