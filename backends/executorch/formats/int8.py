"""`int8:native` of ExecuTorch: static int8 by torchao's PT2E with XNNPACKQuantizer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from backends.executorch.formats import graph
from bench.interfaces.converter import Converter, Job
from bench.interfaces.recipe import Recipe
from bench.interfaces.workload import Traits


def recipe(traits: Traits) -> Recipe:
    """Of attention it knows nothing."""
    return Recipe("sums")


def make(job: Job) -> Mapping[str, Any]:
    return graph.make(job, False, "torchao PT2E, XNNPACKQuantizer, per channel, activations by histogram")


CONVERTER = Converter(
    kind="executorch-int8",
    file="model.pte",
    revision=1,
    parents=("origin", "calibration"),
    axes=("batch", "length", "recipe"),
    distributions=("executorch", "torch", "torchao"),
    make=make,
    model=True,
    recipe=recipe,
    tools="to-executorch",
)
