"""`int8:qdq`: static int8 by ONNX Runtime's quantiser, as QuantizeLinear and DequantizeLinear in an ONNX file
that every runtime of ONNX takes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from backends.formats import onnx_graph
from backends.formats.onnx_graph import PRODUCTS
from bench.interfaces.conversion import require_quantised, samples
from bench.interfaces.converter import Converter, Job
from bench.interfaces.recipe import Besides, Recipe
from bench.interfaces.tensors import Array
from bench.interfaces.workload import Traits

if TYPE_CHECKING:
    import onnx


def recipe(traits: Traits) -> Recipe:
    """Of a transformer its products alone: its sums and normalisations lose too much in 8 bits. A cache would
    be rounded as a whole at every step, since attention multiplies it."""
    besides: Besides = "sums" if traits.convolutional else "outputs"
    return Recipe(besides, attention=not traits.stateful, convolutions=traits.convolutional)


def make(job: Job) -> Mapping[str, Any]:
    model = quantised(job, reduce_range=bool(job.facts["narrow"]))
    quantiser = "onnxruntime quantize_static, QDQ, per channel, QUInt8 activations by MinMax, QInt8 weights"
    quantiser += ", reduced range" if job.facts["narrow"] else ""
    return written(model, job, quantiser)


def quantised(job: Job, extra: Mapping[str, Any] | None = None, **how: Any) -> onnx.ModelProto:
    """The job's ONNX file by its recipe, with ranges from its calibration samples; `how` and `extra` are more
    options of quantize_static, the latter its `extra_options`."""
    import onnx
    from onnxruntime.quantization import QuantFormat, QuantType, quantize_static
    from onnxruntime.quantization.shape_inference import quant_pre_process

    recipe, products = job.recipe, list(PRODUCTS)
    with TemporaryDirectory(dir=job.output.parent, prefix="qdq-") as folder:
        plain, folded, made = (Path(folder) / name for name in ("plain", "folded", "made"))
        onnx_graph.save(onnx_graph.load(job.parents["onnx"].path), plain)
        quant_pre_process(str(plain), str(folded), skip_symbolic_shape=True)
        quantize_static(
            str(folded),
            str(made),
            reader(samples(job.parents["calibration"].path)),
            quant_format=QuantFormat.QDQ,
            per_channel=True,
            weight_type=QuantType.QInt8,
            # Sums with all that lies between them and the products.
            op_types_to_quantize=None if recipe.besides == "sums" else products,
            nodes_to_exclude=onnx_graph.left(onnx.load(folded, load_external_data=False).graph, recipe),
            activation_type=QuantType.QInt8 if recipe.symmetric else QuantType.QUInt8,
            extra_options={
                "ActivationSymmetric": recipe.symmetric,
                "OpTypesToExcludeOutputQuantization": products if recipe.besides == "nothing" else [],
                **(extra or {}),
            },
            **how,
        )
        return onnx.load(made)


def reader(feeds: Iterator[Mapping[str, Array]]) -> Any:
    """What ONNX Runtime's calibrators read samples from."""
    from onnxruntime.quantization import CalibrationDataReader

    class Reader(CalibrationDataReader):  # type: ignore[misc]
        def get_next(self) -> Any:
            return next(feeds, None)

    return Reader()


def written(model: onnx.ModelProto, job: Job, quantiser: str) -> Mapping[str, Any]:
    """Saves it as `job.output`; what its converter tells. Raises UnsupportedCase where too little is int8."""
    shares = require_quantised("onnxruntime's quantize_static", "int8", onnx_graph.weights(model))
    onnx_graph.save(model, job.output)
    return {"shares": shares, "lineage": {"quantiser": quantiser}}


CONVERTER = Converter(
    kind="onnx-qdq",
    file="model.onnx",
    revision=4,
    parents=("onnx", "calibration"),
    axes=("narrow", "recipe"),
    distributions=("onnx", "onnxruntime", "numpy"),
    make=make,
    model=True,
    recipe=recipe,
)
