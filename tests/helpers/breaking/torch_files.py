"""Graphs of torch: of floats, and with PT2E's quantise and dequantise operations."""

from __future__ import annotations

import operator
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import torch.ao.quantization.fx._decomposed  # its operations, which quantised graphs hold

from backends.torch import graph
from tests.helpers.breaking import LEAST

Change = Callable[[torch.Tensor], torch.Tensor]


def load(path: Path) -> Any:
    return graph.load(path, "cpu")


def save(module: Any, path: Path) -> None:
    graph.write(module, path)


def weights(module: Any) -> list[Any]:
    """What the products take: a parameter, or the node that dequantises one; in the products' order."""
    products = (torch.ops.aten.linear.default, torch.ops.aten.conv2d.default)
    return [node.args[1] for node in module.graph.nodes if node.target in products]


def first_scale(module: Any) -> None:
    _change(module, _scale(weights(module)[0]), lambda values: values * 2)


def last_scale(module: Any) -> None:
    _change(module, _scale(weights(module)[-1]), lambda values: values * 2)


def zero_point(module: Any) -> None:
    _, _, zeros, *_ = weights(module)[-1].args
    _change(module, zeros, lambda values: values + 128)


def axis(module: Any) -> None:
    broken = 0
    for node in weights(module):
        tensor = _tensor(module, node.args[0] if _dequantises(node) else node)
        if tensor.shape[0] == tensor.shape[1]:
            if _dequantises(node):
                integers, scales, zeros, along, *rest = node.args
                node.args = (integers, scales, zeros, 1 - along, *rest)
            else:
                _change(module, node, lambda values: values.transpose(0, 1))
            broken += 1
    assert broken


def activation_scale(module: Any) -> None:
    for node in _dequantised(module):
        integers, scale, *rest = node.args
        node.args = (integers, 2 * scale, *rest)


def activation_zero_point(module: Any) -> None:
    for node in _dequantised(module):
        integers, scale, zero, least, most, *rest = node.args
        node.args = (integers, scale, zero + (most - least) // 10, least, most, *rest)


def _dequantised(module: Any) -> list[Any]:
    """The nodes that turn the first activation back into floats: one for each that takes it."""
    nodes = [node for node in module.graph.nodes if "dequantize_per_tensor" in str(node.target)]
    return [node for node in nodes if node.args[0] is nodes[0].args[0]]


def mask(module: Any) -> None:
    broken = 0
    for node in module.graph.nodes:
        hides = [isinstance(value, float) and value == LEAST for value in node.args]
        node.args = tuple(0.0 if hide else value for hide, value in zip(hides, node.args, strict=True))
        broken += any(hides)
    assert broken


def _dequantises(node: Any) -> bool:
    return "dequantize_per_channel" in str(node.target)


def _scale(node: Any) -> Any:
    return node.args[1] if _dequantises(node) else node


def _tensor(module: Any, node: Any) -> torch.Tensor:
    """The parameter or buffer that a node reads."""
    tensor: torch.Tensor = operator.attrgetter(node.target)(module)
    return tensor


def _change(module: Any, node: Any, change: Change) -> None:
    tensor = _tensor(module, node)
    with torch.no_grad():
        changed = change(tensor.clone())
        assert not torch.equal(changed, tensor)
        tensor.copy_(changed)
