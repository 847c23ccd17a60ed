"""TensorFlow's SavedModel, from the ONNX file: each operator by a function of TensorFlow's own.

Weights are variables, and extents that are open stay open. Its one signature has the workload's names with
`_` for `.`, which TensorFlow allows in none; images stay NCHW at its ends, and ids int64.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from backends.tensorflow.formats import operators
from bench.interfaces.converter import Converter, Job

if TYPE_CHECKING:
    import onnx


def make(job: Job) -> Mapping[str, Any]:
    import onnx
    import tensorflow as tf

    workload = job.workload
    io = workload.io(1, workload.default_length)
    graph = onnx.load(job.parents["onnx"].path).graph
    module = tf.Module()
    weights, constants = _weights(tf, graph)
    module.weights = list(weights.values())
    shapes = {value.name: _shape(value) for value in graph.input}
    names = [spec.name_in_file for spec in io.inputs]
    signature = [
        tf.TensorSpec(shapes[name], spec.dtype, _key(name))
        for name, spec in zip(names, io.inputs, strict=True)
    ]

    def run(*inputs: Any) -> dict[str, Any]:
        values = {**constants, **weights, **dict(zip(names, inputs, strict=True))}
        _translate(tf, graph, values)
        results = {spec.name_in_file: values[spec.name_in_file] for spec in io.outputs}
        return {_key(name): tf.identity(operators.plain(tf, one)) for name, one in results.items()}

    module.run = tf.function(run, input_signature=signature, autograph=False)
    tf.saved_model.save(module, job.output.parent, signatures=module.run)
    return {"lineage": {"exporter": "ONNX operators as tf functions, tf.saved_model.save"}}


def _weights(tf: Any, graph: onnx.GraphProto) -> tuple[dict[str, Any], dict[str, Any]]:
    """Name → variable of what is a weight, name → array of other constants."""
    from onnx import numpy_helper

    groups = {
        node.input[1]: next((a.i for a in node.attribute if a.name == "group"), 1)
        for node in graph.node
        if node.op_type == "Conv"
    }
    weights, constants = {}, {}
    for tensor in graph.initializer:
        array = numpy_helper.to_array(tensor)
        if tensor.name in groups:
            array = operators.kernel(array, groups[tensor.name])
        if array.dtype.kind == "f" and array.ndim:
            weights[tensor.name] = tf.Variable(array, trainable=False)
        else:
            constants[tensor.name] = array
    return weights, constants


def _key(name: str) -> str:
    """What the signature calls a tensor."""
    return name.replace(".", "_")


def _shape(value: onnx.ValueInfoProto) -> list[int | None]:
    return [dim.dim_value or None for dim in value.type.tensor_type.shape.dim]


def _translate(tf: Any, graph: onnx.GraphProto, values: dict[str, Any]) -> None:
    """Adds what each node gives."""
    from onnx import helper

    for node in graph.node:
        attributes = {a.name: helper.get_attribute_value(a) for a in node.attribute}
        inputs = [values[name] if name else None for name in node.input]
        values[node.output[0]] = operators.apply(tf, node.op_type, inputs, attributes)


CONVERTER = Converter(
    kind="saved-model",
    file="saved_model.pb",
    revision=3,
    parents=("onnx",),
    axes=(),
    distributions=("tensorflow-cpu", "onnx"),
    make=make,
    model=True,
    tools="to-saved-model",
)
