"""What oneDNN and MKL print of CTranslate2's products, and the embedding that is made of its states."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from backends.ctranslate2 import model
from backends.ctranslate2.backend import _pooled
from backends.ctranslate2.profile import MARK, heard
from backends.support import onednn
from backends.support.profiles import Operation

ONEDNN = """onednn_verbose,info,oneDNN v3.1.1 (commit 7f59ae1)
onednn_verbose,info,cpu,runtime:OpenMP,nthr:2
onednn_verbose,info,prim_template:operation,engine,primitive,implementation,prop_kind,…,exec_time
{run}
{mark}
{run}
{mark}
{quick}
{mark}
"""
INT8 = (
    "onednn_verbose,exec,cpu,gemm_api,,undef,src_u8::blocked:ab:f0 wei_s8::blocked:ba:f0 "
    "dst_s32::blocked:ab:f0,,,16x32:32x96,{ms}"
)
FP32 = (
    "onednn_verbose,exec,cpu,gemm_api,,undef,src_f32::blocked:ab:f0 wei_f32::blocked:ba:f0 "
    "dst_f32::blocked:ab:f0,attr-oscale:common:0.25 ,,12x16:16x12,{ms}"
)
MKL = """MKL_VERBOSE oneMKL 2025 Update 3 Product build 20251007 for Intel(R) 64 architecture
MKL_VERBOSE GEMM_S8U8S32_PACK(A,T,96,1,32,0x56383,32,0x7fc1) 126.35us CNR:OFF Dyn:1 FastMM:1 TID:0  NThr:2
{mark}
MKL_VERBOSE GEMM_S8U8S32_PACK_GET_SIZE(B,1,96,32) 25.90us CNR:OFF Dyn:1 FastMM:1 TID:0  NThr:2
MKL_VERBOSE GEMM_S8U8S32_COMPUTE(P,N,C,96,16,32,0x7f,32,96) 216.66us CNR:OFF Dyn:1 FastMM:1 TID:0  NThr:2
MKL_VERBOSE SGEMM_BATCH_STRIDED(T,N,12,12,16,0x7fc1,4) 1.5ms CNR:OFF Dyn:1 FastMM:1 TID:0  NThr:2
{mark}
"""


def test_onednns_products_count_with_their_least_time() -> None:
    slow = "\n".join([INT8.format(ms="0.5"), FP32.format(ms="0.25")])
    quick = "\n".join([INT8.format(ms="0.125"), FP32.format(ms="9.7e-04")])
    said = heard(ONEDNN.format(run=slow, quick=quick, mark=MARK))
    assert (said.library, said.threads) == ("oneDNN", 2)
    assert said.products == (
        Operation("gemm_api u8 s8", "int8", 125_000.0, True),
        Operation("gemm_api f32 f32", "fp32", 970.0, True),
    )


def test_newer_onednn_prints_otherwise() -> None:
    line = (
        "onednn_verbose,v1,primitive,exec,cpu,matmul,brg_matmul:avx512_core_vnni,undef,"
        "src:u8:a:blocked:ab::f0 wei:s8::blocked:AB16a64b4a::f8:zpm2 dst:f32:a:blocked:ab::f0,"
        "attr-scratchpad:user,,4x64:64x64,{ms}"
    )
    assert onednn.product(line.format(ms="0.5")) == Operation("matmul u8 s8", "int8", 500_000.0, True)
    mixed = line.replace("wei:s8", "wei:f32")
    assert onednn.product(mixed.format(ms="0.5")) == Operation("matmul u8 f32", "", 500_000.0, True)
    assert onednn.product(line.replace("exec", "create:cache_hit").format(ms="0.5")) is None
    reorder = "onednn_verbose,v1,primitive,exec,cpu,reorder,jit:uni,undef,src:f32::a dst:s8::a,,,64x64,0.1"
    assert onednn.product(reorder) is None
    assert onednn.threads("onednn_verbose,v1,info,cpu,runtime:OpenMP,nthr:2") == 2


def test_mkls_products_are_no_packing() -> None:
    said = heard(MKL.format(mark=MARK))
    assert (said.library, said.threads) == ("MKL", 2)
    assert [(one.kind, one.precision, one.ns) for one in said.products] == [
        ("gemm_s8u8s32_compute", "int8", pytest.approx(216_660.0)),
        ("sgemm_batch_strided", "fp32", pytest.approx(1.5e6)),
    ]


def test_a_library_that_says_nothing_leaves_nothing() -> None:
    said = heard(f"{MARK}\n{MARK}\n")
    assert (said.library, said.products, said.threads) == ("", (), 0)


def test_padding_has_no_part_in_the_mean() -> None:
    states = np.zeros((2, 3, 2), np.float32)
    states[0] = [[3.0, 4.0], [3.0, 4.0], [100.0, -7.0]]
    states[1] = [[0.0, 2.0], [0.0, 5.0], [0.0, 1.0]]
    found = _pooled(states, np.array([2, 3], np.int32))
    np.testing.assert_allclose(found, [[0.6, 0.8], [0.0, 1.0]], rtol=1e-6)
    assert found.dtype == np.float32


@pytest.mark.parametrize("content", [b"", b"\x06\0\0\0\x17", b"garbage" * 9])
def test_a_file_that_is_no_model_is_told(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "model.bin"
    path.write_bytes(content)
    with pytest.raises(ValueError, match="does not begin as a model"):
        model.kind(path)
