"""CTranslate2's model (`model.bin` and its vocabulary) in fp32, from the origin: of any batch and length."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from backends.ctranslate2.formats import graph
from bench.interfaces.converter import Converter, Job


def make(job: Job) -> Mapping[str, Any]:
    return graph.make(job, None)


CONVERTER = Converter(
    kind="ctranslate2",
    file="model.bin",
    revision=1,
    parents=("origin",),
    axes=(),
    distributions=("ctranslate2",),
    make=make,
    model=True,
    shared=True,
    tools="ctranslate2",
)
