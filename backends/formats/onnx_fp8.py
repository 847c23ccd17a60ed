"""`fp8:qdq`: an ONNX file in fp16 whose products with weights read both sides from E4M3, by QuantizeLinear
and DequantizeLinear.

As TensorRT takes it (NVIDIA TensorRT docs, 'Working with Quantized Types'): symmetric, a scale a tensor,
which brings the greatest value of the calibration samples, or of the weights, to E4M3's greatest. Left in
fp16 are attention's products, and those that TensorRT has no fast kernel for (RECIPE).
ONNX Runtime's quantiser calibrates fp8 by a rule of its own, which clips: its calibrator gives the ranges,
and the nodes are put here.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from backends.formats import onnx_graph, onnx_half, onnx_qdq
from backends.formats.onnx_graph import PRODUCTS
from bench.interfaces.conversion import require_quantised, samples
from bench.interfaces.converter import Converter, Job
from bench.interfaces.precision import FP8_MOST
from bench.interfaces.recipe import Recipe
from bench.interfaces.tensors import Array

if TYPE_CHECKING:
    import onnx

OPSET = 21  # in which NVIDIA Model Optimizer writes fp8 with scales in fp16
# TensorRT has no fast kernels in fp8 for convolutions in groups or with windows of more than 32 (its release
# notes, 'Limitations'), and NVIDIA Model Optimizer leaves sides of fewer than 16 alone.
RECIPE = Recipe(symmetric=True, groups=False, most_window=32, least_side=16)
LEAST_SCALE = 2.0**-14  # fp16's least with all its digits; below it E4M3's own exponent does the same


def make(job: Job) -> Mapping[str, Any]:
    import onnx

    lineage = onnx_half.write(job, "fp16", OPSET)["lineage"]
    model = onnx_graph.load(job.output)
    ranges = _ranges(model, job)
    quantise(model.graph, ranges, job.recipe)
    onnx.checker.check_model(model)
    shares = require_quantised("the converter to fp8", "fp8", onnx_graph.weights(model))
    job.output.with_name(f"{job.output.name}.data").unlink(missing_ok=True)  # of the file in fp16
    onnx_graph.save(model, job.output)
    quantiser = "E4M3 by QDQ, a scale a tensor, activations by MinMax (onnxruntime's calibrator)"
    return {"shares": shares, "lineage": {**lineage, "quantiser": quantiser}}


def quantise(graph: onnx.GraphProto, ranges: Mapping[str, float], recipe: Recipe) -> None:
    """Puts QuantizeLinear and DequantizeLinear before the products with weights that the recipe takes.

    Args:
        ranges: name of an activation → the greatest absolute value that it takes.
    """
    import numpy as np
    from onnx import TensorProto, helper, numpy_helper

    constants = {tensor.name: tensor for tensor in graph.initializer}
    dequantised: dict[str, str] = {}
    zero = helper.make_tensor("fp8.zero", TensorProto.FLOAT8E4M3FN, [], b"\0", raw=True)
    nodes: list[onnx.NodeProto] = []
    added = [zero]

    def scaled(name: str, most: float) -> tuple[Array, str]:
        scale = np.array(max(most / FP8_MOST, LEAST_SCALE), dtype=np.float16)
        added.append(numpy_helper.from_array(scale, f"{name}.fp8.scale"))
        return scale, added[-1].name

    def back(name: str, quantised: str, scale: str) -> str:
        node = helper.make_node(
            "DequantizeLinear", [quantised, scale, zero.name], [f"{name}.dequantised"], f"{name}.dequantise"
        )
        nodes.append(node)
        return str(node.output[0])

    def activation(name: str) -> str:
        _, scale = scaled(name, ranges[name])
        node = helper.make_node(
            "QuantizeLinear", [name, scale, zero.name], [f"{name}.fp8"], f"{name}.quantise"
        )
        nodes.append(node)
        return back(name, node.output[0], scale)

    def weight(name: str) -> str:
        values = numpy_helper.to_array(constants[name])
        scale, scale_name = scaled(name, float(abs(values).max()))
        added.append(_in_fp8(values, scale, f"{name}.fp8"))
        return back(name, added[-1].name, scale_name)

    for node in graph.node:
        if node.op_type in PRODUCTS and onnx_graph.takes(recipe, node, constants):
            for place, name in enumerate(node.input[:2]):
                if name not in dequantised:
                    dequantised[name] = weight(name) if name in constants else activation(name)
                node.input[place] = dequantised[name]
        nodes.append(node)
    read = {name for node in nodes for name in node.input}
    kept = [tensor for tensor in graph.initializer if tensor.name in read]
    del graph.initializer[:], graph.node[:]
    graph.initializer.extend([*kept, *added])
    graph.node.extend(nodes)


def _in_fp8(values: Array, scale: Array, name: str) -> onnx.TensorProto:
    """Rounded to the nearest, as QuantizeLinear does it. What fp16 took off the scale may leave the greatest
    over E4M3's, to which it rounds."""
    import numpy as np
    from ml_dtypes import float8_e4m3fn
    from onnx import TensorProto, helper

    scaled = values.astype(np.float32) / scale.astype(np.float32)
    content = scaled.astype(float8_e4m3fn).tobytes()
    return helper.make_tensor(name, TensorProto.FLOAT8E4M3FN, values.shape, content, raw=True)


def _ranges(model: onnx.ModelProto, job: Job) -> dict[str, float]:
    """Activation → its greatest absolute value over the job's calibration samples."""
    import numpy as np
    from onnx import TensorProto
    from onnxruntime.quantization import CalibrationMethod
    from onnxruntime.quantization.calibrate import create_calibrator

    halves = {x.name for x in model.graph.input if x.type.tensor_type.elem_type == TensorProto.FLOAT16}

    def feeds() -> Iterator[dict[str, Array]]:
        for arrays in samples(job.parents["calibration"].path):
            yield {n: x.astype(np.float16) if n in halves else x for n, x in arrays.items()}

    with TemporaryDirectory(dir=job.output.parent, prefix="fp8-") as folder:
        plain, augmented = (Path(folder) / name for name in ("plain", "augmented"))
        onnx_graph.save(model, plain)
        calibrator = create_calibrator(
            plain,
            list(PRODUCTS),
            str(augmented),
            CalibrationMethod.MinMax,
            extra_options={"symmetric": True},
        )
        calibrator.collect_data(onnx_qdq.reader(feeds()))
        found = calibrator.compute_data()
    return {name: float(of.highest.max()) for name, of in found.items()}


CONVERTER = Converter(
    kind="onnx-fp8",
    file="model.onnx",
    revision=1,
    parents=("origin", "calibration"),
    axes=("recipe",),
    distributions=("torch", "onnx", "onnxscript", "onnxruntime", "numpy"),
    make=make,
    model=True,
    recipe=lambda traits: RECIPE,
)
