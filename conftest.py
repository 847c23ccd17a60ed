"""bakeoff's own door to pytest, open for `pytest benchmarks/`; see docs/pytest.md."""

from __future__ import annotations

import pytest

pytest.register_assert_rewrite("bench.contract.suite")
pytest_plugins = ["bench.pytest_plugin"]
