"""The contract's suites by name."""

from __future__ import annotations

from backends.contract import BackendContract
from tests.contract import test_backends, test_gpus

SUITES: dict[str, type[BackendContract]] = {
    name: suite
    for module in (test_backends, test_gpus)
    for name, suite in vars(module).items()
    if isinstance(suite, type) and issubclass(suite, BackendContract) and hasattr(suite, "backend")
}
