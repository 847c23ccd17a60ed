"""Files of fp8: what is rounded to E4M3 and what is not, and that a CPU that widens it is within the band."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from backends.formats.onnx_fp8 import LEAST_SCALE, RECIPE, quantise
from backends.formats.onnx_graph import PRODUCTS, takes
from bench.interfaces.errors import UnsupportedCase
from bench.interfaces.precision import FP8_MOST
from bench.worker import verify
from tests.helpers.small_models import FAMILIES, WORKLOADS, Kitchen

PRECISION = "fp8:qdq"


@pytest.fixture(scope="module")
def files(kitchen: Kitchen) -> dict[str, Path]:
    return {family: kitchen.file(family, "onnxruntime", PRECISION).path for family in FAMILIES}


@pytest.mark.parametrize("family", FAMILIES)
def test_both_sides_of_every_weighted_product_come_from_e4m3(files: dict[str, Path], family: str) -> None:
    model = onnx.load(files[family])
    onnx.checker.check_model(model, full_check=True)
    constants = {tensor.name: tensor for tensor in model.graph.initializer}
    makers = {name: node for node in model.graph.node for name in node.output}
    products = 0
    for node in model.graph.node:
        weight = makers.get(node.input[1]) if node.op_type in PRODUCTS else None
        if weight is None or weight.op_type != "DequantizeLinear":
            continue
        stored, activation = constants[weight.input[0]], makers[node.input[0]]
        assert stored.data_type == TensorProto.FLOAT8E4M3FN
        assert np.isfinite(numpy_helper.to_array(stored).astype(np.float32)).all()
        assert (activation.op_type, makers[activation.input[0]].op_type) == (
            "DequantizeLinear",
            "QuantizeLinear",
        )
        assert not {makers[name].op_type for name in node.input[2:] if name in makers} & {"DequantizeLinear"}
        for one in (weight, activation, makers[activation.input[0]]):
            scale, zero = constants[one.input[1]], constants[one.input[2]]
            assert (scale.data_type, list(scale.dims)) == (TensorProto.FLOAT16, [])
            assert (zero.data_type, zero.raw_data) == (TensorProto.FLOAT8E4M3FN, b"\0")
        products += 1
    assert products >= 10


@pytest.mark.parametrize("family", FAMILIES)
def test_it_is_within_its_band_where_it_is_widened(kitchen: Kitchen, family: str) -> None:
    """ONNX Runtime's own optimiser would break the CNN, unless it is told to leave biases alone."""
    asked = f"{PRECISION}:emulated"
    file = kitchen.file(family, "onnxruntime", asked)
    with kitchen.opened(family, "onnxruntime", asked, file) as session:
        found, ran = kitchen.error(family, session), session.actual()
    assert verify.judge(found, kitchen.band(family, asked, "onnxruntime")) == ""
    assert (ran.emulated, ran.precision.value) == (True, "fp32")


def test_the_next_step_of_a_decoder_keeps_its_cache_in_fp16(kitchen: Kitchen) -> None:
    asked, workload = f"{PRECISION}:emulated", WORKLOADS["decoder"]
    io = workload.io(1, workload.default_length)
    inputs = workload.inputs(1, workload.default_length, seed=1)
    file = kitchen.file("decoder", "onnxruntime", asked)
    with kitchen.opened("decoder", "onnxruntime", asked, file) as session:
        staged = session.stage(inputs)
        outputs = session.run(staged)
        fresh = {t.name: inputs[t.name] for t in io.inputs if t.name not in io.carried}
        again = session.advance(staged, outputs, fresh)  # type: ignore[attr-defined]
        carried = [again[t.name_in_file] for t in io.inputs if t.name in io.carried]
        assert {one.data_type() for one in carried} == {"tensor(float16)"}
        assert all(np.isfinite(one).all() for one in session.fetch(session.run(again)).values())


def test_a_cnn_of_depthwise_convolutions_is_left_alone_where_kernels_are_slow() -> None:
    def conv(shape: tuple[int, ...], groups: int = 1) -> tuple[Any, dict[str, Any]]:
        node = helper.make_node("Conv", ["x", "w"], ["y"], group=groups)
        return node, {"w": numpy_helper.from_array(np.zeros(shape, np.float16), "w")}

    def taken(node: Any, constants: dict[str, Any]) -> bool:
        return takes(RECIPE, node, constants)

    assert taken(*conv((16, 16, 3, 3)))
    assert taken(*conv((64, 32, 4, 8)))
    assert not taken(*conv((64, 3, 3, 3))), "too few channels"
    assert not taken(*conv((8, 32, 1, 1)))
    assert not taken(*conv((64, 64, 7, 7))), "too large a window"
    assert not taken(*conv((64, 32, 3, 3), groups=2))
    product = helper.make_node("MatMul", ["x", "w"], ["y"])
    assert taken(product, {"w": numpy_helper.from_array(np.zeros((16, 40), np.float16), "w")})
    assert not taken(product, {"w": numpy_helper.from_array(np.zeros((64, 2), np.float16), "w")})
    assert not taken(product, {}), "of two activations"


def test_scales_bring_the_greatest_to_the_greatest() -> None:
    """Weights whose scale fp16 would hold badly get one that it holds: E4M3's exponent does the rest."""
    rng = np.random.default_rng(0)
    large, small = (rng.normal(0, width, (32, 16)).astype(np.float16) for width in (1, 1e-4))
    x, y = (helper.make_tensor_value_info(n, TensorProto.FLOAT16, [4, k]) for n, k in (("x", 32), ("y", 16)))
    nodes = [
        helper.make_node("MatMul", ["x", "large"], ["a"]),
        helper.make_node("MatMul", ["x", "small"], ["b"]),
    ]
    nodes.append(helper.make_node("Add", ["a", "b"], ["y"]))
    constants = [numpy_helper.from_array(large, "large"), numpy_helper.from_array(small, "small")]
    graph = helper.make_graph(nodes, "two", [x], [y], constants)
    quantise(graph, {"x": 3.5}, RECIPE)
    held = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    assert held["x.fp8.scale"] == np.float16(3.5 / FP8_MOST)
    assert float(held["small.fp8.scale"]) == LEAST_SCALE
    assert abs(held["large.fp8"].astype(np.float32)).max() == FP8_MOST
    for name, weight in (("large", large), ("small", small)):
        back = held[f"{name}.fp8"].astype(np.float32) * np.float32(held[f"{name}.fp8.scale"])
        error = np.linalg.norm(back - weight) / np.linalg.norm(weight.astype(np.float32))
        assert 0.01 < error < 0.04  # three bits of fraction: 2⁻⁴ at most, a part of it in the mean
    assert [node.op_type for node in graph.node].count("QuantizeLinear") == 1, "x is rounded once"
    assert not {"large", "small"} & held.keys()


def test_a_model_of_small_sides_is_unsupported(kitchen: Kitchen) -> None:
    with pytest.raises(UnsupportedCase, match="puts 0% of this model's weights in fp8"):
        kitchen.convert("encoder", "onnx-fp8", PRECISION, replace(RECIPE, least_side=4096))
