"""What layers computed in, from the inspector's JSON as TensorRT 8.6 to 11 write it.

Structure, layer types, tactics and the words for types are those of engines that others have published:
NVIDIA's trt-engine-explorer (ResNet QAT on an A100), NVIDIA/TensorRT issues 3583 (TF32, 9.1) and 4397 (BERT,
10.10), and NVIDIA's schema of 11's (`Format` and `Datatype` apart).
"""

from __future__ import annotations

import json
from typing import Any

import pytest

from backends.tensorrt.layers import Layer, layers, named, precision_of, profile

WORDS = "Thirty-two wide channel vectorized row major Int8 format"
HALVES = "Thirty-two wide channel vectorized row major FP16 format"
OLD: list[dict[str, Any]] = [  # a quantised convolution with its residual, 8.6 to 10
    {
        "Name": "QuantizeLinear_15",
        "LayerType": "Reformat",
        "Inputs": [{"Name": "a", "Dimensions": [1, 64, 56, 56], "Format/Datatype": "Row major linear FP32"}],
        "Outputs": [{"Name": "b", "Dimensions": [1, 64, 56, 56], "Format/Datatype": WORDS}],
        "Origin": "QDQ",
        "TacticValue": "0x00000000000003ea",
    },
    {
        "Name": "conv1.weight + QuantizeLinear_32 + Conv_34 + Add_36 + Relu_37",
        "LayerType": "CaskConvolution",
        "Inputs": [
            {"Name": "b", "Format/Datatype": WORDS},
            {"Name": "r", "Format/Datatype": HALVES},
        ],
        "Outputs": [{"Name": "c", "Format/Datatype": HALVES}],
        "ParameterType": "Convolution",
        "Weights": {"Type": "Int8", "Count": 36864},
        "TacticName": "sm80_xmma_fprop_implicit_gemm_interleaved_i8f16_i8i32_f32_nchw_vect_c_32kcrs",
        "TacticValue": "0xe2bc5a4963d23ad0",
    },
    {
        "Name": "MaxPool_12",
        "LayerType": "CaskPooling",
        "Inputs": [{"Name": "c", "Format/Datatype": "Row major linear FP32"}],
        "Outputs": [{"Name": "d", "Format/Datatype": "Row major linear FP32"}],
        "TacticName": "sm50_xmma_pooling_coalescedC_NHWC_kMAX_3_False",
    },
]
MYELIN: list[dict[str, Any]] = [  # of a BERT, 10.10
    {
        "Name": "/encoder/layers_10/output/MatMul_myl0_77",
        "LayerType": "gemm",
        "Inputs": [{"Name": "m", "Dimensions": [1, 40, 1024], "Format/Datatype": "Half"}],
        "Outputs": [{"Name": "n", "Dimensions": [1, 40, 256], "Format/Datatype": "Half"}],
        "TacticName": "sm80_xmma_gemm_f16f16_f16f16_f16_nn_n_tilesize32x32x64_stage6_warpsize2x2x1",
        "StreamId": 0,
        "Metadata": "[ONNX Layer: /encoder/layers.10/output/MatMul]",
    },
    {
        "Name": "__myl_AddCastMeanSubMulMeanAddSqrtDivMulCastMulAdd_myl0_78",
        "LayerType": "kgen",
        "Inputs": [{"Name": "n", "Format/Datatype": "Half"}],
        "Outputs": [{"Name": "o", "Format/Datatype": "Half"}],
        "TacticName": "__myl_AddCastMeanSubMulMeanAddSqrtDivMulCastMulAdd_0xf2543c36ff9f104bbb1655b0183afb47",
    },
    {
        "Name": "__myl_MulSum_myl0_0",
        "LayerType": "kgen",
        "Inputs": [{"Name": "w", "Format/Datatype": "Float"}, {"Name": "x", "Format/Datatype": "Float"}],
        "Outputs": [{"Name": "y", "Format/Datatype": "Float"}],
        "TacticName": "__myl_MulSum_0xfa6c1858aea1b13b03f90165d7bf16ec",
    },
    {
        "Name": "_gemm_mha_v2_myl0_12",
        "LayerType": "kgen",
        "Inputs": [{"Name": "q", "Format/Datatype": "Half"}],
        "Outputs": [{"Name": "v", "Format/Datatype": "Half"}],
        "TacticName": "_gemm_mha_v2_0xdeb7",
    },
]
NEW: list[dict[str, Any]] = [  # 11
    {
        "Name": "/pooler/MatMul_myl0_3",
        "LayerType": "gemm",
        "Inputs": [{"Name": "x", "Dimensions": [1, 768], "Format": "Row major", "Datatype": "BFloat16"}],
        "Constants": [{"Name": "w", "Dimensions": [768, 768], "Format": "Row major", "Datatype": "BFloat16"}],
        "Outputs": [{"Name": "y", "Dimensions": [1, 768], "Format": "Row major", "Datatype": "Float"}],
        "TacticName": "sm90_xmma_gemm_bf16f32_bf16f32_f32_tn_n_tilesize64x64x64_warpgroupsize1x1x1",
    },
    {
        "Name": "product",
        "LayerType": "conv",
        "Inputs": [{"Name": "x", "Format": "Row major", "DataType": "Float"}],
        "Outputs": [{"Name": "y", "Format": "Row major", "DataType": "Float"}],
        "TacticName": "",
    },
]


def read(found: list[dict[str, Any]], **more: Any) -> list[Layer]:
    return layers(json.dumps({"Layers": found, **more}))


def test_words_of_the_older_ones() -> None:
    quantise, convolution, pooling = read(OLD, Bindings=["a", "d"])
    assert (quantise.kind, quantise.precision, quantise.product) == ("Reformat", "int8", False)
    assert (convolution.precision, convolution.product, convolution.told) == ("int8", True, True)
    assert (pooling.precision, pooling.product) == ("fp32", False)


def test_a_product_of_integers_is_one_whatever_is_added_to_it() -> None:
    added_first = {**OLD[1], "Inputs": OLD[1]["Inputs"][::-1], "TacticName": ""}
    (convolution,) = read([added_first])
    assert (convolution.precision, convolution.product, convolution.told) == ("int8", True, True)


def test_generated_kernels_are_named_after_what_they_do() -> None:
    gemm, sums, small, attention = read(MYELIN)
    assert (gemm.kind, gemm.precision, gemm.product) == ("gemm", "fp16", True)
    assert sums.kind == "kgen AddCastMeanSubMulMeanAddSqrtDivMulCastMu"
    assert (sums.precision, sums.product) == ("fp16", False)
    # Its hash spells a type.
    assert (small.kind, small.precision, small.product, small.told) == ("kgen MulSum", "fp32", True, False)
    assert (attention.precision, attention.product, attention.told) == ("fp16", True, True)


def test_types_and_layouts_apart() -> None:
    gemm, convolution = read(NEW, **{"I/O Tensors": [{"Name": "x", "IOMode": "Input", "DataType": "Float"}]})
    assert (gemm.precision, gemm.product, gemm.told) == ("bf16", True, True)
    assert (convolution.precision, convolution.product, convolution.told) == ("fp32", True, False)


def test_shapes_that_are_open_leave_the_weights_type() -> None:
    (one,) = read(
        [
            {
                "Name": "Conv",
                "LayerType": "CaskConvolution",
                "Inputs": [{"Name": "x", "Format/Datatype": "N/A due to dynamic shapes"}],
                "Outputs": [{"Name": "y", "Format/Datatype": "N/A due to dynamic shapes"}],
                "Weights": {"Type": "Half", "Count": 9408},
            }
        ]
    )
    assert (one.precision, one.product) == ("fp16", True)


def test_an_engine_that_only_names_its_layers_proves_nothing() -> None:
    known = layers(json.dumps({"Layers": ["conv1 + relu", "[trainStation1]"], "Bindings": ["x"]}))
    assert [(layer.name, layer.precision, layer.product) for layer in known] == [
        ("conv1 + relu", "", False),
        ("[trainStation1]", "", False),
    ]


@pytest.mark.parametrize(
    ("tactic", "precision"),
    [
        (
            "sm80_xmma_gemm_f32f32_tf32f32_f32_nn_n_tilesize128x128x16_stage4_warpsize2x2x1_tensor16x8x8",
            "tf32",
        ),
        ("sm80_xmma_fprop_implicit_gemm_f32f32_tf32f32_f32_nhwckrsc_nhwc_tilesize128x128x16", "tf32"),
        ("sm80_xmma_gemm_f32f32_f32f32_f32_nn_n_tilesize64x64x8_stage3", "fp32"),
        ("sm80_xmma_fprop_implicit_gemm_interleaved_i8i8_i8i32_f32_nchw_vect_c_32kcrs", "int8"),
        ("sm89_xmma_gemm_e4m3bf16_e4m3f32_f32_tn_n_tilesize64x64x64", "fp8"),
        ("nvjet_sm90_qqtst_128x256_128x6_2x1_v_bz_coopA_TNT", "fp8"),
        ("nvjet_hsh_128x256_64x4_1x2_h_bz_coopA_TNN", "fp16"),
        ("ampere_fp32_icudnn_int8x4_128x64_relu_medium_nn_v1", "int8"),
        ("ampere_scudnn_128x64_relu_small_nn_v1", "fp32"),
        ("turing_s1688cudnn_fp16_128x128_ldg8_relu", "fp16"),
        ("ampere_s1688cudnn_128x128_ldg4_relu", "tf32"),
        ("ampere_s16816cudnn_bf16_128x128_ldg8_relu", "bf16"),
        ("ampere_h16816cudnn_256x64_ldg8_relu_exp_large_nhwc_tn_v1", "fp16"),
        ("volta_h884cudnn_256x64_ldg8_relu", "fp16"),
        ("maxwell_sgemm_128x64_nn", "fp32"),
        ("fmha_v2_flash_attention_fp16_S_128_32_sm80", "fp16"),
        ("__myl_MulSum_0xbf16", ""),
        ("_gemm_mha_v2_0x1bf16e", ""),
        ("", ""),
    ],
)
def test_a_tactic_tells_what_is_multiplied(tactic: str, precision: str) -> None:
    assert named(tactic) == precision


@pytest.mark.parametrize(
    ("text", "precision"),
    [
        *(("Half(64,1:8,...)", "fp16"), ("Row major linear FP16 format", "fp16"), ("Float", "fp32")),
        *(("Channel major FP32 format where channel % 4 == 0", "fp32"), ("BFloat16", "bf16"), ("FP8", "fp8")),
        *(("Int8", "int8"), ("Int32", ""), ("Int64", ""), ("Bool", ""), ("N/A due to dynamic shapes", "")),
    ],
)
def test_words_for_types(text: str, precision: str) -> None:
    assert precision_of(text) == precision


def test_a_profile_weighs_layers_by_their_names_in_order() -> None:
    known = [
        Layer("same", "gemm", "fp16", True),
        Layer("same", "conv", "int8", True),
        Layer("b", "Scale", "fp32", False),
    ]
    ran = profile(known, [("same", 0.5), ("b", 0.25), ("same", 0.125)], tf32=False)
    assert [(one.kind, one.precision, one.ns) for one in ran.operations] == [
        ("gemm", "fp16", 5e5),
        ("Scale", "fp32", 2.5e5),
        ("conv", "int8", 1.25e5),
    ]
    assert (ran.untold, ran.unknown) == (0, 0)


def test_where_tf32_may_be_used_an_untold_product_counts_as_such() -> None:
    known = [Layer("told", "gemm", "fp32", True), Layer("untold", "conv", "fp32", True, told=False)]
    times = [("told", 0.25), ("untold", 0.75)]
    allowed, forbidden = profile(known, times, tf32=True), profile(known, times, tf32=False)
    assert [one.precision for one in allowed.operations] == ["fp32", "tf32"]
    assert (allowed.untold, forbidden.untold) == (0.75, 0)
    assert [one.precision for one in forbidden.operations] == ["fp32", "fp32"]


def test_time_of_layers_that_nobody_knows_is_told() -> None:
    ran = profile(
        [Layer("a", "gemm", "fp16", True)], [("a", 0.25), ("{ForeignNode[x...y]}", 0.75)], tf32=False
    )
    assert ran.unknown == 0.75
    assert ran.operations[1].precision == ""
