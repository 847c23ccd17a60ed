"""An ONNX file as TVM's frontend can take it: at the shapes of the case, with what they settle worked out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from bench.interfaces.tensors import Array, IOSpec, TensorSpec

if TYPE_CHECKING:
    import onnx

SMALL = 1 << 20  # elements of what is worked out: shapes, positions and masks, not weights

Extents = tuple[int, ...]


def read(path: Path, io: IOSpec) -> onnx.ModelProto:
    """The model with the case's shapes; nodes that depend on shapes alone have become constants.

    TVM's frontend takes computed shapes for unknown even where all inputs are known, and its code for bounds
    then refuses them.

    Raises OSError for a missing file, ValueError for one that lacks an input or output, DecodeError (of
    protobuf) where it is no ONNX.
    """
    import onnx

    model = onnx.load(path)
    for values, tensors in ((model.graph.input, io.inputs), (model.graph.output, io.outputs)):
        _settle(values, tensors)
    weights = [tensor for tensor in model.graph.initializer if np.prod(tensor.dims) > SMALL]
    small = [tensor for tensor in model.graph.initializer if np.prod(tensor.dims) <= SMALL]
    _replace(model.graph.initializer, small)
    while _fold(model, weights):
        pass
    model.graph.initializer.extend(weights)
    return model


def _settle(values: Any, tensors: Sequence[TensorSpec]) -> None:
    """Inputs or outputs in the workload's order and at the case's shapes."""
    has = {value.name: value for value in values}
    if missing := [tensor.name_in_file for tensor in tensors if tensor.name_in_file not in has]:
        raise ValueError(f"it has no {', '.join(missing)}")
    settled = [has[tensor.name_in_file] for tensor in tensors]
    for value, tensor in zip(settled, tensors, strict=True):
        dims = value.type.tensor_type.shape.dim
        del dims[:]
        for extent in tensor.shape:
            dims.add().dim_value = extent
    _replace(values, settled)


def _replace(field: Any, values: list[Any]) -> None:
    del field[:]
    field.extend(values)


def _fold(model: onnx.ModelProto, weights: list[onnx.TensorProto]) -> bool:
    """Replaces nodes whose inputs are known by constants; whether there were any."""
    from onnx import numpy_helper

    shapes = _shapes(model, weights)
    known = {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    given = set(known)
    outputs = {value.name for value in model.graph.output}
    kept = []
    for node in model.graph.node:
        value = None if outputs & set(node.output) else _value(node, known, shapes)
        if value is None:
            kept.append(node)
        else:
            known[node.output[0]] = value
    folded = len(kept) < len(model.graph.node)
    _replace(model.graph.node, kept)
    wanted = {name for node in kept for name in node.input}
    model.graph.initializer.extend(
        numpy_helper.from_array(known[name], name) for name in wanted & (known.keys() - given)
    )
    return folded


def _shapes(model: onnx.ModelProto, weights: list[onnx.TensorProto]) -> dict[str, Extents]:
    """Name → extents of what has known ones. Weights take part by their shapes alone: the inference copies
    all that it is given."""
    import onnx
    from onnx import helper

    skeleton = onnx.ModelProto()
    skeleton.CopyFrom(model)
    del skeleton.graph.value_info[:]
    skeleton.graph.input.extend(
        helper.make_tensor_value_info(tensor.name, tensor.data_type, tensor.dims) for tensor in weights
    )
    inferred = onnx.shape_inference.infer_shapes(skeleton, data_prop=True).graph
    shapes = {}
    for value in (*inferred.value_info, *inferred.input):
        if value.type.tensor_type.HasField("shape"):
            dims = value.type.tensor_type.shape.dim
            if all(dim.HasField("dim_value") for dim in dims):
                shapes[value.name] = tuple(dim.dim_value for dim in dims)
    return shapes


def _value(node: onnx.NodeProto, known: Mapping[str, Array], shapes: Mapping[str, Extents]) -> Array | None:
    """What a node gives where that is known and small."""
    from onnx.reference import ReferenceEvaluator

    if node.op_type == "Shape":
        shape = known[node.input[0]].shape if node.input[0] in known else shapes.get(node.input[0])
        of = {attribute.name: attribute.i for attribute in node.attribute}
        return None if shape is None else np.array(shape[of.get("start", 0) : of.get("end")], np.int64)
    names = [name for name in node.input if name]
    if len(node.output) != 1 or not known.keys() >= set(names):
        return None
    value = np.asarray(ReferenceEvaluator(node).run(None, {name: known[name] for name in names})[0])
    return value if value.size <= SMALL else None
