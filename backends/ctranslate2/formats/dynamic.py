"""`int8-dynamic` of CTranslate2: weights in int8 with a scale an output channel, embeddings with one a row,
by its own quantiser. It quantises activations at each inference."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from backends.ctranslate2.formats import graph
from bench.interfaces.converter import Converter, Job
from bench.interfaces.recipe import Recipe

RECIPE = Recipe(convolutions=False)  # it knows none


def make(job: Job) -> Mapping[str, Any]:
    return graph.make(job, "int8")


CONVERTER = Converter(
    kind="ctranslate2-dynamic",
    file="model.bin",
    revision=1,
    parents=("origin",),
    axes=("recipe",),
    distributions=("ctranslate2",),
    make=make,
    model=True,
    recipe=lambda traits: RECIPE,
    shared=True,
    tools="ctranslate2",
)
