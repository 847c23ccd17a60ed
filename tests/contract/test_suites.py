"""The contract's suites as a whole."""

from __future__ import annotations

from bench.plugins import backend_registry
from tests.contract.suites import SUITES


def test_no_backend_is_left_out() -> None:
    assert {suite.backend.name for suite in SUITES.values()} >= set(backend_registry.names())
