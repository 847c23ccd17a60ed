"""Linear layers of an exported graph in int8, quantised while it is loaded: what torch.ao's quantize_dynamic
does to modules."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

from backends.torch.graph import constant
from bench.interfaces.errors import UnsupportedCase
from bench.interfaces.precision import ENOUGH
from bench.interfaces.recipe import Recipe

if TYPE_CHECKING:
    import torch
    from torch.fx import GraphModule

RECIPE = Recipe(convolutions=False)


def quantise_dynamically(module: GraphModule) -> None:
    """Replaces aten.linear by quantized.linear_dynamic: int8 weights with a scale an output channel,
    activations quantised at each call, to 7 bits as its API does ("reduce range").

    Raises UnsupportedCase where linear layers hold too little of the model.
    """
    import torch

    linear, convolution = torch.ops.aten.linear.default, torch.ops.aten.conv2d.default
    products = [node for node in module.graph.nodes if node.target in (linear, convolution)]
    weights = {node: weight for node in products if (weight := constant(module, node.args[1])) is not None}
    taken = [node for node, weight in weights.items() if node.target is linear and RECIPE.takes(weight.shape)]
    share = sum(weights[node].numel() for node in taken) / (sum(w.numel() for w in weights.values()) or 1)
    if share < ENOUGH:
        raise UnsupportedCase(
            f"torch quantises linear layers dynamically, and they hold {share:.0%} of this model's weights: "
            "its rows would be those of fp32",
            hint="--precision fp32, or int8:native where a variant compiles",
        )
    for i, node in enumerate(taken):
        bias = constant(module, node.args[2]) if len(node.args) > 2 and node.args[2] is not None else None
        setattr(module, f"packed_{i}", _packed(weights[node], bias))
        with module.graph.inserting_before(node):
            packed = module.graph.create_node("get_attr", f"packed_{i}")
            quick = module.graph.call_function(
                torch.ops.quantized.linear_dynamic.default, (node.args[0], packed, True)
            )
        node.replace_all_uses_with(quick)
        module.graph.erase_node(node)
    module.graph.eliminate_dead_code()
    module.delete_all_unused_submodules()
    module.recompile()


def _packed(weight: Any, bias: torch.Tensor | None) -> Any:
    """[out, in] in int8, packed for the engine's kernels."""
    import torch

    scales = (weight.abs().amax(dim=1).clamp(min=1e-12) / 127).double()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch announces that its quantised tensors will go
        zeros = torch.zeros(len(scales), dtype=torch.long)
        quantised = torch.quantize_per_channel(weight.detach(), scales, zeros, 0, torch.qint8)
        return torch.ops.quantized.linear_prepack(quantised, bias)
