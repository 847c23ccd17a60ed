"""Reads and writes OpenVINO's own files for the converters that quantise with NNCF. Imports OpenVINO late."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.interfaces.recipe import Recipe

if TYPE_CHECKING:
    import openvino as ov

PRODUCTS = ("Convolution", "GroupConvolution", "MatMul")
THROUGH = ("Convert", "Reshape", "Transpose")
TYPES = {"i8": "int8", "u8": "int8", "i4": "int4", "u4": "int4"}


def weights(model: ov.Model) -> Counter[str]:
    """Type (`int8`, `int4`, `float`) → elements of all weights of matrix products and convolutions."""
    found: Counter[str] = Counter()
    for operation in model.get_ops():
        if operation.get_type_name() not in PRODUCTS:
            continue
        for value in operation.input_values():
            node: Any = value.get_node()
            while node.get_type_name() != "Constant" and node.get_input_size():
                if node.get_type_name() in ("Parameter", *PRODUCTS):
                    break
                node = node.input_value(0).get_node()
            if node.get_type_name() == "Constant" and len(node.get_output_shape(0)) > 1:
                kind = node.get_output_element_type(0).get_type_name()
                elements = 1
                for extent in node.get_output_shape(0):
                    elements *= extent
                found[TYPES.get(kind, "float")] += elements
    return found


def left(model: ov.Model, recipe: Recipe) -> list[str]:
    """Names of the products that the recipe does not take."""
    products = (one for one in model.get_ops() if one.get_type_name() in PRODUCTS)
    return [one.get_friendly_name() for one in products if not _taken(one, recipe)]


def _taken(product: Any, recipe: Recipe) -> bool:
    weights = product.input_value(1).get_node()
    while weights.get_type_name() in THROUGH:
        weights = weights.input_value(0).get_node()
    if weights.get_type_name() != "Constant":
        return recipe.attention
    shape = list(weights.get_output_shape(0))
    # Of a convolution in groups [groups, out, in, window …].
    grouped = product.get_type_name() == "GroupConvolution"
    return recipe.takes(shape[1:] if grouped else shape, shape[0] if grouped else 1)


def read(path: Path) -> ov.Model:
    import openvino as ov

    return ov.Core().read_model(str(path))


def save(model: ov.Model, path: Path) -> None:
    """Graph and weights (`.bin` beside it), in the types that they have."""
    import openvino as ov

    ov.save_model(model, str(path), compress_to_fp16=False)
