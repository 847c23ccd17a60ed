"""Latency of verified cases through pytest-benchmark; docs/pytest.md says what the figures are good for.

pytest benchmarks/ --bakeoff-workload resnet50 --bakeoff-threads 1 --benchmark-json latency.json
"""

from __future__ import annotations

from typing import Any


def test_latency(benchmark: Any, bakeoff_case: Any) -> None:
    outputs = benchmark(bakeoff_case)
    assert outputs
