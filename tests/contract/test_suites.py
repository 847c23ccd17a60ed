"""The contract's suites as a whole."""

from __future__ import annotations

from backends import registry
from tests.contract.suites import SUITES


def test_no_backend_is_left_out() -> None:
    assert {suite.backend.name for suite in SUITES.values()} >= set(registry.names())
