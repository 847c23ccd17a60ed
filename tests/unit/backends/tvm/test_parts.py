"""What of the TVM backend needs no TVM: tiles, ONNX files with their shapes settled, and duels."""

from __future__ import annotations

import itertools
import json
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from backends.tvm import onnx, tuned
from backends.tvm.schedule import tile, vector
from bench.contract.models import tiny_model


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


@pytest.mark.parametrize(
    ("extent", "lanes", "expected"),
    [(64, 16, 16), (24, 16, 8), (1000, 16, 8), (12, 16, 4), (24, 8, 8), (12, 8, 4), (7, 16, 16)],
)
def test_a_vector_is_whole_where_a_half_or_a_quarter_is(extent: int, lanes: int, expected: int) -> None:
    assert vector(extent, lanes) == expected


def test_shapes_are_worked_out_and_nothing_else_changes() -> None:
    ort = pytest.importorskip("onnxruntime")
    tiny = tiny_model("encoder")
    path, io = tiny.file("onnx").path, tiny.io(3)
    model = onnx.read(path, io)
    kinds = Counter(node.op_type for node in model.graph.node)
    assert not kinds & Counter({"Shape": 1, "ConstantOfShape": 1, "Range": 1})
    assert kinds["MatMul"]
    session = ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    assert [list(t.shape) for t in io.inputs] == [value.shape for value in session.get_inputs()]
    outputs = session.run([t.name_in_file for t in io.outputs], tiny.inputs(3))
    assert tiny.error(dict(zip((t.name for t in io.outputs), map(np.asarray, outputs), strict=True))) < 1e-5


@pytest.mark.parametrize(
    ("costs", "trials", "expected"),
    [
        ({"a": 2.0, "b": 8.0, "c": 0.001}, 20, {"b": 16, "a": 4}),
        ({"a": 1.0, "b": 8.0}, 400, {"b": 64, "a": 64}),
        ({"a": 98.0, "b": 1.0, "c": 1.0}, 100, {"a": 64, "b": 18, "c": 18}),
        ({"a": 3.0, "b": 2.0}, 3, {"a": 2}),
        ({"a": 2.0, "b": 2.0, "c": 2.0}, 1, {"a": 1}),
        ({}, 20, {}),
    ],
)
def test_the_dearest_tasks_get_the_most_trials(
    costs: dict[str, float], trials: int, expected: dict[str, int]
) -> None:
    assert tuned.allot(costs, trials) == expected


def test_a_duel_is_won_in_most_pairs() -> None:
    assert tuned.duel(lambda: 1.0, lambda: 2.0) == (True, 0.5)
    assert tuned.duel(lambda: 2.0, lambda: 1.0) == (False, 2.0)
    assert tuned.duel(lambda: 1.0, lambda: 1.0) == (False, 1.0), "a tie is no win"
    three_of_seven = itertools.cycle([0.5, 0.5, 0.5, 2.0, 2.0, 2.0, 2.0])
    assert tuned.duel(lambda: next(three_of_seven), lambda: 1.0) == (False, 2.0)


def test_the_proof_tells_what_a_search_kept(tmp_path: Path) -> None:
    assert tuned.told(tmp_path) == {}
    tasks = [{"task": "conv2d", "kept": True, "gain": 0.5}, {"task": "matmul", "kept": False, "gain": 1.1}]
    (tmp_path / tuned.REPORT).write_text(json.dumps({"kept": 1, "tasks": tasks}))
    assert tuned.told(tmp_path) == {"tuning": {"kept": 1, "gain_by_kernel": {"conv2d": 0.5}}}
