"""The slow-down of known size: its backend, known only where it is asked for, and its calibration."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from bench.interfaces.backend import Target
from bench.plugins import backend_registry
from benchmarks import slowdown
from benchmarks.slowdown import FEW, MANY, PLUGIN, units


def forget() -> None:
    backend_registry._entry_points.cache_clear()
    backend_registry.get.cache_clear()


@pytest.fixture
def registered(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """The backend `slowed`, for the time of a test."""
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.setenv("PYTHONPATH", "elsewhere")
    slowdown.register()
    yield backend_registry.get("slowed")
    monkeypatch.undo()
    forget()


def test_nobody_else_knows_it() -> None:
    assert "slowed" not in backend_registry.names()


def test_registered_it_is_a_runtime_like_any_other(registered: Any) -> None:
    assert "slowed" in backend_registry.names("runtime")
    assert registered.environment(Target()) == backend_registry.get("onnxruntime").environment(Target())
    slowdown.register()
    assert os.environ["PYTHONPATH"] == f"elsewhere{os.pathsep}{PLUGIN}"


def test_units_lie_on_the_line_through_both_shares() -> None:
    each, first = 0.0001, 0.002
    few, many = first + FEW * each, first + MANY * each
    assert units(0.03, few, many) == 280
    assert units(few, few, many) == FEW
    assert units(0.2, few, many) == 1980
    assert units(0.0, few, many) == 0
