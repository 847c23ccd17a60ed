"""A module that rounds as a quantised one does, in floats: what the bands of integer precisions rest on.

Weights are rounded symmetrically, a scale for each output channel (or group of a channel's weights);
activations to 8 bits between the least and the greatest value, zero included: by calibration (`static`) or of
the tensor itself (`dynamic`). Rounded are the inputs of matrix products and convolutions; sums and
normalisations are not, though a runtime may. In fp8 both sides are scaled so that the greatest is E4M3's, a
range found at each inference is that of a row, and convolutions then stay as they are; so does always what no
kernel takes in fp8.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Literal

from bench.interfaces.conversion import fp8_has_kernels
from bench.interfaces.precision import FP8_MOST, TENSOR, Scheme

if TYPE_CHECKING:
    import torch

Range = tuple[float, float]
Besides = Literal["sums", "products", "nothing"]
Rounding = Callable[["torch.Tensor"], "torch.Tensor"]


@contextmanager
def quantised(
    scheme: Scheme, calibration: Iterable[Callable[[], Any]], besides: Besides, attention: bool
) -> Iterator[None]:
    """While it lasts, torch's products round as `scheme` says.

    Args:
        calibration: calls that run the module on a calibration sample each; asked only in a static scheme.
            A later run must make the same products in the same order.
        besides: what a static scheme rounds besides what products take: what sums take, as quantisers do in
            networks of convolutions; what products give; or nothing.
        attention: whether it rounds both sides of attention's products.
    """
    import torch
    from torch.nn import functional as F
    from torch.overrides import TorchFunctionMode

    additions = (torch.add, torch.Tensor.add, torch.Tensor.add_, torch.Tensor.__add__, torch.Tensor.__iadd__)
    ranges: list[Range] = []
    place = -1  # of the product within a run of the module; -1 outside of one
    weights: dict[int, torch.Tensor] = {}

    def weight(tensor: torch.Tensor) -> torch.Tensor:
        if id(tensor) not in weights:
            weights[id(tensor)] = rounded_weight(tensor, scheme)
        return weights[id(tensor)]

    static = scheme.activations == "static"
    rows = scheme.floats and scheme.activations == "dynamic"
    products = (F.linear,) if rows else (F.linear, torch.conv2d)

    def rounding(function: Any, args: Any, kwargs: Any, activation: Rounding, weight: Rounding) -> Any:
        if static and attention and function is F.scaled_dot_product_attention:
            return _attention(args, kwargs, activation)
        if static and besides == "sums" and function in additions:
            return function(*(activation(arg) for arg in args), **kwargs)
        if function in products and not (scheme.floats and _without_kernels(function, args, kwargs)):
            product = function(activation(args[0]), weight(args[1]), *args[2:], **kwargs)
            return activation(product) if static and besides == "products" else product
        return function(*args, **kwargs)

    def observed(tensor: torch.Tensor) -> torch.Tensor:
        nonlocal place
        low, high = _range(tensor)
        if place == len(ranges):
            ranges.append((low, high))
        else:
            ranges[place] = (min(low, ranges[place][0]), max(high, ranges[place][1]))
        place += 1
        return tensor

    class Observe(TorchFunctionMode):
        def __torch_function__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            return rounding(function, args, kwargs or {}, observed, lambda tensor: tensor)

    def activation(tensor: torch.Tensor) -> torch.Tensor:
        nonlocal place
        if scheme.activations == "none":
            return tensor
        if rows:
            return in_fp8(tensor, tensor.abs().amax(dim=-1, keepdim=True))
        if scheme.activations == "dynamic":
            return rounded_activation(tensor, _range(tensor))
        found = ranges[place % len(ranges)]
        place += 1
        if scheme.floats:
            return in_fp8(tensor, torch.tensor(max(-found[0], found[1])))
        return rounded_activation(tensor, found)

    class Round(TorchFunctionMode):
        def __torch_function__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            return rounding(function, args, kwargs or {}, activation, weight)

    if static:
        with Observe():
            for call in calibration:
                place = 0
                call()
    place = 0
    with Round():
        yield


def _without_kernels(function: Any, args: Any, kwargs: Any) -> bool:
    """Whether TensorRT would leave this product in fp16."""
    import torch

    groups = 1
    if function is torch.conv2d:
        groups = args[6] if len(args) > 6 else kwargs.get("groups", 1)
    return not fp8_has_kernels(args[1].shape, groups)


def _attention(args: Any, kwargs: Any, activation: Rounding) -> torch.Tensor:
    """Two products, with the probabilities between them."""
    q, k, v = args[:3]
    mask = kwargs.get("attn_mask")
    scores = activation(q) @ activation(k).transpose(-2, -1) / q.shape[-1] ** 0.5
    shares = (scores if mask is None else scores + mask).softmax(dim=-1)
    attended: torch.Tensor = activation(shares) @ activation(v)
    return attended


def rounded_weight(tensor: torch.Tensor, scheme: Scheme) -> torch.Tensor:
    """[out, …] in `scheme.bits`, symmetric. Convolutions stay as they are where groups are asked for."""
    if scheme.floats:
        channels = tensor.flatten(1).abs().amax(dim=1).reshape(-1, *[1] * (tensor.dim() - 1))
        return in_fp8(tensor, channels.amax() if scheme.group == TENSOR else channels)
    most = 2 ** (scheme.bits - 1) - 1
    if scheme.group and tensor.dim() != 2:
        return tensor
    rows = tensor.reshape(-1, scheme.group) if scheme.group else tensor.flatten(1)
    scale = rows.abs().amax(dim=1, keepdim=True).clamp(min=1e-12) / most
    rounded: torch.Tensor = (rows / scale).round().clamp(-most - 1, most) * scale
    return rounded.reshape(tensor.shape)


def rounded_activation(tensor: torch.Tensor, found: Range) -> torch.Tensor:
    """In 8 bits between two values."""
    low, high = found
    scale = max(high - low, 1e-12) / 255
    zero = round(-low / scale)
    return ((tensor / scale).round() + zero).clamp(0, 255).sub(zero).mul(scale)


def in_fp8(tensor: torch.Tensor, most: torch.Tensor) -> torch.Tensor:
    """In E4M3, scaled so that `most`, which broadcasts to it, becomes its greatest number."""
    import torch

    scale = most.clamp(min=1e-12) / FP8_MOST
    scaled = (tensor / scale).clamp(-FP8_MOST, FP8_MOST)
    return scaled.to(torch.float8_e4m3fn).to(tensor.dtype) * scale


def _range(tensor: torch.Tensor) -> Range:
    low, high = tensor.aminmax()
    return min(0.0, float(low)), max(0.0, float(high))
