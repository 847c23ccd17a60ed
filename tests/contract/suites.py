"""The contract's suites by name."""

from __future__ import annotations

from backends.contract import BackendContract
from tests.contract import test_backends

SUITES: dict[str, type[BackendContract]] = {
    name: suite
    for name, suite in vars(test_backends).items()
    if isinstance(suite, type) and issubclass(suite, BackendContract) and hasattr(suite, "backend")
}
