"""What kernels tell of their arithmetic: names as libraries write them, and traces as PyTorch's profiler
does.
"""

from __future__ import annotations

from typing import Any

import pytest

from backends.support.cuda_kernels import fullness, named
from backends.support.profiles import weigh
from backends.torch.cuda import kernels


@pytest.mark.parametrize(
    ("kernel", "precision"),
    [
        ("ampere_sgemm_128x64_tn", "fp32"),
        ("sm80_xmma_gemm_f32f32_f32f32_f32_tn_n_tilesize128x64x8_stage3_warpsize2x2x1_ffma_aligna4", "fp32"),
        ("void cutlass::Kernel2<cutlass_80_simt_sgemm_128x64_8x5_tn_align1>(Params)", "fp32"),
        ("void cutlass::Kernel2<cutlass_80_tensorop_s1688gemm_128x128_16x5_tn_align4>(Params)", "tf32"),
        ("sm80_xmma_fprop_implicit_gemm_tf32f32_tf32f32_f32_nhwckrsc_nchw_tilesize128x128x16", "tf32"),
        ("sm90_xmma_gemm_f32f32_tf32f32_f32_tn_n_tilesize64x64x32_warpgroupsize1x1x1", "tf32"),
        ("ampere_bf16_s16816gemm_bf16_128x128_ldg8_f2f_stages_32x5_tn", "bf16"),
        ("sm90_xmma_gemm_bf16bf16_bf16f32_f32_tn_n_tilesize128x128x64", "bf16"),
        ("nvjet_tst_192x192_64x4_2x1_v_bz_coopB_TNT", "bf16"),
        ("nvjet_hsh_128x256_64x4_1x2_h_bz_coopA_TNN", "fp16"),
        ("ampere_fp16_s16816gemm_fp16_128x64_ldg8_f2f_stages_64x4_tn", "fp16"),
        ("turing_fp16_s1688gemm_fp16_128x128_ldg8_f2f_tn", "fp16"),
        ("void cutlass::Kernel2<cutlass_80_tensorop_i16832gemm_s8_128x128>(Params)", "int8"),
        ("sm90_xmma_gemm_e4m3bf16_e4m3f32_f32_tn_n_tilesize128x128x128", "fp8"),
        ("nvjet_qqtst_128x256_128x6_2x1_v_bz_coopA_TNT", "fp8"),
        ("nvjet_sm90_qqtst_128x128_128x6_1x2_h_bz_ovscale_TNT", "fp8"),
        ("nvjet_sm120_qqtst_mma_128x128_64x4", "fp8"),
        ("nvjet_sm90_tst_192x8_64x8_2x1_v_bz_TNT", "bf16"),
        ("nvjet_sm100_tst_256x128_64x5_2x2_2cta_h_bz_TNT", "bf16"),
        ("nvjet_sm103_hsh_64x8_64x16_1x1_h_bz_splitK_NNT", "fp16"),
        ("nvjet_sm90_hss_320x128_64x3_1x2_h_bz_coopB_NNT", "fp16"),
        ("nvjet_sm90_sss_128x128_32x4_1x2_h_bz_TNN", "tf32"),
        ("nvjet_sss_128x256_32x4_TNT", "tf32"),
        ("void cutlass::device_kernel<cutlass::gemm::kernel::GemmUniversal<cutlass::float_e4m3_t>>", "fp8"),
        ("triton_tem_fused_addmm_3", ""),
    ],
)
def test_names_of_kernels(kernel: str, precision: str) -> None:
    assert named(kernel) == precision


def operation(number: int, name: str, *types: str) -> dict[str, Any]:
    return {
        "cat": "cpu_op",
        "name": name,
        "ts": number,
        "dur": 5,
        "args": {"External id": number, "Input type": types},
    }


def kernel(number: int, name: str, microseconds: float, device: int = 0) -> dict[str, Any]:
    args = {"External id": number, "device": device, "stream": 7}
    return {"cat": "kernel", "name": name, "ts": 100 + number, "dur": microseconds, "args": args}


def trace(*events: dict[str, Any]) -> dict[str, Any]:
    other = [
        {"cat": "cuda_runtime", "name": "cudaLaunchKernel", "args": {"External id": 1}},
        {"ph": "M", "name": "x"},
    ]
    return {"traceEvents": [*other, *events]}


RESNET = trace(
    operation(1, "aten::cudnn_convolution", "float", "float"),
    kernel(1, "void cudnn::ops::convertTensor_kernel<float>(float)", 2),
    kernel(1, "sm80_xmma_fprop_implicit_gemm_f32f32_f32f32_f32_nhwckrsc_nchw_tilesize128", 60),
    operation(2, "aten::cudnn_batch_norm", "float"),
    kernel(2, "void cudnn::bn_fw_inf_1C11_kernel_NCHW<float>(float)", 30),
    operation(3, "aten::addmm", "float", "float", "float"),
    kernel(3, "ampere_sgemm_32x32_sliced1x4_tn", 10),
)


def test_a_profile_that_lost_its_beginning_is_not_the_quickest() -> None:
    assert max([40, 9], [9], [38, 9], key=fullness) == [38, 9]


def test_products_and_what_stands_beside_them() -> None:
    found, unnamed, devices = kernels(RESNET, "fp32")
    assert [(one.product, one.precision, one.ns) for one in found] == [
        (False, "fp32", 2000),
        (True, "fp32", 60_000),
        (False, "fp32", 30_000),
        (True, "fp32", 10_000),
    ]
    assert (unnamed, devices) == (0, {0})
    fact, shares = weigh(found, "trace")
    assert (fact.value, fact.evidence) == ("fp32", "executed")
    assert shares["products_by_precision"] == {"fp32": 1.0}


def test_tf32_that_nobody_asked_for_shows() -> None:
    made = trace(
        operation(1, "aten::addmm", "float", "float"),
        kernel(1, "void cutlass::Kernel2<cutlass_80_tensorop_s1688gemm_128x128_16x5_tn_align4>(Params)", 60),
    )
    found, unnamed, _ = kernels(made, "fp32")
    assert (found[0].precision, unnamed) == ("tf32", 0)


@pytest.mark.parametrize("asked", ["fp32", "tf32"])
def test_a_kernel_whose_name_does_not_tell_is_what_was_set_and_counted(asked: str) -> None:
    made = trace(
        operation(1, "triton_tem_fused_addmm_3", "float", "float"),
        kernel(1, "triton_tem_fused_addmm_3", 75),
        operation(2, "aten::addmm", "float", "float"),
        kernel(2, "sm90_xmma_gemm_f32f32_tf32f32_f32_tn_n", 25),
    )
    found, unnamed, _ = kernels(made, asked)
    assert [one.precision for one in found] == [asked, "tf32"]
    assert unnamed == pytest.approx(0.75)


def test_types_of_16_bits_need_no_name() -> None:
    made = trace(
        operation(1, "triton_tem_fused_mm_3", "c10::BFloat16", "c10::BFloat16"),
        kernel(1, "triton_tem_fused_mm_3", 75),
        operation(2, "aten::_flash_attention_forward", "c10::BFloat16"),
        kernel(2, "void pytorch_flash::flash_fwd_kernel<Flash_fwd_kernel_traits<64>>(Params)", 20, device=1),
    )
    found, unnamed, devices = kernels(made, "bf16")
    assert [(one.precision, one.product) for one in found] == [("bf16", True), ("bf16", True)]
    assert (unnamed, devices) == (0, {0, 1})


def test_kernels_of_a_graph_have_no_operation_of_their_own() -> None:
    made = trace(
        kernel(9, "nvjet_tst_192x192_64x4_2x1_v_bz_coopB_TNT", 50), kernel(9, "triton_poi_fused_relu_1", 5)
    )
    found, unnamed, _ = kernels(made, "bf16")
    assert (found[0].precision, found[0].product) == ("bf16", True)
    assert not found[1].product
    assert unnamed == 0
