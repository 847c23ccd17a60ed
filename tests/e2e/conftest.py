"""bakeoff as a person calls it: a process, an empty folder, a cache of its own, and a tiny workload."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

PLUGIN = Path(__file__).parent.parent / "plugin"
Bakeoff = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="session")
def environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Variables under which the tiny workload is found and its model files are made once a session."""
    path = os.pathsep.join(filter(None, (str(PLUGIN), os.environ.get("PYTHONPATH"))))
    variables = {**os.environ, "PYTHONPATH": path, "TERM": "dumb", "COLUMNS": "160"}
    variables["BAKEOFF_CACHE"] = str(tmp_path_factory.mktemp("cache"))
    return variables


@pytest.fixture
def bakeoff(environment: dict[str, str], tmp_path: Path) -> Bakeoff:
    """`bakeoff("run", "quick", …)` in an empty folder; the result is not checked."""

    def call(*arguments: str, timeout: float = 300.0, **variables: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "bench", *arguments],
            cwd=tmp_path,
            env={**environment, **variables},
            capture_output=True,
            text=True,
            timeout=timeout,
        )

    return call
