"""ONNX files: of floats, statically (QDQ) and dynamically quantised ones, and those with MatMulNBits."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import numpy_helper

from bench.interfaces.tensors import Array
from tests.helpers.breaking import LEAST, along_the_other_axis, of_the_neighbour, twice

HIDES = (LEAST, float(np.finfo(np.float16).min))


@dataclass(frozen=True)
class Weight:
    """A product's weight: the node that takes its zero point (None for floats), the node and the place that
    take its scales (of floats the weight itself), and its shape as it is stored."""

    owner: Any
    scale: tuple[Any, int]
    shape: tuple[int, ...]

    @property
    def integers(self) -> str:
        """The operator that takes them, '' for floats."""
        return str(self.owner.op_type) if self.owner else ""


def load(path: Path) -> Any:
    return onnx.load(path)


def save(model: Any, path: Path) -> None:
    onnx.save(model, path)


def weights(model: Any) -> list[Weight]:
    """In the order of the products."""
    shapes = {tensor.name: tuple(tensor.dims) for tensor in model.graph.initializer}
    makers = {name: node for node in model.graph.node for name in node.output}
    users = {name: (node, place) for node in model.graph.node for place, name in enumerate(node.input)}
    found = []
    for node in model.graph.node:
        name = node.input[1] if len(node.input) > 1 else ""
        if node.op_type == "MatMulNBits":
            found.append(Weight(node, (node, 2), shapes[name]))
        elif node.op_type in ("MatMulInteger", "ConvInteger"):
            scale = f"{name.removesuffix('_quantized')}_scale"
            found.append(Weight(node, users[scale], shapes[name]))
        elif node.op_type in ("MatMul", "Gemm", "Conv"):
            maker = makers.get(name)
            if maker and maker.op_type == "DequantizeLinear" and maker.input[0] in shapes:
                found.append(Weight(maker, (maker, 1), shapes[maker.input[0]]))
            elif name in shapes:
                found.append(Weight(None, (node, 1), shapes[name]))
    return found


def first_scale(model: Any) -> None:
    _replace(model, *weights(model)[0].scale, twice)


def last_scale(model: Any) -> None:
    _replace(model, *weights(model)[-1].scale, twice)


def zero_point(model: Any) -> None:
    weight = weights(model)[-1]
    if weight.integers == "MatMulNBits":
        _explicit_zeros(model, weight)
    else:
        place = 2 if weight.integers == "DequantizeLinear" else 3
        _replace(model, weight.owner, place, lambda zeros: np.full_like(zeros, 127))


def _explicit_zeros(model: Any, weight: Weight) -> None:
    """MatMulNBits has unsigned integers; without zero points half of their range is subtracted."""
    bits = next(a.i for a in weight.owner.attribute if a.name == "bits")
    channels, groups, _ = weight.shape
    zeros = np.zeros((channels, -(-groups * bits // 8)), np.uint8)
    model.graph.initializer.append(numpy_helper.from_array(zeros, "zeros.broken"))
    weight.owner.input.append("zeros.broken")


def axis(model: Any) -> None:
    broken = 0
    for weight in weights(model):
        square = weight.shape[0] == weight.shape[1]
        if weight.integers == "DequantizeLinear" and square:
            (attribute,) = (a for a in weight.owner.attribute if a.name == "axis")
            attribute.i = 1 - attribute.i
        elif weight.integers == "MatMulNBits":
            _replace(model, *weight.scale, along_the_other_axis)
        elif not weight.integers and square:
            _replace(model, *weight.scale, lambda floats: np.ascontiguousarray(floats.swapaxes(0, 1)))
        else:
            continue
        broken += 1
    assert broken


def neighbours(model: Any) -> None:
    """Channels have each other's scales."""
    for weight in weights(model):
        _replace(model, *weight.scale, of_the_neighbour)


def activation_scale(model: Any) -> None:
    _replace(model, _dequantised(model), 1, twice)


def activation_zero_point(model: Any) -> None:
    def moved(point: Array) -> Array:
        return np.array(point + 25 if point < 128 else point - 25, point.dtype)

    _replace(model, _dequantised(model), 2, moved)


def _dequantised(model: Any) -> Any:
    """The node that turns the first activation back into floats."""
    makers = {name: node.op_type for node in model.graph.node for name in node.output}
    nodes = (node for node in model.graph.node if node.op_type == "DequantizeLinear")
    return next(node for node in nodes if makers.get(node.input[0]) == "QuantizeLinear")


def mask(model: Any) -> None:
    broken = 0
    for tensor in model.graph.initializer:
        array = numpy_helper.to_array(tensor)
        if array.size == 1 and array.item() in HIDES:
            tensor.CopyFrom(numpy_helper.from_array(np.zeros_like(array), tensor.name))
            broken += 1
    assert broken


def _replace(model: Any, node: Any, place: int, change: Callable[[Array], Array]) -> None:
    """Gives a node a changed copy of a constant that it takes; other nodes keep the old one."""
    (old,) = (tensor for tensor in model.graph.initializer if tensor.name == node.input[place])
    array = numpy_helper.to_array(old)
    changed = change(array)
    assert not np.array_equal(changed, array)
    new = numpy_helper.from_array(changed, f"{old.name}.broken")
    model.graph.initializer.append(new)
    node.input[place] = new.name
