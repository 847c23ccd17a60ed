"""Reads and writes ONNX files for the converters that quantise them. Imports onnx late."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.interfaces.recipe import Recipe

if TYPE_CHECKING:
    import onnx

# Operator → places of its inputs that may be weights.
WEIGHTS = {
    "Conv": (1,),
    "ConvInteger": (1,),
    "Gemm": (0, 1),
    "MatMul": (0, 1),
    "MatMulInteger": (0, 1),
    "MatMulNBits": (1,),
}
PRODUCTS = ("Conv", "MatMul", "Gemm")
THROUGH = ("Cast", "DequantizeLinear", "QuantizeLinear", "Reshape", "Transpose", "Identity")
LARGE = 1 << 30  # bytes from which on weights go into a file of their own: protobuf holds 2 GB


def weights(model: onnx.ModelProto) -> Counter[str]:
    """Type (`int8`, `int4`, `fp8`, `float`) → elements of all weights of matrix products and convolutions."""
    from onnx import TensorProto

    constants = {tensor.name: tensor for tensor in model.graph.initializer}
    makers = {name: node for node in model.graph.node for name in node.output}
    found: Counter[str] = Counter()
    for node in model.graph.node:
        for place in WEIGHTS.get(node.op_type, ()):
            name = node.input[place]
            while name in makers and makers[name].op_type in THROUGH:
                name = makers[name].input[0]
            if name not in constants or len(constants[name].dims) < 2:
                continue
            tensor = constants[name]
            elements = 1
            for extent in tensor.dims:
                elements *= extent
            if node.op_type == "MatMulNBits":
                bits = next(a.i for a in node.attribute if a.name == "bits")
                found[f"int{bits}"] += elements * 8 // bits
            elif tensor.data_type in (TensorProto.INT8, TensorProto.UINT8):
                found["int8"] += elements
            elif tensor.data_type == TensorProto.FLOAT8E4M3FN:
                found["fp8"] += elements
            elif tensor.data_type in (TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.BFLOAT16):
                found["float"] += elements
    return found


def left(graph: onnx.GraphProto, recipe: Recipe) -> list[str]:
    """Names of the products that the recipe does not take."""
    constants = {tensor.name: tensor for tensor in graph.initializer}
    products = (node for node in graph.node if node.op_type in PRODUCTS)
    return [node.name for node in products if not takes(recipe, node, constants)]


def takes(recipe: Recipe, product: onnx.NodeProto, constants: Mapping[str, onnx.TensorProto]) -> bool:
    """Whether the recipe takes it, by its weights if it has any."""
    if product.input[1] not in constants:
        return recipe.attention
    groups = next((a.i for a in product.attribute if a.name == "group"), 1)
    return recipe.takes(constants[product.input[1]].dims, groups)


def load(path: Path) -> onnx.ModelProto:
    """With its weights, as quantisers can take it: without the shapes of inner values, whose names they trip
    over, and with tables untied."""
    import onnx

    model = onnx.load(path)
    del model.graph.value_info[:]
    _untie(model.graph)
    return model


def _untie(graph: onnx.GraphProto) -> None:
    """Gives an output layer that shares its weights with a lookup a product with weights of its own.

    ONNX Runtime's dynamic quantiser would transpose them for both, and its MatMulNBits leaves a Gemm alone.
    """
    import numpy as np
    from onnx import helper, numpy_helper

    tables = {node.input[0] for node in graph.node if node.op_type == "Gather"}
    constants = {tensor.name: tensor for tensor in graph.initializer}
    for place, node in enumerate(graph.node):
        attributes = {a.name: helper.get_attribute_value(a) for a in node.attribute}
        plain = len(node.input) == 2 and attributes.get("alpha", 1.0) == 1.0 and attributes.get("transB")
        if node.op_type == "Gemm" and plain and node.input[1] in tables & constants.keys():
            table = numpy_helper.to_array(constants[node.input[1]])
            weights = numpy_helper.from_array(np.ascontiguousarray(table.T), f"{node.input[1]}.transposed")
            graph.initializer.append(weights)
            product = helper.make_node("MatMul", [node.input[0], weights.name], node.output, node.name)
            graph.node[place].CopyFrom(product)


def save(model: Any, path: Path) -> None:
    """In one file, or with a `.data` file beside it where it is large."""
    import onnx

    large = model.ByteSize() > LARGE
    onnx.save(
        model,
        path,
        save_as_external_data=large,
        all_tensors_to_one_file=True,
        location=f"{path.name}.data" if large else None,
    )
