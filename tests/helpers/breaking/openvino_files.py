"""OpenVINO's own files: weights as integers that are converted and multiplied by their scales, activations
as FakeQuantize operations."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import openvino as ov
from openvino import opset13 as ops

from bench.interfaces.tensors import Array
from tests.helpers.breaking import LEAST, along_the_other_axis, twice

THROUGH = ("Convert", "Reshape", "Transpose")
LOW, HIGH = 3, 4  # places of a FakeQuantize's output range
HALF = {"i8": 128, "i4": 8}


def load(path: Path) -> Any:
    return ov.Core().read_model(str(path))


def save(model: Any, path: Path) -> None:
    ov.save_model(model, str(path), compress_to_fp16=False)


def weights(model: Any) -> list[Any]:
    """The operations that multiply integers, converted, by their scales; in the order of the products."""
    found = []
    for operation in model.get_ordered_ops():
        if operation.get_type_name() in ("MatMul", "Convolution"):
            node = operation.input_value(1).get_node()
            while node.get_type_name() in THROUGH:
                node = node.input_value(0).get_node()
            if node.get_type_name() == "Multiply" and _integers(node):
                found.append(node)
    return found


def _integers(multiply: Any) -> str:
    """`i8`, `i4`; '' where it is no weight of integers that are multiplied."""
    convert = multiply.input_value(0).get_node()
    if convert.get_type_name() != "Convert":
        return ""
    constant = convert.input_value(0)
    name = constant.get_element_type().get_type_name()
    return name if constant.get_node().get_type_name() == "Constant" and name in HALF else ""


def first_scale(model: Any) -> None:
    _replace(weights(model)[0], 1, twice)


def last_scale(model: Any) -> None:
    _replace(weights(model)[-1], 1, twice)


def zero_point(model: Any) -> None:
    multiply = weights(model)[-1]
    signed = multiply.input_value(0)
    half = ops.constant(np.float32(HALF[_integers(multiply)]), dtype=signed.get_element_type())
    unsigned = ops.subtract(signed, half)
    multiply.input(0).replace_source_output(unsigned.output(0))


def axis(model: Any) -> None:
    broken = 0
    for multiply in weights(model):
        shape = list(multiply.get_output_shape(0))
        if len(shape) == 3:  # groups: its scales are [groups, 1, channels] or [channels, groups, 1]
            _replace(multiply, 1, lambda s: along_the_other_axis(s.squeeze()).reshape(s.shape))
        elif shape[0] == shape[1]:
            _replace(multiply, 1, lambda s: np.ascontiguousarray(s.swapaxes(0, 1)))
        else:
            continue
        broken += 1
    assert broken


def activation_scale(model: Any) -> None:
    node = _activation(model)
    _replace(node, LOW, twice)
    _replace(node, HIGH, twice)


def activation_zero_point(model: Any) -> None:
    """What comes out of it is shifted against what goes in."""
    node = _activation(model)
    low, high = (node.input_value(place).get_node().data.copy() for place in (LOW, HIGH))
    for place in (LOW, HIGH):
        _replace(node, place, lambda end: end + (high - low) / np.float32(10))


def _activation(model: Any) -> Any:
    """The operation that quantises the first activation."""
    nodes = (node for node in model.get_ordered_ops() if node.get_type_name() == "FakeQuantize")
    return next(node for node in nodes if node.input_value(0).get_node().get_type_name() != "Constant")


def mask(model: Any) -> None:
    broken = 0
    for node in model.get_ordered_ops():
        if node.get_type_name() == "Constant" and node.data.size == 1 and node.data.item() == LEAST:
            nothing = ops.constant(np.zeros_like(node.data))
            for target in list(node.output(0).get_target_inputs()):
                target.replace_source_output(nothing.output(0))
            broken += 1
    assert broken


def _replace(node: Any, place: int, change: Callable[[Array], Array]) -> None:
    """Gives an operation a changed copy of a constant that it takes."""
    old = node.input_value(place).get_node()
    array = old.data.copy()
    changed = change(array)
    assert changed.dtype == array.dtype
    assert not np.array_equal(changed, array)
    new = ops.constant(np.ascontiguousarray(changed), dtype=old.get_element_type())
    node.input(place).replace_source_output(new.output(0))
