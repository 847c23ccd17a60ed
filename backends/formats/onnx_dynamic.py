"""`int8-dynamic`: int8 weights, activations quantised at each inference, by ONNX Runtime's quantiser."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from backends.formats import onnx_graph
from backends.formats.onnx_graph import PRODUCTS
from bench.interfaces.conversion import require_quantised
from bench.interfaces.converter import Converter, Job
from bench.interfaces.recipe import Recipe
from bench.interfaces.workload import Traits


def recipe(traits: Traits) -> Recipe:
    return Recipe()


def make(job: Job) -> Mapping[str, Any]:
    import onnx
    from onnxruntime.quantization import QuantType, quantize_dynamic

    with TemporaryDirectory(dir=job.output.parent, prefix="dynamic-") as folder:
        quantised = Path(folder) / "quantised"
        model = onnx_graph.load(job.parents["onnx"].path)
        quantize_dynamic(
            model,
            str(quantised),
            # Not lookups, which its default takes as well: they multiply nothing.
            op_types_to_quantize=list(PRODUCTS),
            nodes_to_exclude=onnx_graph.left(model.graph, job.recipe),
            per_channel=True,
            weight_type=QuantType.QInt8,
            reduce_range=bool(job.facts["narrow"]),
            extra_options={"MatMulConstBOnly": not job.recipe.attention},
        )
        model = onnx.load(quantised)
    shares = require_quantised("onnxruntime's quantize_dynamic", "int8", onnx_graph.weights(model))
    onnx_graph.save(model, job.output)
    # It knows no scale a channel for convolutions, whatever it is told.
    convolves = any(node.op_type == "ConvInteger" for node in model.graph.node)
    scales = "per tensor" if convolves else "per channel"
    quantiser = f"onnxruntime quantize_dynamic, {scales}, QInt8 weights"
    quantiser += ", reduced range" if job.facts["narrow"] else ""
    return {"shares": shares, "lineage": {"quantiser": quantiser}}


CONVERTER = Converter(
    kind="onnx-dynamic",
    file="model.onnx",
    revision=2,
    parents=("onnx",),
    axes=("narrow", "recipe"),
    distributions=("onnx", "onnxruntime", "numpy"),
    make=make,
    model=True,
    recipe=recipe,
)
