"""A plugin of pytest for `make mutants`: each test makes anew what it uses.

mutmut runs against a mutant only the tests that it saw run the mutated function. What one test leaves to
the next, in a cache or in a fixture of a module, would hide the next from it.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import pytest

_fixture = pytest.fixture


def _of_each_test(*function: Callable[..., Any], scope: str = "function", **options: Any) -> Any:
    return _fixture(*function, **options)


pytest.fixture = _of_each_test


def pytest_runtest_setup() -> None:
    modules = [module for name, module in sys.modules.items() if name.split(".")[0] in {"bench", "tests"}]
    for value in [value for module in modules for value in vars(module).values()]:
        if hasattr(value, "cache_clear"):
            value.cache_clear()
