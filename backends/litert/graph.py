"""What a loaded LiteRT interpreter executes: which operations XNNPACK took, and in which arithmetic."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from backends.litert import profile
from backends.support import profiles, xnnpack
from backends.support.profiles import Operation
from backends.support.xnnpack import Found
from bench.interfaces.backend import Fact

DELEGATE = "DELEGATE"
PRODUCTS = ("CONV_2D", "DEPTHWISE_CONV_2D", "TRANSPOSE_CONV", "FULLY_CONNECTED", "BATCH_MATMUL")


def executed(interpreter: Any, path: Path, threads: int) -> Found:
    """From a profile where there is one, else from the execution plan."""
    tensors = {int(tensor["index"]): tensor for tensor in interpreter.get_tensor_details()}
    nodes = [_typed(node, tensors) for node in interpreter._get_ops_details()]
    outside = _outside(nodes, [int(t["index"]) for t in interpreter.get_output_details()])
    ours = [node for node in nodes if node["op_name"] != DELEGATE]
    taken = len(ours) - len(outside)
    provider = Fact(
        "XNNPACK" if taken else "built-in kernels",
        "reported",
        f"execution plan: XNNPACK took {taken} of {len(ours)} operations",
    )
    kernels = Counter(node["op_name"] for node in outside)
    shares = {"outside_xnnpack": dict(kernels.most_common())}
    if profiled := profile.runs(path, threads):
        places = {int(node["index"]): node for node in ours}
        operations = profiles.quickest([_operation(*line, places) for line in run] for run in profiled)
        precision, spent = profiles.weigh(operations, "profile of the file in LiteRT's C API")
        return Found(precision, provider, {**spent, **shares})
    return Found(_reported(ours, tensors), provider, shares)


def _typed(node: Mapping[str, Any], tensors: Mapping[int, Mapping[str, Any]]) -> dict[str, Any]:
    """The node with the types of its inputs, which older runtimes leave out."""
    inputs = [int(tensor) for tensor in node["inputs"]]
    return {**node, "types": [tensors[one]["dtype"] for one in inputs if one in tensors]}


def _outside(nodes: Sequence[Mapping[str, Any]], outputs: Iterable[int]) -> list[Mapping[str, Any]]:
    """The operations that run outside of a delegate: what the outputs rest on, where what a delegate gives
    rests on what it takes."""
    makers: dict[int, Mapping[str, Any]] = {}
    for node in nodes:  # delegates come last
        makers.update({int(tensor): node for tensor in node["outputs"]})
    found: dict[int, Mapping[str, Any]] = {}
    pending = [int(tensor) for tensor in outputs]
    while pending:
        maker = makers.get(pending.pop())
        if maker is not None and maker["index"] not in found:
            found[maker["index"]] = maker
            pending += [int(tensor) for tensor in maker["inputs"]]
    return [node for node in found.values() if node["op_name"] != DELEGATE]


def _operation(kind: str, name: str, ns: float, places: Mapping[int, Mapping[str, Any]]) -> Operation:
    """A line of the profile: an operator of XNNPACK with its types, or a built-in kernel with its node."""
    kind = kind.removeprefix("Delegate/")
    if xnnpack.TYPES.search(kind):
        return xnnpack.operation(kind, ns)
    number = name.rpartition(":")[2]
    node = places.get(int(number)) if number.isdigit() else None
    product = kind in PRODUCTS
    return Operation(kind, _of_node(node) if node is not None and product else "", ns, product)


def _of_node(node: Mapping[str, Any]) -> str:
    """Of a product by its operands' types. Floats against int8 weights are quantised by the kernel first."""
    kinds = {np.dtype(one) for one in node["types"][:2]}
    if np.dtype(np.int8) in kinds:
        return "int8"
    return "fp32" if kinds == {np.dtype(np.float32)} else ""


def _reported(nodes: Sequence[Mapping[str, Any]], tensors: Mapping[int, Mapping[str, Any]]) -> Fact:
    """The arithmetic in which most multiply-adds are, by the types of the products' operands."""
    work: Counter[str] = Counter()
    for node in nodes:
        if node["op_name"] in PRODUCTS and (precision := _of_node(node)):
            places = (int(node["inputs"][1]), int(node["outputs"][0]))
            weights, out = (tensors[place]["shape"] for place in places)
            work[precision] += int(np.prod(weights) * np.prod(out[:-1]))
    if not work:
        return Fact("none", "none", "execution plan: no product was seen")
    value, part = work.most_common(1)[0]
    return Fact(value, "reported", f"types of the products' tensors: {part / work.total():.1%} {value}")
