"""Arrays that several backends make: inputs of an untimed run, and bf16 in 16-bit words."""

from __future__ import annotations

import numpy as np

from bench.interfaces.tensors import Array, IOSpec


def bf16_bits(array: Array) -> Array:
    """float32 → uint16 of the same shape, the upper half of each number's bits: rounded to the nearest, and
    to even where two are as near; what is no number stays none."""
    bits = np.ascontiguousarray(array, np.float32).view(np.uint32)
    rounded = (bits + 0x7FFF + ((bits >> 16) & 1)) >> 16
    return np.where(np.isnan(array), 0x7FC0, rounded.reshape(array.shape)).astype(np.uint16)


def untimed_inputs(io: IOSpec) -> dict[str, Array]:
    """Inputs for an untimed run that only shows what executes: ones (a valid token, an open mask)."""
    return {tensor.name: np.ones(tensor.shape, tensor.dtype) for tensor in io.inputs}
