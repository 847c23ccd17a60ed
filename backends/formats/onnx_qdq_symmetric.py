"""QDQ as TensorRT reads it: zero points of 0 on both sides of a product, and for weights a scale an output
channel.

TensorRT's scheme is symmetric and has no unsigned integers (NVIDIA TensorRT docs, 'Working with Quantized
Types'), and its parser no bias of 32-bit integers (microsoft/onnxruntime#14229). What a product gives stays
float, so that bias and activation are fused behind it and rounded once, where the next product reads them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from backends.formats import onnx_qdq
from bench.interfaces.converter import Converter, Job
from bench.interfaces.recipe import Recipe
from bench.interfaces.workload import Traits


def recipe(traits: Traits) -> Recipe:
    """Nothing but what is multiplied; a cache as in `onnx_qdq`."""
    return Recipe("nothing", attention=not traits.stateful, symmetric=True)


def make(job: Job) -> Mapping[str, Any]:
    model = onnx_qdq.quantised(job, {"WeightSymmetric": True, "QuantizeBias": False})
    quantiser = (
        "onnxruntime quantize_static, QDQ, symmetric, per channel, QInt8 activations by MinMax, QInt8 weights"
    )
    return onnx_qdq.written(model, job, quantiser)


CONVERTER = Converter(
    kind="onnx-qdq-symmetric",
    file="model.onnx",
    revision=2,
    parents=("onnx", "calibration"),
    axes=("recipe",),
    distributions=("onnx", "onnxruntime", "numpy"),
    make=make,
    model=True,
    recipe=recipe,
)
