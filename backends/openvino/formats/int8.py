"""`int8:native` of OpenVINO: static int8 by NNCF."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from backends.openvino.formats import graph
from bench.interfaces.conversion import require_quantised, samples
from bench.interfaces.converter import Converter, Job
from bench.interfaces.recipe import Recipe
from bench.interfaces.workload import Traits


def recipe(traits: Traits) -> Recipe:
    """Of a transformer no sums; of attention, whose cache it does not know from other inputs, the scores."""
    return Recipe("sums" if traits.convolutional else "nothing", attention=True)


def make(job: Job) -> Mapping[str, Any]:
    import nncf

    calibration = list(samples(job.parents["calibration"].path))
    source = graph.read(job.parents["onnx"].path)
    left = graph.left(source, job.recipe)
    # What it calls a transformer has no sums in 8 bits.
    transformer = None if job.recipe.besides == "sums" else nncf.ModelType.TRANSFORMER
    presets = nncf.QuantizationPreset
    preset = presets.PERFORMANCE if job.recipe.symmetric else presets.MIXED
    narrow = nncf.OverflowFix.ENABLE if job.facts["narrow"] else nncf.OverflowFix.FIRST_LAYER
    model = nncf.quantize(
        source,
        nncf.Dataset(calibration),
        preset=preset,
        subset_size=len(calibration),
        model_type=transformer,
        ignored_scope=nncf.IgnoredScope(names=left) if left else None,
        advanced_parameters=nncf.AdvancedQuantizationParameters(overflow_fix=narrow),
    )
    shares = require_quantised("nncf's quantize", "int8", graph.weights(model))
    graph.save(model, job.output)
    quantiser = f"nncf quantize, preset {preset.name}, overflow fix {narrow.value}"
    return {"shares": shares, "lineage": {"quantiser": quantiser}}


CONVERTER = Converter(
    kind="openvino-int8",
    file="model.xml",
    revision=1,
    parents=("onnx", "calibration"),
    axes=("narrow", "recipe"),
    distributions=("openvino", "nncf", "numpy"),
    make=make,
    model=True,
    recipe=recipe,
)
