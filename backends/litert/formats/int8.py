"""`int8:native` of LiteRT: static int8 by ai-edge-quantizer. Inputs and outputs stay floats."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from backends.litert.formats import graph
from bench.interfaces.conversion import require_quantised
from bench.interfaces.converter import Converter, Job


def make(job: Job) -> Mapping[str, Any]:
    from ai_edge_quantizer import recipe_manager

    recipe = recipe_manager.RecipeManager()
    operations = ("*",) if job.workload.family == "cnn" else ("FULLY_CONNECTED",)
    for operation in operations:
        recipe.add_static_config(".*", operation, activation_num_bits=8, weight_num_bits=8)
    for boundary in ("INPUT", "OUTPUT"):
        recipe.add_quantization_config(".*", boundary, algorithm_key="no_quantize")
    source = job.parents["tflite"].path
    inputs = list(graph.calibration(job))
    graph.quantise(source, job.output, recipe.get_quantization_recipe(), inputs)
    weights = graph.weights(job.output)
    shares = require_quantised("ai-edge-quantizer's static recipe", "int8", weights)
    quantiser = f"ai-edge-quantizer static, {', '.join(operations)}, per channel, activations by MinMax"
    return {"shares": shares, "lineage": {"quantiser": quantiser}}


CONVERTER = Converter(
    kind="tflite-int8",
    file="model.tflite",
    revision=1,
    parents=("tflite", "calibration"),
    axes=("batch", "length"),
    distributions=("ai-edge-quantizer", "ai-edge-litert"),
    make=make,
    model=True,
    tools="to-tflite",
)
