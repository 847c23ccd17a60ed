"""What the converters that quantise share: calibration samples, and whether enough was quantised."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from bench.interfaces.errors import UnsupportedCase
from bench.interfaces.precision import ENOUGH
from bench.interfaces.tensors import Array

LEAST_SIDE, LARGEST_WINDOW = 16, 32


def samples(path: Path) -> Iterator[dict[str, Array]]:
    """Calibration samples one by one, as batches of one."""
    with np.load(path, allow_pickle=False) as archive:
        arrays = {name: archive[name] for name in archive.files}
    for i in range(len(next(iter(arrays.values())))):
        yield {name: array[i : i + 1] for name, array in arrays.items()}


def fp8_has_kernels(shape: Sequence[int], groups: int) -> bool:
    """Whether TensorRT has fast kernels in fp8 for a product with weights of that shape ([out, in, …] or
    [in, out]): none for convolutions in groups or with windows of more than 32 (TensorRT release notes,
    'Limitations'), nor for sides of fewer than 16, which NVIDIA Model Optimizer leaves alone."""
    return groups == 1 and min(shape[:2]) >= LEAST_SIDE and math.prod(shape[2:]) <= LARGEST_WINDOW


def require_quantised(what: str, wanted: str, weights: Mapping[str, int]) -> dict[str, float]:
    """The share of weights by type. Raises UnsupportedCase where too few were quantised.

    Args:
        what: the converter, for the message.
        wanted: the type that its precision promises.
        weights: type → elements of the weights of matrix products and convolutions.
    """
    total = sum(weights.values()) or 1
    shares = {kind: count / total for kind, count in sorted(weights.items())}
    share = shares.get(wanted, 0.0)
    if share < ENOUGH:
        raise UnsupportedCase(
            f"{what} puts {share:.0%} of this model's weights in {wanted}: "
            "its rows would be those of another precision",
            hint="leave this precision out for this workload",
        )
    return shares
