"""Integer precisions: what the converters write, that it runs as integers and within its band."""

from __future__ import annotations

import pytest

from bench.interfaces.backend import Target
from bench.interfaces.errors import UnsupportedCase
from bench.interfaces.precision import TENSOR, Scheme, item_bytes, runs_as, scheme
from bench.interfaces.workload import Band
from bench.plugins import backend_registry
from bench.prepare import bands
from bench.worker import verify
from tests.helpers.small_models import CELLS, CNN, WORKLOADS, Kitchen


@pytest.mark.parametrize(("family", "backend", "precision"), CELLS)
def test_it_runs_in_integers_and_within_its_band(
    kitchen: Kitchen, family: str, backend: str, precision: str
) -> None:
    file = kitchen.file(family, backend, precision)
    with kitchen.opened(family, backend, precision, file) as session:
        found = kitchen.error(family, session)
        ran = session.actual()
    assert verify.judge(found, kitchen.band(family, precision, backend)) == ""
    assert (ran.precision.value, ran.precision.evidence) == (runs_as(precision), "executed")


@pytest.mark.parametrize("family", ["cnn", "encoder"])
def test_eager_pytorch_emulates_what_torchao_quantised(kitchen: Kitchen, family: str) -> None:
    file, io = kitchen.file(family, "torch", "int8:native"), WORKLOADS[family].io(1, None)
    with pytest.raises(UnsupportedCase, match="dequantises before each product"):
        backend_registry.get("torch").load(file, Target(precision="int8:native"), io)
    with kitchen.opened(family, "torch", "int8:native:emulated", file) as session:
        found = kitchen.error(family, session)
        ran = session.actual()
    assert verify.judge(found, kitchen.band(family, "int8:native")) == ""
    assert (ran.emulated, ran.precision.value) == (True, "fp32")


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
        backend_registry.get("torch").load(file, Target(precision="int8-dynamic"), CNN.io(1, None))


def test_the_group_is_an_option(kitchen: Kitchen) -> None:
    import onnx

    for precision in ("int4-weight", "int4-weight:64"):
        facts, path = kitchen.convert("encoder", "onnx-weight", precision)
        group = scheme(precision).group  # type: ignore[union-attr]
        assert f"4 bits, blocks of {group}" in facts["lineage"]["quantiser"]
        nodes = [node for node in onnx.load(path).graph.node if node.op_type == "MatMulNBits"]
        assert {a.i for node in nodes for a in node.attribute if a.name == "block_size"} == {group}
        assert facts["shares"]["int4"] > 0.9


WORDS = ("fp32", "int8:qdq", "int8-dynamic", "int4-weight:64", "int8-weight", "fp8:qdq", "fp8-dynamic")


def test_the_words_of_precisions() -> None:
    assert scheme("fp32") is None
    assert scheme("int4-weight:128").group == 128  # type: ignore[union-attr]
    assert (scheme("fp8:qdq"), scheme("fp8-dynamic")) == (
        Scheme(8, TENSOR, "static", floats=True),
        Scheme(8, 0, "dynamic", floats=True),
    )
    assert item_bytes("fp8:qdq") == 1
    for wrong in ("int8", "int4", "int8-dynamic:3", "int4-weight:7", "int2-weight", "fp8", "fp8_e4m3"):
        with pytest.raises(ValueError, match="is no precision"):
            scheme(wrong)
    assert [runs_as(one) for one in WORDS] == [
        *("fp32", "int8", "int8", "int4-weight", "int8-weight", "fp8", "fp8"),
    ]


def test_the_band_of_integers() -> None:
    fp32 = Band(0.0, 1e-5)
    small, large = (
        bands.quantised_band("int8:qdq", 0.05, fp32),
        bands.quantised_band("int4-weight", 0.5, fp32),
    )
    assert (small.low, small.high) == (1e-5, pytest.approx(0.15))
    assert large.high == pytest.approx(0.75)
    for error in (1e-6, 0.81):
        with pytest.raises(ValueError, match="no band between"):
            bands.quantised_band("int4-weight", error, fp32)
