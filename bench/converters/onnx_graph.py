"""Reads and writes ONNX files for the converters that quantise them. Imports onnx late."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

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
THROUGH = ("Cast", "DequantizeLinear", "QuantizeLinear", "Reshape", "Transpose", "Identity")
LARGE = 1 << 30  # bytes from which on weights go into a file of their own: protobuf holds 2 GB


def weights(model: onnx.ModelProto) -> Counter[str]:
    """Type (`int8`, `int4`, `float`) → elements of all weights of matrix products and convolutions."""
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
            elif tensor.data_type in (TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.BFLOAT16):
                found["float"] += elements
    return found


def load(path: Path) -> onnx.ModelProto:
    """With its weights; shapes of inner values are left out: the exporter's hold names that quantisers trip
    over."""
    import onnx

    model = onnx.load(path)
    del model.graph.value_info[:]
    return model


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
