"""What the converters that quantise share: calibration samples, and whether enough was quantised."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np

from bench.interfaces.errors import UnsupportedCase
from bench.interfaces.precision import ENOUGH
from bench.interfaces.tensors import Array


def samples(path: Path) -> Iterator[dict[str, Array]]:
    """Calibration samples one by one, as batches of one."""
    with np.load(path, allow_pickle=False) as archive:
        arrays = {name: archive[name] for name in archive.files}
    for i in range(len(next(iter(arrays.values())))):
        yield {name: array[i : i + 1] for name, array in arrays.items()}


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
