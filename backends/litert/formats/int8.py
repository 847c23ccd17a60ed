"""`int8:native` of LiteRT: static int8 by ai-edge-quantizer. Inputs and outputs stay floats."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from backends.litert.formats import graph
from bench.interfaces.conversion import require_quantised
from bench.interfaces.converter import Converter, Job
from bench.interfaces.recipe import Recipe
from bench.interfaces.workload import Traits


def recipe(traits: Traits) -> Recipe:
    """Of a transformer its layers alone: what is fully connected takes integers and gives them."""
    images = traits.convolutional
    return Recipe("sums" if images else "outputs", attention=images, convolutions=images)


def make(job: Job) -> Mapping[str, Any]:
    from ai_edge_quantizer import recipe_manager

    manager = recipe_manager.RecipeManager()
    operations = graph.operations(job.recipe)
    for operation in operations:
        manager.add_static_config(".*", operation, activation_num_bits=8, weight_num_bits=8)
    for boundary in ("INPUT", "OUTPUT"):
        manager.add_quantization_config(".*", boundary, algorithm_key="no_quantize")
    source = job.parents["tflite"].path
    inputs = list(graph.calibration(job))
    graph.quantise(source, job.output, manager.get_quantization_recipe(), inputs)
    weights = graph.weights(job.output)
    shares = require_quantised("ai-edge-quantizer's static recipe", "int8", weights)
    quantiser = f"ai-edge-quantizer static, {', '.join(operations)}, per channel, activations by MinMax"
    return {"shares": shares, "lineage": {"quantiser": quantiser}}


CONVERTER = Converter(
    kind="tflite-int8",
    file="model.tflite",
    revision=1,
    parents=("tflite", "calibration"),
    axes=("batch", "length", "recipe"),
    distributions=("ai-edge-quantizer", "ai-edge-litert"),
    make=make,
    model=True,
    recipe=recipe,
    tools="to-tflite",
)
