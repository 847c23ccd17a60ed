"""The share of a device's limits: which one binds, and what is not known."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest

from bench.compare.results import Row
from bench.compare.roofline import Share, share
from bench.interfaces.estimate import Estimate
from tests.helpers.fake_results import Ask, judged, make

LIMITS = {
    "copy_bytes_per_s": 4e12,
    "fp32_flops_per_s": 5e13,
    "bf16_flops_per_s": 8e14,
    "int8_flops_per_s": 1.6e15,
}
MACHINE: dict[str, Any] = {"gpus": [{"name": "NVIDIA H200", "ceilings": LIMITS}, {"name": "Tesla T4"}]}


def row(precision: str = "fp32", device: str = "cuda:0", took: float | None = 1e-3, **cost: float) -> Row:
    (one,) = judged(make("resnet50", [Ask("torch", 0.002, precision=precision, device=device)])).rows
    record = replace(one.record, cost=cost)
    return replace(one, record=record, device_latency=Estimate(took, took, took, 3))


def test_the_matrix_rate_binds_where_work_is_much() -> None:
    assert share(MACHINE, row(flops=5e9, bytes=1e8)) == Share(pytest.approx(0.1), "fp32 matrix rate")


def test_the_bandwidth_binds_where_it_is_little() -> None:
    assert share(MACHINE, row("bf16", flops=5e9, bytes=1e9)) == Share(pytest.approx(0.25), "memory bandwidth")


def test_each_precision_has_its_own_rate() -> None:
    assert share(MACHINE, row("int8:qdq", flops=1.6e11, bytes=1)) == Share(
        pytest.approx(0.1), "int8 matrix rate"
    )
    assert share(MACHINE, row("fp16", flops=1e12, bytes=4e8)) == Share(pytest.approx(0.1), "memory bandwidth")


@pytest.mark.parametrize(
    ("machine", "made"),
    [
        ({}, row(flops=1e9, bytes=1e8)),
        ({"gpus": "none"}, row(flops=1e9, bytes=1e8)),
        (MACHINE, row(device="cuda:1", flops=1e9, bytes=1e8)),
        (MACHINE, row(device="cuda:2", flops=1e9, bytes=1e8)),
        (MACHINE, row(device="cuda:0:1", flops=1e9, bytes=1e8)),
        (MACHINE, row(device="cpu", flops=1e9, bytes=1e8)),
        (MACHINE, row()),
        (MACHINE, row(took=None, flops=1e9, bytes=1e8)),
        (
            {"gpus": [{"ceilings": {"copy_bytes_per_s": math.inf, "fp32_flops_per_s": "1"}}]},
            row(flops=1.0, bytes=1.0),
        ),
    ],
)
def test_what_is_not_known_is_no_share(machine: dict[str, Any], made: Row) -> None:
    assert share(machine, made) is None
