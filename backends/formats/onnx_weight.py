"""`int8-weight`, `int4-weight`: matrix products with integer weights, by ONNX Runtime's MatMulNBits."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from backends.formats import onnx_graph
from bench.interfaces.conversion import require_quantised
from bench.interfaces.converter import Converter, Job
from bench.interfaces.precision import GROUP, scheme
from bench.interfaces.recipe import Recipe

# Its MatMulNBits is a product of matrices.
RECIPE = Recipe(convolutions=False)
# As onnxruntime-genai's builder sets it for CPUs: the kernels quantise blocks of activations on the fly.
ACCURACY_LEVEL = 4


def make(job: Job) -> Mapping[str, Any]:
    from onnxruntime.quantization.matmul_nbits_quantizer import MatMulNBitsQuantizer

    how = scheme(str(job.facts["precision"]))
    assert how is not None
    group = how.group or GROUP  # MatMulNBits knows no scale for a whole channel
    quantiser = MatMulNBitsQuantizer(
        onnx_graph.load(job.parents["onnx"].path),
        bits=how.bits,
        block_size=group,
        is_symmetric=True,
        accuracy_level=ACCURACY_LEVEL,
    )
    quantiser.process()
    model = quantiser.model.model
    shares = require_quantised("onnxruntime's MatMulNBits", f"int{how.bits}", onnx_graph.weights(model))
    onnx_graph.save(model, job.output)
    text = f"onnxruntime MatMulNBits, {how.bits} bits, blocks of {group}, accuracy level {ACCURACY_LEVEL}"
    return {"shares": shares, "lineage": {"quantiser": text}}


CONVERTER = Converter(
    kind="onnx-weight",
    file="model.onnx",
    revision=2,
    parents=("onnx",),
    axes=("precision", "recipe"),
    distributions=("onnx", "onnxruntime", "numpy"),
    make=make,
    model=True,
    recipe=lambda traits: RECIPE,
)
