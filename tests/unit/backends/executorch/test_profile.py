"""What is read of an ExecuTorch program and of its event tracer's dump."""

from __future__ import annotations

import pytest

from backends.executorch.profile import _operations
from backends.support.profiles import Operation
from backends.support.xnnpack import operation

PLAN = {
    "operators": [{"name": "aten::embedding"}, {"name": "aten::bmm"}],
    "values": [
        {"val_type": "Int", "val": {"int_val": 3}},
        {"val_type": "Tensor", "val": {"scalar_type": "HALF"}},
        {"val_type": "Tensor", "val": {"scalar_type": "LONG"}},
    ],
    "chains": [
        {
            "instructions": [
                {"instr_args": {"op_index": 0, "args": [2, 1]}},
                {"instr_args": {"delegate_index": 0, "args": [1]}},
                {"instr_args": {"op_index": 1, "args": [0, 1, 2]}},
            ]
        }
    ],
}


@pytest.mark.parametrize(
    ("name", "kind", "precision", "product"),
    [
        ("Fully Connected (NC, F32) GEMM #12", "Fully Connected (NC, F32) GEMM", "fp32", True),
        ("Convolution (NHWC, QC8) IGEMM #1", "Convolution (NHWC, QC8) IGEMM", "int8", True),
        ("Fully Connected (NC, QD8, F32, QC8W) GEMM #1", None, "int8", True),
        ("Fully Connected (NC, QD8, F32, QB4W) GEMM #1", None, "int4-weight", True),
        ("Fully Connected (NC, F32, QC8W) GEMM #1", None, "int8-weight", True),
        ("Batch Matrix Multiply (NC, F16) GEMM #1", None, "fp16", True),
        ("Softmax (NC, F32) #1", "Softmax (NC, F32)", "fp32", False),
        ("Transpose (ND, X32) #1", "Transpose (ND, X32)", "", False),
        ("Copy", "Copy", "", False),
    ],
)
def test_xnnpack_names_say_types_and_products(
    name: str, kind: str | None, precision: str, product: bool
) -> None:
    found = operation(name, 5.0)
    assert found.kind == (kind or name.removesuffix(" #1"))
    assert (found.precision, found.ns, found.product) == (precision, 5.0, product)


def test_calls_of_its_own_kernels_have_the_type_of_their_first_tensor() -> None:
    def event(start: int, **facts: object) -> dict[str, object]:
        return {"start_time": start, "end_time": start + 7, "chain_index": 0, **facts}

    events = [
        event(0, name="native_call_embedding.out", instruction_id=0),
        event(0, name="OPERATOR_CALL", instruction_id=0),
        event(9, instruction_id=1, delegate_debug_id_str="Softmax (NC, F32) #1"),
        event(9, name="DELEGATE_CALL", instruction_id=1),
        event(20, name="OPERATOR_CALL", instruction_id=2),
    ]
    assert _operations(events, PLAN) == [
        Operation("aten::embedding", "", 7),
        Operation("Softmax (NC, F32)", "fp32", 7),
        Operation("aten::bmm", "fp16", 7, product=True),
    ]
