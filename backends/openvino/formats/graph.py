"""Reads and writes OpenVINO's own files for the converters that quantise with NNCF. Imports OpenVINO late."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import openvino as ov

PRODUCTS = ("Convolution", "GroupConvolution", "MatMul")
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


def read(path: Path) -> ov.Model:
    import openvino as ov

    return ov.Core().read_model(str(path))


def save(model: ov.Model, path: Path) -> None:
    """Graph and weights (`.bin` beside it), in the types that they have."""
    import openvino as ov

    ov.save_model(model, str(path), compress_to_fp16=False)
