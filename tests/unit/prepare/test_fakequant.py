"""What a run that rounds as fp8 does, and does not: the bands are as good as this."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial
from typing import Any

import pytest
import torch
from torch.nn import functional as F

from backends.formats import onnx_fp8
from backends.torch import fp8
from bench.interfaces.errors import PrepareError
from bench.interfaces.precision import TENSOR, Scheme, scheme
from bench.interfaces.recipe import Recipe
from bench.prepare import fakequant
from bench.prepare.fakequant import in_fp8, quantised, rounded_weight
from tests.helpers.small_models import Kitchen

STATIC, DYNAMIC = (scheme(one) for one in ("fp8:qdq", "fp8-dynamic"))


def run(how: Scheme | None, call: Callable[..., Any], *inputs: torch.Tensor) -> Any:
    """The call as `how` rounds it, by the recipe of what is made in it; the inputs themselves calibrate."""
    assert how is not None
    recipe = onnx_fp8.RECIPE if how is STATIC else fp8.RECIPE
    with quantised(how, recipe, [lambda: call(*inputs)]):
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
    with quantised(STATIC, onnx_fp8.RECIPE, [lambda: F.linear(x, w)]):
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


INT8 = scheme("int8:qdq")


def rounded(recipe: Recipe, call: Callable[..., torch.Tensor], *inputs: torch.Tensor) -> torch.Tensor:
    """The call in static int8 by a recipe, calibrated by the inputs themselves."""
    assert INT8 is not None
    with quantised(INT8, recipe, [lambda: call(*inputs)]):
        return call(*inputs)


@pytest.mark.parametrize(
    ("recipe", "call", "shapes"),
    [
        (Recipe(besides="sums"), torch.add, [(3, 8), (3, 8)]),
        (Recipe(besides="outputs"), F.linear, [(3, 32), (16, 32)]),
        (Recipe(attention=True), F.scaled_dot_product_attention, [(1, 2, 8, 16)] * 3),
        (Recipe(attention=True), torch.matmul, [(1, 2, 8, 16), (1, 2, 16, 8)]),
        (Recipe(attention=True), lambda q, k: q @ k, [(1, 2, 8, 16), (1, 2, 16, 8)]),
        (Recipe(attention=True), lambda q, k: q.bmm(k), [(2, 8, 16), (2, 16, 8)]),
        (Recipe(symmetric=True), F.linear, [(3, 32), (16, 32)]),
        (Recipe(convolutions=False), torch.conv2d, [(1, 16, 9, 9), (16, 16, 3, 3)]),
        (Recipe(groups=False), partial(torch.conv2d, groups=2), [(1, 16, 9, 9), (16, 8, 3, 3)]),
        (Recipe(most_window=8), torch.conv2d, [(1, 16, 9, 9), (16, 16, 3, 3)]),
        (Recipe(least_side=17), F.linear, [(3, 32), (16, 32)]),
        (Recipe(multiple=3), F.linear, [(3, 32), (16, 32)]),
    ],
)
def test_each_field_changes_what_is_rounded(
    recipe: Recipe, call: Callable[..., torch.Tensor], shapes: list[tuple[int, ...]]
) -> None:
    inputs = [torch.rand(shape) for shape in shapes]
    assert not torch.equal(rounded(recipe, call, *inputs), rounded(Recipe(), call, *inputs))


def test_what_a_recipe_leaves_alone_is_untouched() -> None:
    parameter = torch.nn.Parameter(torch.randn(8, 4))
    activation = torch.randn(2, 8)
    assert torch.equal(
        rounded(Recipe(attention=True), torch.matmul, activation, parameter), activation @ parameter
    ), "no product of two activations"
    x, w = torch.randn(3, 32), torch.randn(16, 32)
    assert torch.equal(rounded(Recipe(least_side=17), F.linear, x, w), F.linear(x, w))
    assert torch.equal(rounded(Recipe(), torch.add, x, x), x + x)
    q, k, v = torch.randn(3, 1, 2, 8, 16).unbind()
    attended = F.scaled_dot_product_attention(q, k, v)
    assert torch.equal(rounded(Recipe(), F.scaled_dot_product_attention, q, k, v), attended)


def test_sums_with_numbers_are_rounded_where_they_have_tensors() -> None:
    x = torch.randn(3, 8)
    found = rounded(Recipe(besides="sums"), lambda x: x + 1.5, x)
    assert torch.equal(found, fakequant.rounded_activation(x, fakequant._range(x)) + 1.5)


def test_attention_of_an_unknown_kind_has_no_band() -> None:
    q = torch.randn(1, 2, 8, 16)
    with pytest.raises(PrepareError, match="attention takes is_causal"):
        rounded(Recipe(attention=True), partial(F.scaled_dot_product_attention, is_causal=True), q, q, q)


def calibrated(calibration: Iterable[Callable[[], Any]]) -> AbstractContextManager[None]:
    assert INT8 is not None
    return quantised(INT8, Recipe(), calibration)


def test_runs_may_be_many_and_each_meets_its_own_ranges() -> None:
    """Chunks of a batch: the second product's range is not the first's, in any run."""
    small, large = torch.full((2, 16), 1e-3), torch.full((2, 16), 1e3)
    w = torch.eye(16)

    def both() -> tuple[torch.Tensor, torch.Tensor]:
        return F.linear(small, w), F.linear(large, w)

    with calibrated([both, both]):
        for _ in range(3):
            assert all(torch.allclose(x, y, rtol=0.02) for x, y in zip(both(), (small, large), strict=True))


@pytest.mark.parametrize("calibrate", [True, False])
@pytest.mark.parametrize(
    ("later", "says"),
    [
        ([], None),
        ([(16, 16)], "ended after 1 of the 2 tensors"),
        ([(8, 16), (16, 16)], r"a tensor of weights \(8, 16\) where calibration found weights \(16, 16\)"),
        (
            [(16, 16), (8, 16), (8, 16)],
            r"a tensor of weights \(8, 16\) where calibration found (none|weights)",
        ),
    ],
)
def test_a_run_that_comes_to_other_tensors_is_told(
    later: list[tuple[int, int]], says: str | None, calibrate: bool
) -> None:
    def products(shapes: list[tuple[int, int]]) -> None:
        for shape in shapes:
            F.linear(torch.randn(2, 16), torch.ones(shape))

    usual, other = (partial(products, shapes) for shapes in ([(16, 16), (8, 16)], later))
    calls = [usual, other, usual] if calibrate and later else [usual]
    raised = pytest.raises(PrepareError, match=says) if says else nullcontext()
    with raised, calibrated(calls):
        other()


def test_a_weight_that_is_gone_lends_its_place_to_none() -> None:
    x = torch.eye(16)
    assert DYNAMIC is not None
    with quantised(DYNAMIC, Recipe(), ()):
        for scale in (1.0, 2.0, 3.0, 4.0):
            assert torch.allclose(F.linear(x, torch.eye(16) * scale), x * scale, rtol=0.05)


@pytest.mark.parametrize("family", ["cnn", "encoder"])
@pytest.mark.parametrize("precision", ["int8:qdq", "fp8:qdq"])
def test_a_band_takes_its_recipe_and_all_bits_of_floats(
    kitchen: Kitchen, monkeypatch: pytest.MonkeyPatch, family: str, precision: str
) -> None:
    """Also where integers would be a bit narrower."""
    asked: list[tuple[Scheme, Recipe]] = []

    @contextmanager
    def watched(how: Scheme, recipe: Recipe, calibration: Any) -> Iterator[None]:
        asked.append((how, recipe))
        with quantised(how, recipe, calibration):
            yield

    kitchen.made(family)
    monkeypatch.setattr(fakequant, "quantised", watched)
    monkeypatch.setattr("tests.helpers.small_models.products_saturate", lambda: True)
    recipe = Recipe(least_side=2)
    kitchen.convert(family, "band", precision, recipe)
    assert asked == [(scheme(precision) if precision == "fp8:qdq" else Scheme(7, 0, "static"), recipe)]
