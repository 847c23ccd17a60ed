"""A traced module in a file that takes no longer to read than its weights: its operations and its tensors.

torch.export.load rebuilds symbolic shapes and a fake tensor for each value: ten seconds for a decoder of
1,500 operations whose weights take one. What runs is the same graph.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.interfaces.errors import ModelFileError

if TYPE_CHECKING:
    import torch
    from torch.export import ExportedProgram
    from torch.fx import GraphModule, Node

MODULES = {
    "_operator": operator,
    "math": math,
}  # whose functions a graph may call, besides torch's operations
NODE = "node"  # {NODE: name}: an argument that is another node


def save(program: ExportedProgram, path: Path) -> None:
    """Writes a program whose inputs and outputs are tensors, without the exporter's checks: a case's shapes
    are its own, and guards on them would cost each inference time (230 µs).

    Raises ModelFileError where it calls what `load` would not find again.
    """
    import torch
    from torch.fx.graph import CodeGen

    module = program.module(check_guards=False)
    module.graph.set_codegen(CodeGen())  # inputs and outputs one by one, in no containers
    for node in list(module.graph.nodes):
        if node.target is torch.ops.aten._assert_tensor_metadata.default:
            module.graph.erase_node(node)
    write(module, path)


def write(module: GraphModule, path: Path) -> None:
    """A graph and the tensors that it reads, as `load` reads them."""
    import torch

    nodes = [(n.op, n.name, _name(n), _encoded(n.args), _encoded(n.kwargs)) for n in module.graph.nodes]
    named = sorted({node.target for node in module.graph.nodes if node.op == "get_attr"})
    tensors = {name: operator.attrgetter(name)(module).detach() for name in named}
    torch.save({"nodes": nodes, "tensors": tensors}, path)


def load(path: Path, device: str) -> GraphModule:
    """The module on a device: its constants and the devices written into the graph go along."""
    import torch
    from torch.fx import Graph, GraphModule

    content = torch.load(path, map_location=device, weights_only=True)
    graph = Graph()
    found: dict[str, Node] = {}
    for op, name, target, args, kwargs in content["nodes"]:
        args, kwargs = (_decoded(part, found, torch.device(device)) for part in (args, kwargs))
        found[name] = graph.create_node(op, _target(op, target), args, kwargs, name)
    return GraphModule(content["tensors"], graph).requires_grad_(False)


def constant(module: GraphModule, node: Any) -> Any:
    """The tensor that a node reads from the module; None for one that is computed."""
    return operator.attrgetter(node.target)(module) if getattr(node, "op", "") == "get_attr" else None


def _name(node: Node) -> str:
    """A function's name as `_target` finds it; what others call theirs stays."""
    import torch

    if node.op in ("placeholder", "get_attr", "output") or isinstance(node.target, torch._ops.OpOverload):
        return str(node.target)
    module = getattr(node.target, "__module__", "")
    if node.op != "call_function" or module not in MODULES:
        raise ModelFileError(
            f"torch: the exported graph calls {node.target} ({node.op}), which a plain graph cannot hold",
            hint="export it without control flow",
        )
    return f"{module}:{getattr(node.target, '__name__', '')}"


def _target(op: str, name: str) -> str | Callable[..., Any]:
    import torch

    if op != "call_function":
        return name
    module, _, function = name.rpartition(":")
    if not module:
        found = operator.attrgetter(name)(torch.ops)
        if isinstance(found, torch._ops.OpOverload):  # `torch.ops` also has a function that loads libraries
            return found
    elif module in MODULES:
        call: Callable[..., Any] = getattr(MODULES[module], function)
        return call
    raise ModelFileError(f"torch: a graph may not call {name}", hint="bakeoff cache prune")


def _encoded(value: Any) -> Any:
    """An argument in plain containers, nodes by name."""
    from torch.fx import Node

    if isinstance(value, Node):
        return {NODE: value.name}
    if isinstance(value, dict):
        return {key: _encoded(one) for key, one in value.items()}
    if isinstance(value, tuple):
        return tuple(map(_encoded, value))
    return list(map(_encoded, value)) if isinstance(value, list) else value


def _decoded(value: Any, found: dict[str, Node], device: torch.device) -> Any:
    """The argument again, with the nodes that are there by now, and on the device."""
    import torch

    if isinstance(value, dict):
        if value.keys() == {NODE}:
            return found[value[NODE]]
        return {key: _decoded(one, found, device) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(_decoded(one, found, device) for one in value)
    return device if isinstance(value, torch.device) else value
