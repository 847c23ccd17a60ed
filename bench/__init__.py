"""bakeoff's engine. `bench.run(suite)` measures, `Run.table()` shows; everything else is for its developers.

Importing this package imports nothing heavy: workers and `bakeoff --help` import it too.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bench.api import Run as Run
    from bench.api import open_run as open_run
    from bench.api import run as run
    from bench.suite.suite import Suite as Suite
    from bench.suite.suite import load_suite as load_suite

_HOMES = {
    "run": "bench.api",
    "Run": "bench.api",
    "open_run": "bench.api",
    "Suite": "bench.suite.suite",
    "load_suite": "bench.suite.suite",
}
__all__ = ["Run", "Suite", "load_suite", "open_run", "run"]


# In a child process: what was on the parent's $PYTHONPATH comes last, so that it brings plug-ins and hides
# nothing that is installed (`bench.processes.variables`).
sys.path += [
    entry
    for entry in os.environ.get("BAKEOFF_LAST_PATH", "").split(os.pathsep)
    if entry and entry not in sys.path
]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        from importlib import import_module

        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'bench' has no attribute {name!r}")
