"""What of the TVM backend needs no TVM: tiles, and ONNX files with their shapes settled."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from backends import _tvm_onnx
from backends._tiny import tiny_model
from backends._tvm_schedule import tile


@pytest.mark.parametrize("lanes", [8, 16])
@pytest.mark.parametrize("rows", [1, 7, 13, 56, 128])
@pytest.mark.parametrize("columns", [1, 10, 24, 64, 1000, 3072])
def test_a_tile_divides_and_fits_the_registers(rows: int, columns: int, lanes: int) -> None:
    registers = 2 * lanes
    height, width = tile(rows, columns, lanes, registers)
    assert rows % height == columns % width == 0
    assert height * -(-width // lanes) <= registers - 3


@pytest.mark.parametrize(
    ("extents", "lanes", "expected"),
    [((128, 768), 8, (4, 24)), ((56, 64), 8, (4, 16)), ((56, 64), 16, (7, 64)), ((1, 1000), 8, (1, 40))],
)
def test_tiles_worked_out_by_hand(extents: tuple[int, int], lanes: int, expected: tuple[int, int]) -> None:
    assert tile(*extents, lanes, 2 * lanes) == expected


def test_shapes_are_worked_out_and_nothing_else_changes() -> None:
    ort = pytest.importorskip("onnxruntime")
    tiny = tiny_model("encoder")
    path, io = tiny.file("onnx").path, tiny.io(3)
    model = _tvm_onnx.read(path, io)
    kinds = Counter(node.op_type for node in model.graph.node)
    assert not kinds & Counter({"Shape": 1, "ConstantOfShape": 1, "Range": 1})
    assert kinds["MatMul"]
    session = ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    assert [list(t.shape) for t in io.inputs] == [value.shape for value in session.get_inputs()]
    outputs = session.run([t.name_in_file for t in io.outputs], tiny.inputs(3))
    assert tiny.error(dict(zip((t.name for t in io.outputs), map(np.asarray, outputs), strict=True))) < 1e-5
