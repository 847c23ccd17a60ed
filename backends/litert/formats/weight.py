"""`int4-weight` of LiteRT: fully connected layers with int4 weights in groups, by ai-edge-quantizer.

XNNPACK's kernels quantise rows of activations on the fly.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from backends.litert.formats import graph
from bench.interfaces.conversion import require_quantised
from bench.interfaces.converter import Converter, Job
from bench.interfaces.errors import UnsupportedCase
from bench.interfaces.precision import scheme
from bench.interfaces.recipe import Recipe

RECIPE = Recipe(convolutions=False)


def make(job: Job) -> Mapping[str, Any]:
    from ai_edge_quantizer import qtyping, recipe_manager

    how = scheme(str(job.facts["precision"]))
    assert how is not None
    try:
        group = qtyping.QuantGranularity(f"BLOCKWISE_{how.group}")
    except ValueError as error:
        raise UnsupportedCase(f"ai-edge-quantizer: {error}", hint="int4-weight:32") from error
    manager = recipe_manager.RecipeManager()
    for operation in graph.operations(job.recipe):
        manager.add_dynamic_config(".*", operation, num_bits=how.bits, granularity=group)
    graph.quantise(job.parents["tflite"].path, job.output, manager.get_quantization_recipe())
    weights = graph.weights(job.output)
    shares = require_quantised("ai-edge-quantizer's int4 recipe", f"int{how.bits}", weights)
    quantiser = f"ai-edge-quantizer, {how.bits} bits, blocks of {how.group}, fully connected layers"
    return {"shares": shares, "lineage": {"quantiser": quantiser}}


CONVERTER = Converter(
    kind="tflite-weight",
    file="model.tflite",
    revision=1,
    parents=("tflite",),
    axes=("batch", "length", "precision", "recipe"),
    distributions=("ai-edge-quantizer", "ai-edge-litert"),
    make=make,
    model=True,
    recipe=lambda traits: RECIPE,
    tools="to-tflite",
)
