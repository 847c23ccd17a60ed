"""ONNX files in 16 bits: one type throughout, float32 at the edges, state in the type, right."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import onnx
import pytest
from onnx import TensorProto

from bench.interfaces.errors import UnsupportedCase
from bench.interfaces.tensors import Array
from bench.worker import verify
from tests.helpers.small_models import WORKLOADS, Kitchen

TYPES = {"fp16": (TensorProto.FLOAT16, np.float16), "bf16": (TensorProto.BFLOAT16, ml_dtypes.bfloat16)}
PRODUCTS = ("Conv", "Gemm", "MatMul")
Infer = Callable[[dict[str, Array]], Mapping[str, Array]]
CELLS = [(family, precision) for family in ("cnn", "encoder", "decoder", "prefill") for precision in TYPES]


@pytest.fixture(scope="module")
def files(kitchen: Kitchen) -> Callable[[str, str], Path]:
    """The file of a family in a precision."""
    made: dict[tuple[str, str], Path] = {}

    def file(family: str, precision: str) -> Path:
        if (family, precision) not in made:
            _, made[family, precision] = kitchen.convert(family, "onnx-half", precision)
        return made[family, precision]

    return file


def feeds(family: str, precision: str, inputs: Mapping[str, Array]) -> dict[str, Array]:
    io = WORKLOADS[family].io(1, WORKLOADS[family].default_length)
    state = TYPES[precision][1]
    return {name: array.astype(state) if name in io.carried else array for name, array in inputs.items()}


def session(path: Path, family: str, precision: str) -> Infer:
    """ONNX Runtime on a CPU: it casts to fp32 and back around each operation."""
    import onnxruntime as ort

    runtime = ort.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    names = [spec.name for spec in WORKLOADS[family].io(1, WORKLOADS[family].default_length).fetched]
    return lambda x: dict(zip(names, runtime.run(names, feeds(family, precision, x)), strict=True))


def evaluator(path: Path, family: str, precision: str) -> Infer:
    """ONNX's reference: NumPy in the type itself, sums too."""
    from onnx.reference import ReferenceEvaluator

    runtime = ReferenceEvaluator(onnx.load(path))
    names = [spec.name for spec in WORKLOADS[family].io(1, WORKLOADS[family].default_length).fetched]
    return lambda x: dict(zip(names, runtime.run(names, feeds(family, precision, x)), strict=True))


@pytest.mark.parametrize(("family", "precision"), CELLS)
def test_it_is_of_one_type_and_float32_at_its_edges(
    files: Callable[[str, str], Path], family: str, precision: str
) -> None:
    model = onnx.load(files(family, precision))
    onnx.checker.check_model(model, full_check=True)
    io = WORKLOADS[family].io(1, WORKLOADS[family].default_length)
    kept = {*io.carried, *(out for out, _ in io.state)}
    for value in (*model.graph.input, *model.graph.output):
        kind = value.type.tensor_type.elem_type
        assert kind == (TYPES[precision][0] if value.name in kept else kind)
        assert value.name in kept or kind in (TensorProto.FLOAT, TensorProto.INT64)
    constants = {tensor.name: tensor.data_type for tensor in model.graph.initializer}
    used = [
        constants[name]
        for n in model.graph.node
        if n.op_type in PRODUCTS
        for name in n.input
        if name in constants
    ]
    assert used
    assert set(used) == {TYPES[precision][0]}


@pytest.mark.parametrize("family", ["cnn", "encoder", "decoder", "prefill"])
def test_fp16_is_within_its_band(kitchen: Kitchen, files: Callable[[str, str], Path], family: str) -> None:
    infer = session(files(family, "fp16"), family, "fp16")
    found = verify.check(kitchen.made(family).reference, infer, 1)
    assert verify.judge(found, kitchen.band(family, "fp16")) == ""


# The reference adds up a prompt's attention in bf16, one by one, which no runtime does.
@pytest.mark.parametrize("family", ["cnn", "encoder", "decoder"])
def test_bf16_is_within_its_band(kitchen: Kitchen, files: Callable[[str, str], Path], family: str) -> None:
    infer = evaluator(files(family, "bf16"), family, "bf16")
    found = verify.check(kitchen.made(family).reference, infer, 1)
    assert verify.judge(found, kitchen.band(family, "bf16")) == ""


def test_other_precisions_are_refused(kitchen: Kitchen) -> None:
    with pytest.raises(UnsupportedCase, match="made in fp16 or bf16, not in tf32"):
        kitchen.convert("cnn", "onnx-half", "tf32")


def test_batches_stay_open(files: Callable[[str, str], Path]) -> None:
    import onnxruntime as ort

    runtime = ort.InferenceSession(str(files("cnn", "fp16")), providers=["CPUExecutionProvider"])
    (spec,) = WORKLOADS["cnn"].io(3, None).inputs
    image: Any = np.ones(spec.shape, np.float32)
    assert runtime.run(None, {spec.name: image})[0].shape[0] == 3
