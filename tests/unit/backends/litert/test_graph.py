"""What LiteRT's profiler writes, and what it proves. LiteRT itself runs in the contract suite."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import pytest

from backends.litert import backend as litert_backend
from backends.litert import graph as litert_graph
from backends.litert import profile

# As LiteRT 2.3.0 writes it, shortened.
SUMMARY = """
=========================================== Run Order ===========================================
                  [node type] [start] [first] [avg ms]    [%]  [cdf%] [mem KB] [times called] [Name]
             EMBEDDING_LOOKUP   0.001   0.000    0.001 9.091% 13.636%    0.000              1 [Builtin]:1
            DEPTHWISE_CONV_2D   0.200   1.500    1.250 9.091% 13.636%    0.000              1 [Builtin]:2
Delegate/Softmax (NC, F32)      0.000   0.002    0.002 2.273% 50.000%    0.000              1 [Delegate]:1
 Delegate/Static Reshape (NC)   0.000   0.000    0.000 0.000% 100.00%    0.000              1 [Delegate]:2

===================================== Top by Computation Time =====================================
                  [node type] [start] [first] [avg ms]    [%]  [cdf%] [mem KB] [times called] [Name]
            DEPTHWISE_CONV_2D   0.200   1.500    1.250 9.091% 13.636%    0.000              1 [Builtin]:2
"""


def test_a_summary_is_read_in_run_order() -> None:
    assert profile.lines(SUMMARY) == [
        ("EMBEDDING_LOOKUP", "[Builtin]:1", 1000.0),
        ("DEPTHWISE_CONV_2D", "[Builtin]:2", 1_250_000.0),
        ("Delegate/Softmax (NC, F32)", "[Delegate]:1", 2000.0),
        ("Delegate/Static Reshape (NC)", "[Delegate]:2", 0.0),
    ]


@pytest.mark.skipif(find_spec("ai_edge_litert") is not None, reason="LiteRT is here")
def test_without_litert_there_is_no_profile() -> None:
    assert profile.runs(Path("model.tflite"), 1) == []


@pytest.mark.parametrize(
    ("kind", "precision", "product"),
    [
        ("Fully Connected (NC, F32) GEMM", "fp32", True),
        ("Fully Connected (NC, QS8, QC8W) GEMM", "int8", True),
        ("Fully Connected (NC, QD8, F32, QC8W) GEMM", "int8", True),
        ("Fully Connected (NC, QD8, F32, QB4W) GEMM", "int4-weight", True),
        ("Fully Connected (NC, F32, QC8W) GEMM", "int8-weight", True),
        ("Convolution (NHWC, QC8) DWConv", "int8", True),
        ("Batch Matrix Multiply (NC, F16) GEMM", "fp16", True),
        ("Softmax (NC, F32)", "fp32", False),
        ("Transpose (ND, X32) Transpose", "", False),
        ("Add (ND)", "", False),
    ],
)
def test_the_arithmetic_of_an_operator_of_xnnpack(kind: str, precision: str, product: bool) -> None:
    found = litert_graph._operation(f"Delegate/{kind}", "[Delegate]:0", 1.0, {})
    assert (found.kind, found.precision, found.product) == (kind, precision, product)


@pytest.mark.parametrize(
    ("operands", "precision"),
    [(("float32", "float32"), "fp32"), (("float32", "int8"), "int8"), (("int8", "int8"), "int8")],
)
def test_the_arithmetic_of_a_built_in_product(operands: tuple[str, str], precision: str) -> None:
    node = {"index": 7, "op_name": "DEPTHWISE_CONV_2D", "types": operands}
    found = litert_graph._operation("DEPTHWISE_CONV_2D", "[Builtin]:7", 1.0, {7: node})
    assert (found.precision, found.product) == (precision, True)
    assert litert_graph._operation("GATHER", "[Builtin]:7", 1.0, {7: node}).precision == ""


def test_what_runs_outside_of_xnnpack() -> None:
    """0 ─ A ─► 1 ─ B ─► 2 ─ C ─► 3 with B and C taken by the delegate."""
    graph = [("A", [0], [1]), ("B", [1, 9], [2]), ("C", [2], [3]), ("DELEGATE", [1, 9], [3])]
    nodes = [
        {"index": i, "op_name": name, "inputs": ins, "outputs": outs}
        for i, (name, ins, outs) in enumerate(graph)
    ]
    assert [node["op_name"] for node in litert_graph._outside(nodes, [3])] == ["A"]
    assert {node["op_name"] for node in litert_graph._outside(nodes[:3], [3])} == {"A", "B", "C"}


@pytest.mark.skipif(find_spec("ai_edge_litert") is not None, reason="LiteRT goes before it")
def test_the_older_package_serves_where_it_alone_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert litert_backend._module() == "ai_edge_litert.interpreter"
    (tmp_path / "tflite_runtime").mkdir()
    (tmp_path / "tflite_runtime" / "__init__.py").touch()
    monkeypatch.syspath_prepend(tmp_path)
    assert litert_backend._module() == "tflite_runtime.interpreter"
