"""Linear layers of an exported graph in fp8, quantised while it is loaded: what torchao's
Float8DynamicActivationFloat8WeightConfig does to modules, a scale a row on both sides.

It is written as operations of ATen, so that a compiler fuses what finds a row's scale with what came before.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from backends.torch.graph import constant
from bench.interfaces.errors import UnsupportedCase
from bench.interfaces.precision import ENOUGH, FP8_MOST
from bench.interfaces.recipe import Recipe

if TYPE_CHECKING:
    import torch
    from torch.fx import GraphModule, Node

SIDE = 16  # extents of weights that `_scaled_mm` takes are multiples of it
RECIPE = Recipe(symmetric=True, convolutions=False, multiple=SIDE)
LEAST = 1e-12  # of a row of zeros


def quantise(module: GraphModule, example: tuple[torch.Tensor, ...]) -> None:
    """Replaces aten.linear by aten._scaled_mm, for inputs of the shapes of `example`. Layers whose sides the
    kernels do not take, and all else, stay in the module's own type.

    Raises UnsupportedCase where what is replaced holds too little of the model.
    """
    import torch
    from torch.fx.passes.shape_prop import ShapeProp

    linear, convolution = torch.ops.aten.linear.default, torch.ops.aten.conv2d.default
    products = [node for node in module.graph.nodes if node.target in (linear, convolution)]
    weights = {node: weight for node in products if (weight := constant(module, node.args[1])) is not None}
    taken = [node for node, weight in weights.items() if node.target is linear and RECIPE.takes(weight.shape)]
    share = sum(weights[node].numel() for node in taken) / (sum(w.numel() for w in weights.values()) or 1)
    if share < ENOUGH:
        raise UnsupportedCase(
            f"torch multiplies linear layers with sides that are multiples of {SIDE} in fp8, and they hold "
            f"{share:.0%} of this model's weights: its rows would be those of bf16",
            hint="--precision bf16",
        )
    with torch.inference_mode():
        ShapeProp(module).propagate(*example)
    replaced = [str(node.args[1].target) for node in taken]
    for i, node in enumerate(taken):
        _replace(module, node, weights[node], i)
    module.graph.eliminate_dead_code()
    _forget(module, replaced)
    module.recompile()


def _forget(module: GraphModule, names: Iterable[str]) -> None:
    """Deletes tensors that nothing reads any more: a session holds what it needs."""
    read = {node.target for node in module.graph.nodes if node.op == "get_attr"}
    for name in dict.fromkeys(names):
        if name not in read:
            owner, _, attribute = name.rpartition(".")
            delattr(module.get_submodule(owner), attribute)


def _replace(module: GraphModule, node: Node, weight: torch.Tensor, number: int) -> None:
    import torch

    aten, eighth = torch.ops.aten, torch.float8_e4m3fn
    scale = weight.float().abs().amax(dim=1, keepdim=True).clamp(min=LEAST) / FP8_MOST
    setattr(module, f"fp8_{number}", (weight.float() / scale).to(eighth).contiguous())
    setattr(module, f"fp8_scale_{number}", scale.t().contiguous())
    x, bias = node.args[0], node.args[2] if len(node.args) > 2 else None
    shape = tuple(x.meta["tensor_meta"].shape)  # type: ignore[union-attr]
    out, into = weight.shape

    def call(operation: Any, *args: Any, **kwargs: Any) -> Node:
        return module.graph.call_function(operation, args, kwargs)

    with module.graph.inserting_before(node):
        rows = call(aten.reshape.default, x, [-1, into])
        wide = call(aten.to.dtype, rows, torch.float32)
        most = call(aten.amax.default, call(aten.abs.default, wide), [1], True)
        of_rows = call(aten.div.Scalar, call(aten.clamp_min.default, most, LEAST), FP8_MOST)
        # No clamp: what is greatest becomes E4M3's greatest, or rounds to it.
        small = call(aten.to.dtype, call(aten.div.Tensor, wide, of_rows), eighth)
        weights = call(aten.t.default, module.graph.create_node("get_attr", f"fp8_{number}"))
        of_weights = module.graph.create_node("get_attr", f"fp8_scale_{number}")
        made = call(
            aten._scaled_mm.default,
            *(small, weights, of_rows, of_weights),
            out_dtype=weight.dtype,
            use_fast_accum=True,
        )
        if bias is not None:
            made = call(aten.add.Tensor, made, bias)
        made = call(aten.reshape.default, made, [*shape[:-1], out])
    node.replace_all_uses_with(made)
    module.graph.erase_node(node)
