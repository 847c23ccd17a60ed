"""Cases of a tiny workload for the tests of `prepare`, and a cache of their own."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from bench.interfaces.backend import Target
from bench.interfaces.case import Case
from bench.plugins import workload_registry
from bench.prepare.graph import content_for
from bench.prepare.prepare import Prepared, prepare

PLUGIN = Path(__file__).parent.parent / "plugin"
Events = list[tuple[str, dict[str, Any]]]


@contextmanager
def own_cache(folder: Path) -> Iterator[Path]:
    """The folder as the cache, and the workload `tiny-cnn` of another distribution."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BAKEOFF_CACHE", str(folder))
        patch.setenv("PYTHONPATH", str(PLUGIN))
        patch.syspath_prepend(PLUGIN)
        workload_registry._found.cache_clear()
        yield folder
    workload_registry._found.cache_clear()


def case(backend: str = "torch", precision: str = "fp32", batch: int = 1, weights: str = "") -> Case:
    content = content_for("tiny-cnn", weights)
    return Case("tiny-cnn", content, batch, None, backend, Target(precision=precision), weights=weights)


def recorded(*cases: Case, limit_s: float = 300.0) -> tuple[dict[str, Prepared], Events]:
    events: Events = []

    def listen(kind: str, facts: Mapping[str, Any]) -> None:
        events.append((kind, dict(facts)))

    return prepare(cases, listen, limit_s), events
