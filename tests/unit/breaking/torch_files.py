"""Exported programs: of floats, and with PT2E's quantise and dequantise operations."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import torch.ao.quantization.fx._decomposed  # its operations, which quantised programs hold

from tests.unit.breaking import LEAST

Change = Callable[[torch.Tensor], torch.Tensor]


def load(path: Path) -> Any:
    return torch.export.load(path)


def save(program: Any, path: Path) -> None:
    program.graph_module.recompile()
    torch.export.save(program, path)


def weights(program: Any) -> list[Any]:
    """What the products take: a parameter, or the node that dequantises one; in the products' order."""
    products = (torch.ops.aten.linear.default, torch.ops.aten.conv2d.default)
    return [node.args[1] for node in program.graph.nodes if node.target in products]


def first_scale(program: Any) -> None:
    _change(program, _scale(weights(program)[0]), lambda values: values * 2)


def last_scale(program: Any) -> None:
    _change(program, _scale(weights(program)[-1]), lambda values: values * 2)


def zero_point(program: Any) -> None:
    _, _, zeros, *_ = weights(program)[-1].args
    _change(program, zeros, lambda values: values + 128)


def axis(program: Any) -> None:
    broken = 0
    for node in weights(program):
        tensor = _tensor(program, node.args[0] if _dequantises(node) else node)
        if tensor.shape[0] == tensor.shape[1]:
            if _dequantises(node):
                integers, scales, zeros, along, *rest = node.args
                node.args = (integers, scales, zeros, 1 - along, *rest)
            else:
                _change(program, node, lambda values: values.transpose(0, 1))
            broken += 1
    assert broken


def activation_scale(program: Any) -> None:
    for node in _dequantised(program):
        integers, scale, *rest = node.args
        node.args = (integers, 2 * scale, *rest)


def activation_zero_point(program: Any) -> None:
    for node in _dequantised(program):
        integers, scale, zero, least, most, *rest = node.args
        node.args = (integers, scale, zero + (most - least) // 10, least, most, *rest)


def _dequantised(program: Any) -> list[Any]:
    """The nodes that turn the first activation back into floats: one for each that takes it."""
    nodes = [node for node in program.graph.nodes if "dequantize_per_tensor" in str(node.target)]
    return [node for node in nodes if node.args[0] is nodes[0].args[0]]


def mask(program: Any) -> None:
    broken = 0
    for node in program.graph.nodes:
        hides = [isinstance(value, float) and value == LEAST for value in node.args]
        node.args = tuple(0.0 if hide else value for hide, value in zip(hides, node.args, strict=True))
        broken += any(hides)
    assert broken


def _dequantises(node: Any) -> bool:
    return "dequantize_per_channel" in str(node.target)


def _scale(node: Any) -> Any:
    return node.args[1] if _dequantises(node) else node


def _tensor(program: Any, node: Any) -> torch.Tensor:
    """The parameter or buffer that a node stands for."""
    signature = program.graph_signature
    name = {**signature.inputs_to_parameters, **signature.inputs_to_buffers}[node.name]
    tensor: torch.Tensor = program.state_dict[name]
    return tensor


def _change(program: Any, node: Any, change: Change) -> None:
    tensor = _tensor(program, node)
    with torch.no_grad():
        changed = change(tensor.clone())
        assert not torch.equal(changed, tensor)
        tensor.copy_(changed)
