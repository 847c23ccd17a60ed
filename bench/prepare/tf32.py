"""Products as tensor cores make them in TF32: both sides rounded to 10 bits of fraction, sums in fp32.

Eight bits of exponent and ten of fraction (NVIDIA, 'A100 Tensor Core GPU Architecture', 2020). Libraries
round to the nearest; what the band rests on is that, and not one library's kernel.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

DROPPED = 13  # of fp32's 23 bits of fraction


@contextmanager
def tf32_products() -> Iterator[None]:
    """While it lasts, torch's matrix products, convolutions and attention round what they multiply."""
    import torch
    from torch.nn import functional as F
    from torch.overrides import TorchFunctionMode

    products = (F.linear, torch.conv2d, torch.matmul, torch.Tensor.matmul, torch.Tensor.__matmul__, torch.bmm)

    class Round(TorchFunctionMode):
        def __torch_function__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            kwargs = kwargs or {}
            if function in products:
                return function(rounded(args[0]), rounded(args[1]), *args[2:], **kwargs)
            if function is F.scaled_dot_product_attention:
                q, k, v = args[:3]
                return _attention(q, k, v, kwargs.get("attn_mask"))
            return function(*args, **kwargs)

    with Round():
        yield


def rounded(tensor: torch.Tensor) -> torch.Tensor:
    """fp32 values to the nearest of ten bits of fraction, ties away from zero."""
    import torch

    if tensor.dtype is not torch.float32:
        return tensor
    bits = tensor.contiguous().view(torch.int32)
    mask = -1 << DROPPED
    return ((bits + (1 << (DROPPED - 1))) & mask).view(torch.float32)


def _attention(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, mask: torch.Tensor | None) -> torch.Tensor:
    """Two products, with the probabilities between them."""
    scores = rounded(q) @ rounded(k).transpose(-2, -1) / q.shape[-1] ** 0.5
    shares = (scores if mask is None else scores + mask).softmax(dim=-1)
    attended: torch.Tensor = rounded(shares) @ rounded(v)
    return attended
