"""`int8-dynamic` of ExecuTorch: int8 weights, activations quantised at each inference, by torchao's PT2E with
XNNPACKQuantizer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from backends.executorch.formats import graph
from bench.interfaces.converter import Converter, Job
from bench.interfaces.recipe import Recipe

RECIPE = Recipe()


def make(job: Job) -> Mapping[str, Any]:
    quantiser = "torchao PT2E, XNNPACKQuantizer, is_dynamic, per channel"
    return graph.make(job, dynamic=True, quantiser=quantiser)


CONVERTER = Converter(
    kind="executorch-dynamic",
    file="model.pte",
    revision=1,
    parents=("origin", "calibration"),
    axes=("batch", "length", "recipe"),
    distributions=("executorch", "torch", "torchao"),
    make=make,
    model=True,
    recipe=lambda traits: RECIPE,
    tools="to-executorch",
)
