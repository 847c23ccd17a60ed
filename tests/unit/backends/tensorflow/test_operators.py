"""How a depthwise convolution is told its padding: never in figures, which TensorFlow loses for oneDNN."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from backends.tensorflow.formats.operators import _conv


@pytest.mark.parametrize(
    ("strides", "pads", "dilations", "padded", "word"),
    [
        ((1, 1), (1, 1, 1, 1), (1, 1), False, "SAME"),
        ((1, 1), (2, 2, 2, 2), (2, 2), False, "SAME"),
        ((1, 1), (0, 0, 0, 0), (1, 1), False, "VALID"),
        ((2, 2), (1, 1, 1, 1), (1, 1), True, "VALID"),
        ((1, 1), (0, 0, 2, 2), (1, 1), True, "VALID"),
    ],
)
def test_depthwise_padding(
    strides: tuple[int, int], pads: tuple[int, ...], dilations: tuple[int, int], padded: bool, word: str
) -> None:
    asked: list[Any] = []

    def depthwise(image: Any, weights: Any, strides: Any, padding: Any, dilations: Any) -> Any:
        asked.append((image.shape, padding))
        return image

    tf = SimpleNamespace(pad=np.pad, nn=SimpleNamespace(depthwise_conv2d=depthwise))
    attributes = {"strides": strides, "pads": pads, "dilations": dilations, "group": 4}
    _conv(tf, [np.zeros((1, 8, 8, 4)), np.zeros((3, 3, 4, 1))], attributes)
    extent = (8 + pads[0] + pads[2]) if padded else 8
    assert asked == [((1, extent, extent, 4), word)]
