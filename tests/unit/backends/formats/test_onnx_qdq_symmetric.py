"""QDQ files as TensorRT reads them: nothing but symmetric int8, and right within the band on a CPU."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, numpy_helper

from backends.formats.onnx_graph import PRODUCTS
from bench.worker import verify
from tests.helpers.small_models import WORKLOADS, Kitchen

FAMILIES = ["cnn", "encoder", "decoder"]
PRECISION = "int8:native"  # what takes it: TensorRT's own int8


@pytest.fixture(scope="module")
def files(kitchen: Kitchen) -> dict[str, Path]:
    return {family: kitchen.convert(family, "onnx-qdq-symmetric", PRECISION)[1] for family in FAMILIES}


@pytest.mark.parametrize("family", FAMILIES)
def test_all_is_symmetric_int8(files: dict[str, Path], family: str) -> None:
    model = onnx.load(files[family])
    onnx.checker.check_model(model, full_check=True)
    assert {node.domain for node in model.graph.node} == {""}
    constants = {tensor.name: tensor for tensor in model.graph.initializer}
    weights = 0
    for node in model.graph.node:
        if node.op_type not in ("QuantizeLinear", "DequantizeLinear"):
            continue
        zero = constants[node.input[2]]
        assert zero.data_type == TensorProto.INT8
        assert not numpy_helper.to_array(zero).any()
        if node.input[0] in constants:
            tensor, scale = constants[node.input[0]], constants[node.input[1]]
            axis = next(a.i for a in node.attribute if a.name == "axis")
            assert tensor.data_type == TensorProto.INT8
            assert list(scale.dims) == [tensor.dims[axis]]
            assert np.abs(numpy_helper.to_array(tensor).astype(int)).max() <= 127
            weights += 1
    assert weights


@pytest.mark.parametrize("family", FAMILIES)
def test_both_sides_of_every_weighted_product_are_dequantised(files: dict[str, Path], family: str) -> None:
    graph = onnx.load(files[family]).graph
    makers = {name: node.op_type for node in graph.node for name in node.output}
    weighted = [
        node
        for node in graph.node
        if node.op_type in PRODUCTS and makers.get(node.input[1]) == "DequantizeLinear"
    ]
    assert weighted
    assert {makers[node.input[0]] for node in weighted} == {"DequantizeLinear"}
    assert not {makers.get(name) for node in weighted for name in node.input[2:]} & {"DequantizeLinear"}


@pytest.mark.parametrize("family", FAMILIES)
def test_it_is_within_its_band(kitchen: Kitchen, files: dict[str, Path], family: str) -> None:
    import onnxruntime as ort

    runtime = ort.InferenceSession(str(files[family]), providers=["CPUExecutionProvider"])
    names = [spec.name for spec in WORKLOADS[family].io(1, WORKLOADS[family].default_length).fetched]
    found = verify.check(
        kitchen.made(family).reference, lambda x: dict(zip(names, runtime.run(names, x), strict=True)), 1
    )
    assert verify.judge(found, kitchen.band(family, PRECISION, "tensorrt")) == ""
