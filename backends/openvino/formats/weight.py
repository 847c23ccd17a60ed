"""`int8-weight`, `int4-weight` of OpenVINO: matrix products with integer weights, by NNCF."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from backends.openvino.formats import graph
from bench.interfaces.conversion import require_quantised
from bench.interfaces.converter import Converter, Job
from bench.interfaces.precision import scheme
from bench.interfaces.recipe import Recipe

RECIPE = Recipe()


def make(job: Job) -> Mapping[str, Any]:
    import nncf

    how = scheme(str(job.facts["precision"]))
    assert how is not None
    model = graph.read(job.parents["onnx"].path)
    if how.bits == 8:
        model = nncf.compress_weights(model, mode=nncf.CompressWeightsMode.INT8_SYM)
        text = "nncf compress_weights, INT8_SYM, a scale an output channel"
    else:
        mode = nncf.CompressWeightsMode.INT4_SYM
        model = nncf.compress_weights(model, mode=mode, group_size=how.group, ratio=1.0, all_layers=True)
        text = f"nncf compress_weights, INT4_SYM, groups of {how.group}, all layers"
    shares = require_quantised("nncf's compress_weights", f"int{how.bits}", graph.weights(model))
    graph.save(model, job.output)
    return {"shares": shares, "lineage": {"quantiser": text}}


CONVERTER = Converter(
    kind="openvino-weight",
    file="model.xml",
    revision=1,
    parents=("onnx",),
    axes=("precision", "recipe"),
    distributions=("openvino", "nncf", "numpy"),
    make=make,
    model=True,
    recipe=lambda traits: RECIPE,
)
