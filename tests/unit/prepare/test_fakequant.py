"""What a run that rounds as fp8 does, and does not: the bands are as good as this."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import torch
from torch.nn import functional as F

from bench.interfaces.precision import TENSOR, Scheme, scheme
from bench.prepare import fakequant
from bench.prepare.fakequant import in_fp8, quantised, rounded_weight
from tests.helpers.small_models import Kitchen

STATIC, DYNAMIC = (scheme(one) for one in ("fp8:qdq", "fp8-dynamic"))


def run(how: Scheme | None, call: Callable[..., Any], *inputs: torch.Tensor) -> Any:
    """The call as `how` rounds it, calibrated by the inputs themselves."""
    assert how is not None
    with quantised(how, [lambda: call(*inputs)], "nothing", attention=False):
        return call(*inputs)


@pytest.fixture(autouse=True)
def _seeded() -> None:
    torch.manual_seed(0)


def test_both_sides_of_a_product_are_rounded_and_nothing_else() -> None:
    x, w, b = torch.randn(3, 32), torch.randn(16, 32), torch.randn(16)
    both = F.linear(in_fp8(x, x.abs().max()), in_fp8(w, w.abs().max()), b)
    assert torch.equal(run(STATIC, F.linear, x, w, b), both)
    assert torch.equal(run(STATIC, torch.add, x, x), x + x)
    rows, channels = (t.abs().amax(dim=1, keepdim=True) for t in (x, w))
    assert torch.equal(run(DYNAMIC, F.linear, x, w, b), F.linear(in_fp8(x, rows), in_fp8(w, channels), b))


def test_attention_stays_as_it_is() -> None:
    q, k, v = torch.randn(3, 1, 2, 8, 16).unbind()
    assert torch.equal(
        run(STATIC, F.scaled_dot_product_attention, q, k, v), F.scaled_dot_product_attention(q, k, v)
    )


@pytest.mark.parametrize("how", [STATIC, DYNAMIC])
def test_thin_products_stay_as_they_are(how: Scheme) -> None:
    x, w = torch.randn(3, 32), torch.randn(15, 32)
    assert torch.equal(run(how, F.linear, x, w), F.linear(x, w))


def test_convolutions_that_have_kernels_are_rounded_where_ranges_are_calibrated() -> None:
    x, w = torch.randn(1, 16, 9, 9), torch.randn(16, 16, 3, 3)
    rounded = torch.conv2d(in_fp8(x, x.abs().max()), in_fp8(w, w.abs().max()))
    assert torch.equal(run(STATIC, torch.conv2d, x, w), rounded)
    assert torch.equal(run(DYNAMIC, torch.conv2d, x, w), torch.conv2d(x, w))


@pytest.mark.parametrize("positional", [True, False])
def test_convolutions_in_groups_stay_as_they_are(positional: bool) -> None:
    def convolve(x: torch.Tensor, w: torch.Tensor) -> torch.Tensor:
        if positional:
            return torch.conv2d(x, w, None, 1, 0, 1, 2)
        return torch.conv2d(x, w, groups=2)

    x, w = torch.randn(1, 64, 9, 9), torch.randn(32, 32, 3, 3)
    assert torch.equal(run(STATIC, convolve, x, w), convolve(x, w))


def test_what_lies_beyond_the_calibrated_range_becomes_its_end() -> None:
    x, beyond, w = torch.randn(2, 16), torch.full((2, 16), 1e6), torch.eye(16)
    assert STATIC is not None
    with quantised(STATIC, [lambda: F.linear(x, w)], "nothing", attention=False):
        found = F.linear(beyond, w)
    assert torch.allclose(found, x.abs().max().expand_as(found))


def test_a_row_is_scaled_by_its_own_greatest() -> None:
    """A row of a thousandth keeps its digits beside one of a thousand."""
    rows = torch.randn(2, 64) * torch.tensor([[1e3], [1e-3]])
    rounded = in_fp8(rows, rows.abs().amax(dim=-1, keepdim=True))
    errors = (rounded - rows).norm(dim=1) / rows.norm(dim=1)
    assert (errors > 0.01).all()
    assert (errors < 0.04).all()  # three bits of fraction: 2⁻⁴ at most, a part of it in the mean


def test_what_shares_a_scale_is_a_tensor_or_a_channel() -> None:
    weight = torch.tensor([[448.0, 1.0], [2.0**-12, 2.0**-13]])
    assert STATIC is not None
    assert DYNAMIC is not None
    assert STATIC.group == TENSOR
    assert rounded_weight(weight, STATIC)[1].tolist() == [0.0, 0.0], "below E4M3's least"
    assert torch.allclose(rounded_weight(weight, DYNAMIC), weight)


@pytest.mark.parametrize("family", ["cnn", "encoder"])
def test_a_band_of_fp8_rounds_products_alone_in_all_bits(
    kitchen: Kitchen, monkeypatch: pytest.MonkeyPatch, family: str
) -> None:
    """Also where integers would be a bit narrower."""
    asked: list[tuple[Any, ...]] = []

    @contextmanager
    def watched(how: Scheme, calibration: Any, besides: str, attention: bool) -> Iterator[None]:
        asked.append((how, besides, attention))
        with quantised(how, calibration, besides, attention):  # type: ignore[arg-type]
            yield

    kitchen.made(family)
    monkeypatch.setattr(fakequant, "quantised", watched)
    monkeypatch.setattr("tests.helpers.small_models.products_saturate", lambda: True)
    kitchen.convert(family, "band", "fp8:qdq")
    kitchen.convert(family, "band", "int8:qdq")
    assert asked[0] == (STATIC, "nothing", False)
    assert asked[1][0].bits == 7
    assert asked[1][1:] == (("sums", True) if family == "cnn" else ("products", True))
