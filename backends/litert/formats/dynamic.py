"""`int8-dynamic` of LiteRT: int8 weights, activations quantised at each inference, by ai-edge-quantizer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from backends.litert.formats import graph
from bench.interfaces.conversion import require_quantised
from bench.interfaces.converter import Converter, Job
from bench.interfaces.recipe import Recipe

RECIPE = Recipe()


def make(job: Job) -> Mapping[str, Any]:
    from ai_edge_quantizer import recipe

    graph.quantise(job.parents["tflite"].path, job.output, recipe.dynamic_wi8_afp32())
    weights = graph.weights(job.output)
    shares = require_quantised("ai-edge-quantizer's dynamic recipe", "int8", weights)
    return {"shares": shares, "lineage": {"quantiser": "ai-edge-quantizer dynamic_wi8_afp32, per channel"}}


CONVERTER = Converter(
    kind="tflite-dynamic",
    file="model.tflite",
    revision=1,
    parents=("tflite",),
    axes=("batch", "length", "recipe"),
    distributions=("ai-edge-quantizer", "ai-edge-litert"),
    make=make,
    model=True,
    recipe=lambda traits: RECIPE,
    tools="to-tflite",
)
