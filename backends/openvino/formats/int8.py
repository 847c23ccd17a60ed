"""`int8:native` of OpenVINO: static int8 by NNCF."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from backends.openvino.formats import graph
from bench.interfaces.conversion import require_quantised, samples
from bench.interfaces.converter import Converter, Job


def make(job: Job) -> Mapping[str, Any]:
    import nncf

    calibration = list(samples(job.parents["calibration"].path))
    transformer = None if job.workload.family == "cnn" else nncf.ModelType.TRANSFORMER
    narrow = nncf.OverflowFix.ENABLE if job.facts["narrow"] else nncf.OverflowFix.FIRST_LAYER
    model = nncf.quantize(
        graph.read(job.parents["onnx"].path),
        nncf.Dataset(calibration),
        preset=nncf.QuantizationPreset.MIXED,
        subset_size=len(calibration),
        model_type=transformer,
        advanced_parameters=nncf.AdvancedQuantizationParameters(overflow_fix=narrow),
    )
    shares = require_quantised("nncf's quantize", "int8", graph.weights(model))
    graph.save(model, job.output)
    return {
        "shares": shares,
        "lineage": {"quantiser": f"nncf quantize, preset MIXED, overflow fix {narrow.value}"},
    }


CONVERTER = Converter(
    kind="openvino-int8",
    file="model.xml",
    revision=1,
    parents=("onnx", "calibration"),
    axes=("narrow",),
    distributions=("openvino", "nncf", "numpy"),
    make=make,
    model=True,
)
