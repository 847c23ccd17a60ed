"""Model files broken in one place, as a bug of a converter would: opened by their own library, changed, and
saved anew. A module a library, with `load`, `save`, and the same names for what it can break:

| name | what is wrong afterwards |
| --- | --- |
| `first_scale` | the scales of the first product's weight are twice as large; a weight of floats itself is |
| `last_scale` | the same of the last product |
| `zero_point` | the last product's weight: signed integers are taken for unsigned ones |
| `axis` | scales lie along another axis of all weights; square weights of floats are transposed |
| `neighbours` | a channel has the scale of the one before it, in all weights |
| `activation_scale` | the first activation is dequantised with twice the scale that it was quantised with |
| `activation_zero_point` | the first activation is dequantised with a zero point a tenth of its range away |
| `mask` | what is added to the scores of hidden tokens is 0 |
"""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

import numpy as np

from bench.interfaces.tensors import Array, ModelFile

LEAST = float(np.finfo(np.float32).min)  # what models add to the score of a hidden token


def twice(array: Array) -> Array:
    return np.multiply(array, 2, dtype=array.dtype)


def along_the_other_axis(scales: Array) -> Array:
    """Scales [channels, groups] read as if they lay [groups, channels], in either order of the two."""
    return np.ascontiguousarray(scales.T).reshape(scales.shape)


def of_the_neighbour(scales: Array) -> Array:
    """A scale a channel, each its neighbour's: for kernels that know one axis alone."""
    return np.roll(scales, 1)


def library(kind: str) -> ModuleType:
    """The module that opens files of that kind."""
    from tests.helpers.breaking import onnx_files, openvino_files, torch_files

    if kind.startswith("onnx"):
        return onnx_files
    return openvino_files if kind.startswith("openvino") else torch_files


def broken(file: ModelFile, what: str, folder: Path) -> ModelFile:
    """A copy of the file in a folder, broken."""
    files = library(file.format)
    model = files.load(file.path)
    getattr(files, what)(model)
    path = folder / f"broken{file.path.suffix}"
    files.save(model, path)
    return ModelFile(file.format, path, "")
