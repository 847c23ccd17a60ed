"""TF32's products on a CPU: how values are rounded, and that products and nothing else round."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from bench.interfaces.workload import Band
from bench.prepare import bands
from bench.prepare.tf32 import rounded, tf32_products
from bench.worker import verify

STEP = 2.0**-10


@pytest.mark.parametrize(
    ("value", "nearest"),
    [
        (1.0, 1.0),
        (1.0 + STEP, 1.0 + STEP),
        (1.0 + STEP * 0.49, 1.0),
        (1.0 + STEP * 0.51, 1.0 + STEP),
        (-1.0 - STEP * 0.51, -1.0 - STEP),
        (2.0 - 2.0**-23, 2.0),
        (float("-inf"), float("-inf")),
        (0.0, 0.0),
    ],
)
def test_ten_bits_of_fraction(value: float, nearest: float) -> None:
    assert rounded(torch.tensor([value], dtype=torch.float32)).item() == nearest


def test_other_types_stay() -> None:
    ids = torch.tensor([5, 7])
    assert rounded(ids) is ids


def tensors(*shapes: tuple[int, ...]) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    return [torch.randn(shape, generator=generator) for shape in shapes]


@pytest.mark.parametrize("name", ["linear", "conv", "matmul", "operator", "attention"])
def test_every_product_rounds(name: str) -> None:
    a, b, image, kernel, q, k, v = tensors(
        (8, 64), (32, 64), (1, 3, 9, 9), (4, 3, 3, 3), *[(1, 2, 5, 16)] * 3
    )
    calls = {
        "linear": lambda: F.linear(a, b),
        "conv": lambda: torch.conv2d(image, kernel),
        "matmul": lambda: torch.matmul(a, b.T),
        "operator": lambda: a @ b.T,
        "attention": lambda: F.scaled_dot_product_attention(q, k, v),
    }
    exact = calls[name]()
    with tf32_products():
        found = calls[name]()
    error = ((found - exact).norm() / exact.norm()).item()
    assert 1e-5 < error < 1e-3


def test_sums_do_not() -> None:
    (a,) = tensors((64,))
    with tf32_products():
        assert torch.equal(a + a, 2 * a)
        assert torch.equal(a.softmax(0), a.softmax(0))


def test_its_band_begins_where_fp32s_ends() -> None:
    fp32 = Band(0.0, 1e-5, "fp32")
    found = bands.reduced_band("tf32", 3e-4, fp32)
    assert (found.low, found.high) == (1e-5, pytest.approx(9e-4))
    assert "both sides of products in tf32" in found.rule
    assert verify.judge(verify.Verification(5e-6, 0.0, 1.0), found).startswith("error 5e-06")
    assert np.isfinite(found.high)
