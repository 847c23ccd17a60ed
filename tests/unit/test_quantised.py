"""Integer precisions: what the converters write, that it runs as integers and within its band, and that a
file which is broken in one place does not."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from backends import registry
from backends.base import ModelFile, Session, Target
from backends.precision import runs_as, scheme
from backends.support import products_saturate
from bench import verify
from bench.converters import Job, Parent, converters
from bench.errors import UnsupportedCase
from tests.unit.families import Made, known, make
from workloads.base import Band, Workload
from workloads.bert import BertConfig, BertEncoder
from workloads.cnn import ResNet, ResNetConfig
from workloads.llama import LlamaConfig, LlamaDecode

CNN = ResNet("small-cnn", "two stages on 32×32", ResNetConfig(blocks=(2, 1), width=32, classes=10, image=32))
ENCODER = BertEncoder(
    "small-encoder",
    "two layers",
    BertConfig(layers=2, hidden=64, heads=4, ffn=128, vocabulary=400, positions=64),
    default_length=24,
)
DECODER = LlamaDecode(
    "small-decoder",
    "two layers",
    LlamaConfig(layers=2, hidden=64, heads=4, kv_heads=2, ffn=128, vocabulary=300, positions=256),
)
WORKLOADS = {one.family: one for one in (CNN, ENCODER, DECODER)}
# What rounding leaves of so small a decoder, in int4 or by NNCF, says nothing of a large one; nor does NNCF's
# bias correction on so small a CNN.
TOO_SMALL = [("decoder", "int4-weight"), ("decoder", "int8:native")]
CELLS = [
    ("cnn", "onnxruntime", "int8:qdq"),
    ("cnn", "onnxruntime", "int8-dynamic"),
    ("cnn", "openvino", "int8:qdq"),
    *(
        (family, backend, precision)
        for family in ("encoder", "decoder")
        for backend, precision in (
            ("torch", "int8-dynamic"),
            ("onnxruntime", "int8:qdq"),
            ("onnxruntime", "int8-dynamic"),
            ("onnxruntime", "int8-weight"),
            ("onnxruntime", "int4-weight"),
            ("openvino", "int8:qdq"),
            ("openvino", "int8:native"),
            ("openvino", "int8-weight"),
            ("openvino", "int4-weight"),
        )
        if (family, precision) not in TOO_SMALL
    ),
]


@dataclass
class Kitchen:
    """Makes what a cell needs, once a module."""

    root: Path
    plain: dict[str, Made]
    files: dict[tuple[str, str, str], Path]
    bands: dict[tuple[str, str], Band]

    def made(self, family: str) -> Made:
        if family not in self.plain:
            folder = self.root / family
            folder.mkdir()
            kinds = ("origin", "reference", "calibration", "exported", "onnx")
            self.plain[family] = make(WORKLOADS[family], folder, *kinds)
        return self.plain[family]

    def convert(self, family: str, kind: str, precision: str) -> Any:
        made = self.made(family)
        folder = self.root / f"{family}-{kind}-{precision.replace(':', '-')}"
        folder.mkdir(exist_ok=True)
        converter = converters()[kind]
        parents = {k: Parent(path, "", made.facts[k]) for k, path in made.files.items()}
        facts = {"samples": 8, "length": made.workload.default_length, "batch": 1, "precision": precision}
        facts["narrow"] = products_saturate()
        axes = {axis: facts[axis] for axis in converter.axes}
        with known(made.workload):
            job = Job(kind, made.workload.name, "", axes, parents, folder / converter.file)
            return converter.make(job), job.output

    def file(self, family: str, backend: str, precision: str) -> ModelFile:
        (kind,) = registry.get(backend).quantised[precision]
        made = self.made(family)
        if kind in made.files:
            return ModelFile(kind, made.files[kind], "")
        key = (family, kind, precision if "weight" in kind else "")
        if key not in self.files:
            _, self.files[key] = self.convert(family, kind, precision)
        return ModelFile(kind, self.files[key], "")

    def band(self, family: str, precision: str) -> Band:
        if (family, precision) not in self.bands:
            facts, _ = self.convert(family, "band", precision)
            self.bands[family, precision] = Band(**facts["band"])
        return self.bands[family, precision]


@pytest.fixture(scope="module")
def kitchen(tmp_path_factory: pytest.TempPathFactory) -> Kitchen:
    return Kitchen(tmp_path_factory.mktemp("kitchen"), {}, {}, {})


@contextmanager
def opened(workload: Workload, backend: str, precision: str, file: ModelFile) -> Iterator[Session]:
    io = workload.io(1, workload.default_length)
    with registry.get(backend).load(file, Target(precision=precision), io) as session:
        yield session


def error_of(session: Session, made: Made) -> verify.Verification:
    return verify.check(made.reference, lambda x: session.fetch(session.run(session.stage(x))), 1)


@pytest.mark.parametrize(("family", "backend", "precision"), CELLS)
def test_it_runs_in_integers_and_within_its_band(
    kitchen: Kitchen, family: str, backend: str, precision: str
) -> None:
    made, file = kitchen.made(family), kitchen.file(family, backend, precision)
    with opened(made.workload, backend, precision, file) as session:
        found = error_of(session, made)
        ran = session.actual()
    assert verify.judge(found, kitchen.band(family, precision)) == ""
    assert (ran.precision.value, ran.precision.evidence) == (runs_as(precision), "executed")


@pytest.mark.parametrize("family", ["cnn", "encoder"])
def test_eager_pytorch_emulates_what_torchao_quantised(kitchen: Kitchen, family: str) -> None:
    made, file = kitchen.made(family), kitchen.file(family, "torch", "int8:native")
    with pytest.raises(UnsupportedCase, match="dequantises before each product"):
        registry.get("torch").load(
            file, Target(precision="int8:native"), made.workload.io(1, made.workload.default_length)
        )
    with opened(made.workload, "torch", "int8:native:emulated", file) as session:
        found = error_of(session, made)
        ran = session.actual()
    assert verify.judge(found, kitchen.band(family, "int8:native")) == ""
    assert (ran.emulated, ran.precision.value) == (True, "fp32")


@pytest.mark.parametrize("family", WORKLOADS)
def test_a_model_that_ran_fp32_is_under_the_band(kitchen: Kitchen, family: str) -> None:
    made = kitchen.made(family)
    file = ModelFile("onnx", made.files["onnx"], "")
    with opened(made.workload, "onnxruntime", "fp32", file) as session:
        found = error_of(session, made)
    for precision in ("int8:qdq", "int8-dynamic", "int8-weight"):
        assert "did not run the reduced precision" in verify.judge(found, kitchen.band(family, precision))


@pytest.mark.parametrize(
    ("family", "kind", "precision", "says"),
    [
        ("cnn", "onnx-weight", "int4-weight", "MatMulNBits puts 0% of this model's weights in int4"),
        ("cnn", "onnx-weight", "int8-weight", "MatMulNBits puts 0% of this model's weights in int8"),
        ("cnn", "openvino-weight", "int4-weight", "of this model's weights in int4"),
    ],
)
def test_what_a_converter_leaves_as_it_was_is_unsupported(
    kitchen: Kitchen, family: str, kind: str, precision: str, says: str
) -> None:
    with pytest.raises(UnsupportedCase, match=says):
        kitchen.convert(family, kind, precision)


def test_torch_refuses_a_model_of_convolutions(kitchen: Kitchen) -> None:
    file = kitchen.file("cnn", "torch", "int8-dynamic")
    with pytest.raises(UnsupportedCase, match="linear layers dynamically, and they hold"):
        registry.get("torch").load(file, Target(precision="int8-dynamic"), CNN.io(1, None))


def test_the_group_is_an_option(kitchen: Kitchen) -> None:
    import onnx

    for precision in ("int4-weight", "int4-weight:64"):
        facts, path = kitchen.convert("encoder", "onnx-weight", precision)
        group = scheme(precision).group  # type: ignore[union-attr]
        assert f"4 bits, blocks of {group}" in facts["lineage"]["quantiser"]
        nodes = [node for node in onnx.load(path).graph.node if node.op_type == "MatMulNBits"]
        assert {a.i for node in nodes for a in node.attribute if a.name == "block_size"} == {group}
        assert facts["shares"]["int4"] > 0.9


Breaking = Callable[[Any], None]


def zero_points(model: Any) -> None:
    """The zero point of one activation where it is turned back into floats, 24 steps away."""
    from onnx import numpy_helper

    constants = {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    makers = {name: node.op_type for node in model.graph.node for name in node.output}
    for node in model.graph.node:
        if node.op_type == "DequantizeLinear" and makers.get(node.input[0]) == "QuantizeLinear":
            point = constants[node.input[2]]
            wrong = np.array(point + 24 if point < 128 else point - 24, point.dtype)
            model.graph.initializer.append(numpy_helper.from_array(wrong, "wrong"))
            node.input[2] = "wrong"
            return
    raise AssertionError("no activation is quantised")


def scales(model: Any) -> None:
    """The scales of one weight, twice as large."""
    from onnx import numpy_helper

    for tensor in model.graph.initializer:
        array = numpy_helper.to_array(tensor)
        if tensor.name.endswith("_scale") and array.ndim == 1 and array.size > 1:
            tensor.CopyFrom(numpy_helper.from_array(array * np.float32(2), tensor.name))
            return
    raise AssertionError("no weight has scales")


def axes(model: Any) -> None:
    """Scales of the square weights along their input channels, instead of their output channels."""
    swapped = 0
    shapes = {tensor.name: list(tensor.dims) for tensor in model.graph.initializer}
    for node in model.graph.node:
        shape = shapes.get(node.input[0], [])
        if node.op_type == "DequantizeLinear" and len(shape) >= 2 and shape[0] == shape[1]:
            for attribute in node.attribute:
                if attribute.name == "axis":
                    attribute.i = 1 - attribute.i
                    swapped += 1
    assert swapped


@pytest.mark.parametrize("family", WORKLOADS)
@pytest.mark.parametrize(
    ("breaking", "backend"),
    [
        (scales, "onnxruntime"),
        (zero_points, "onnxruntime"),
        (axes, "openvino"),
    ],  # ORT's kernels know one axis
    ids=lambda one: getattr(one, "__name__", one),
)
def test_a_broken_qdq_file_is_over_the_band(
    kitchen: Kitchen, tmp_path: Path, family: str, breaking: Breaking, backend: str
) -> None:
    import onnx

    made = kitchen.made(family)
    model = onnx.load(kitchen.file(family, "onnxruntime", "int8:qdq").path)
    breaking(model)
    onnx.save(model, tmp_path / "broken.onnx")
    file = ModelFile("onnx-qdq", tmp_path / "broken.onnx", "")
    with opened(made.workload, backend, "int8:qdq", file) as session:
        assert verify.judge(error_of(session, made), kitchen.band(family, "int8:qdq"))


def test_a_mask_that_is_ignored_is_over_every_band(kitchen: Kitchen) -> None:
    made = kitchen.made("encoder")
    inputs = made.reference.inputs
    open_mask = {**inputs, "attention_mask": np.ones_like(inputs["attention_mask"])}
    reference = replace(made.reference, inputs=open_mask)
    for backend, precision in (
        ("onnxruntime", "int8:qdq"),
        ("torch", "int8-dynamic"),
        ("openvino", "int8-weight"),
    ):
        file = kitchen.file("encoder", backend, precision)
        with opened(made.workload, backend, precision, file) as session:
            found = verify.check(reference, lambda x, s=session: s.fetch(s.run(s.stage(x))), 1)
        assert "over the band" in verify.judge(found, kitchen.band("encoder", precision))


def test_the_words_of_precisions() -> None:
    assert scheme("fp32") is None
    assert scheme("int4-weight:128").group == 128  # type: ignore[union-attr]
    for wrong in ("int8", "int4", "int8-dynamic:3", "int4-weight:7", "int2-weight"):
        with pytest.raises(ValueError, match="is no precision"):
            scheme(wrong)
    assert [runs_as(one) for one in ("fp32", "int8:qdq", "int8-dynamic", "int4-weight:64")] == [
        "fp32",
        "int8",
        "int8",
        "int4-weight",
    ]


def test_the_band_of_integers() -> None:
    fp32 = Band(0.0, 1e-5)
    small, large = (
        verify.quantised_band("int8:qdq", 0.05, fp32),
        verify.quantised_band("int4-weight", 0.5, fp32),
    )
    assert (small.low, small.high) == (1e-5, pytest.approx(0.15))
    assert large.high == pytest.approx(0.75)
    for error in (1e-6, 0.81):
        with pytest.raises(ValueError, match="no band between"):
            verify.quantised_band("int4-weight", error, fp32)
