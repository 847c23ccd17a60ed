"""The contract's suites by name."""

from __future__ import annotations

from bench.contract.suite import BackendContract
from tests.contract import test_backends, test_compilers, test_gpus

MODULES = (test_backends, test_compilers, test_gpus)  # each stands alone: an environment runs it as a file
SUITES: dict[str, type[BackendContract]] = {
    name: suite
    for module in MODULES
    for name, suite in vars(module).items()
    if isinstance(suite, type) and issubclass(suite, BackendContract) and hasattr(suite, "backend")
}
