"""What is read of XLA's optimised program, of what IREE ran, and of a file of weights."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from backends.iree import backend as iree_backend
from backends.support.files import place
from backends.support.hlo import Instruction, instructions
from backends.support.profiles import Operation
from backends.support.stablehlo import WEIGHTS, read_weights

TEXT = """\
HloModule jit_run, is_scheduled=true, entry_computation_layout={(f32[1,8]{1,0})->(f32[1,4]{1,0}, s32[])}

FileNames
1 "model.py"

%region_1.14 (reduce_sum.3: f32[], reduce_sum.4: f32[]) -> f32[] {
  %reduce_sum.3 = f32[] parameter(0), metadata={op_name="reduce_sum"}
  ROOT %reduce_sum.5 = f32[] add(%reduce_sum.3, %reduce_sum.4), metadata={op_name="jit(dot)/reduce_sum"}
}

%fused_computation.2 (param_0: s8[1,7,7,512], param_1: s8[1,1,512,8]) -> s32[1,7,7,8] {
  %param_0 = s8[1,7,7,512]{3,2,1,0} parameter(0)
  %param_1 = s8[1,1,512,8]{3,2,1,0} parameter(1)
  ROOT %convolution.58 = s32[1,7,7,8]{3,2,1,0} convolution(%param_0, %param_1), dim_labels=b01f_01io->b01f
}

%fused_computation.3 (param_0.1: f32[1,8]) -> f32[1,8] {
  %param_0.1 = f32[1,8]{1,0} parameter(0)
  ROOT %multiply.1 = f32[1,8]{1,0} multiply(%param_0.1, %param_0.1)
}

ENTRY %main.9 (x.1: f32[1,8], w.1: bf16[8,4]) -> (f32[1,4], s32[]) {
  %x.1 = f32[1,8]{1,0} parameter(0)
  %w.1 = bf16[8,4]{1,0} parameter(1)
  %square_fusion = f32[1,8]{1,0} fusion(%x.1), kind=kLoop, calls=%fused_computation.3
  %ynn_fusion.7 = s32[1,7,7,8]{3,2,1,0} fusion(%a, %b), kind=kCustom, calls=%fused_computation.2, metadata={}
  %dot.5 = f32[1,4]{1,0} dot(%w.1, %square_fusion), lhs_contracting_dims={1}
  %call.2 = (f32[1,4]{1,0}, u8[64]{0}) custom-call(%x.1), custom_call_target="__onednn$matmul"
  %topk = (f32[1,4]{1,0}, s32[1,4]{1,0}) custom-call(%x.1), custom_call_target="TopK"
  ROOT %tuple.1 = (f32[1,4]{1,0}, s32[]) tuple(%dot.5, %n)
}
"""


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("dot.5", Instruction("dot", "bf16", True)),
        ("ynn_fusion.7", Instruction("fusion of convolution", "int8", True)),
        ("square_fusion", Instruction("fusion", "fp32", False)),
        ("call.2", Instruction("__onednn$matmul", "fp32", True)),
        ("topk", Instruction("TopK", "fp32", False)),
        ("tuple.1", Instruction("tuple", "fp32", False)),
        ("reduce_sum.5", Instruction("add", "fp32", False)),
    ],
)
def test_an_instruction_is_what_it_multiplies(name: str, expected: Instruction) -> None:
    assert instructions(TEXT)[name] == expected


def test_other_text_has_no_instructions() -> None:
    assert instructions('HloModule jit_run\n\nFileNames\n1 "model.py"\n') == {}


def test_weights_are_read_by_name_and_stay_where_they_lie(tmp_path: Path) -> None:
    """Against the format's own description; integers are left out."""
    kernel = np.arange(6, dtype=np.float32).reshape(2, 3)
    header = {
        "__metadata__": {"format": "pt"},
        "count": {"dtype": "I64", "shape": [], "data_offsets": [0, 8]},
        "kernel": {"dtype": "F32", "shape": [2, 3], "data_offsets": [8, 32]},
    }
    encoded = json.dumps(header).encode()
    origin = tmp_path / "origin.safetensors"
    origin.write_bytes(len(encoded).to_bytes(8, "little") + encoded + bytes(8) + kernel.tobytes())
    (tmp_path / "case").mkdir()
    place(origin, tmp_path / "case" / WEIGHTS)
    found = read_weights(tmp_path / "case")
    assert found.keys() == {"kernel"}
    np.testing.assert_array_equal(found["kernel"], kernel)
    assert (tmp_path / "case" / WEIGHTS).samefile(origin), "no second copy on the disk"


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("main_dispatch_3_matmul_like_16x12544x32_f32", Operation("matmul_like", "fp32", 1, True)),
        ("main_dispatch_12_batch_matmul_12x128x128x64_f16", Operation("batch_matmul", "fp16", 1, True)),
        ("main_dispatch_7_conv_56x56x96x3x3_i8xi8xi32", Operation("conv", "int8", 1, True)),
        ("main_dispatch_0_elementwise_128x768_i32xf32", Operation("elementwise", "fp32", 1)),
        ("main_dispatch_2_elementwise", Operation("elementwise", "", 1)),
    ],
)
def test_a_dispatch_is_what_iree_named_it(name: str, expected: Operation) -> None:
    assert iree_backend._operation(name, 1) == expected
