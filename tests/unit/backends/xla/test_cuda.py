"""What ran on a GPU of a program that XLA compiled: optimised HLO as its compiler for GPUs writes it (as in
the examples in its own tests), and kernels as JAX's profile lists them."""

from __future__ import annotations

from dataclasses import dataclass, field
from importlib.metadata import EntryPoint
from typing import Any

import pytest

from backends.support.hlo import instructions
from backends.support.profiles import weigh
from backends.xla import cuda
from backends.xla.backend import BACKEND
from backends.xla.cuda import operations, table
from backends.xla.profile import Kernel, of_gpus
from backends.xla.program import CHANNELS_LAST
from bench.interfaces.backend import Support

COMMON = '"operation_queue_id":"0","wait_on_operation_queues":[],"force_earliest_schedule":false'
TRITON = (
    f'backend_config={{{COMMON},"fusion_backend_config":{{"kind":"__triton_nested_gemm_fusion",'
    '"block_level_fusion_config":{"num_warps":"4","output_tiles":[{"sizes":["32","16"]}],"num_stages":1}}}'
)


def program(of_dot: str, of_call: str, element: str = "f32") -> str:
    """`of_dot`, `of_call`: what an instruction and a library's configuration say of the operands."""
    return f"""\
HloModule jit_run, is_scheduled=true, entry_computation_layout={{({element}[32,32]{{1,0}})->{element}[32,32]{{1,0}}}}

%fused_add (param_0.3: {element}[32,32]) -> {element}[32,32] {{
  %param_0.3 = {element}[32,32]{{1,0}} parameter(0)
  ROOT %add.3.1 = {element}[32,32]{{1,0}} add(%param_0.3, %param_0.3)
}}

%gemm_fusion_dot.1_computation (parameter_0: {element}[32,32], parameter_1: {element}[32,32]) -> {element}[32,32] {{
  %parameter_0 = {element}[32,32]{{1,0}} parameter(0)
  %parameter_1 = {element}[32,32]{{1,0}} parameter(1)
  ROOT %dot.0 = {element}[32,32]{{1,0}} dot(%parameter_0, %parameter_1), lhs_contracting_dims={{1}}{of_dot}
}}

%command_buffer (p: {element}[32,32], p.1: {element}[1,32,32,1]) -> {element}[32,32] {{
  %p = {element}[32,32]{{1,0}} parameter(0)
  %p.1 = {element}[1,32,32,1]{{3,2,1,0}} parameter(1)
  %gemm_fusion_dot.1 = {element}[32,32]{{1,0}} fusion(%p, %p), kind=kCustom, calls=%gemm_fusion_dot.1_computation, {TRITON}
  %cublas-gemm.2 = ({element}[32,32]{{1,0}}, s8[4194304]{{0}}) custom-call(%gemm_fusion_dot.1, %p), custom_call_target="__cublas$gemm", backend_config={{{COMMON},"gemm_backend_config":{{"alpha_real":1,"beta":0,"precision_config":{{"operand_precision":[{of_call}],"algorithm":"ALG_UNSET"}},"epilogue":"DEFAULT"}}}}
  %cudnn-conv.1 = ({element}[1,32,32,8]{{3,2,1,0}}, u8[0]{{0}}) custom-call(%p.1, %p), window={{size=3x3 pad=1_1x1_1}}, dim_labels=b01f_o01i->b01f{of_dot}, custom_call_target="__cudnn$convForward", backend_config={{{COMMON},"cudnn_conv_backend_config":{{"activation_mode":"kNone"}}}}
  ROOT %loop_add_fusion = {element}[32,32]{{1,0}} fusion(%gemm_fusion_dot.1), kind=kLoop, calls=%fused_add
}}

ENTRY %main.2 (Arg_0.3: {element}[32,32], Arg_1.3: {element}[1,32,32,1]) -> {element}[32,32] {{
  %Arg_0.3 = {element}[32,32]{{1,0}} parameter(0)
  %Arg_1.3 = {element}[1,32,32,1]{{3,2,1,0}} parameter(1)
  ROOT %call = {element}[32,32]{{1,0}} call(%Arg_0.3, %Arg_1.3), to_apply=%command_buffer
}}
"""  # noqa: E501


FULL = program(", operand_precision={highest,highest}", '"HIGHEST","HIGHEST"')
FREE = program("", '"DEFAULT","DEFAULT"')
HALF = program("", '"DEFAULT","DEFAULT"', "bf16")
FFMA = "sm80_xmma_gemm_f32f32_f32f32_f32_tn_n_tilesize32x32x8_stage3_warpsize1x2x1_ffma_aligna4_alignc4"
ROUNDED = "sm90_xmma_gemm_f32f32_tf32f32_f32_tn_n_tilesize64x64x32_warpgroupsize1x1x1_execute_segment_k_off"
CONV = "void implicit_convolve_kernel<float, 128, 5, 5, 3, 3, 3, 1, true, false, true>(int, float*)"
TURNED = "void cudnn::ops::nchwToNhwcKernel<float, float, float, true, true>(nchw2nhwc_params_t<float>)"


def arithmetic(text: str, *kernels: Kernel, asked: str = "fp32") -> tuple[list[tuple[str, bool]], float]:
    found, untold = operations(text, kernels, asked)
    return [(one.precision, one.product) for one in found], untold


def test_lines_that_xla_wrote_for_an_h200() -> None:
    """From what jaxlib 0.12 compiled of the contract's models."""
    known = instructions(
        """\
%fused_computation.1.gemm_fusion_dot.1_computation (p: f32[12,32], p.1: f32[32,32]) -> f32[12,32] {
  %p = f32[12,32]{1,0} parameter(0)
  %p.1 = f32[32,32]{1,0} parameter(1)
  ROOT %dot.6 = f32[12,32]{1,0} dot(%p, %p.1), lhs_contracting_dims={1}, rhs_contracting_dims={1}
}

ENTRY %main.13 (x: f32[1,16,16,3], w: f32[16,3,3,3], b: f32[16]) -> f32[12,32] {
  %x = f32[1,16,16,3]{3,2,1,0} parameter(0)
  %w = f32[16,3,3,3]{3,2,1,0} parameter(1)
  %b = f32[16]{0} parameter(2)
  %cudnn-conv-bias-activation.6 = (f32[1,16,16,16]{3,2,1,0}, u8[0]{0}) custom-call(%x, %w, %b), """
        """window={size=3x3 pad=1_1x1_1}, dim_labels=b01f_o01i->b01f, """
        """operand_precision={highest,highest,default}, """
        """custom_call_target="__cudnn$convBiasActivationForward", backend_config={"operation_queue_id":"0"}
  %gemm_fusion_dot.1 = f32[12,32]{1,0} fusion(%x, %w), kind=kCustom, """
        """calls=%fused_computation.1.gemm_fusion_dot.1_computation, """
        """frontend_attributes={xla.no_invariant_operands="0",xla.pdl_launch="true"}, """
        """backend_config={"fusion_backend_config":{"kind":"__triton_nested_gemm_fusion"}}
}
"""
    )
    conv, dot = known["cudnn-conv-bias-activation.6"], known["gemm_fusion_dot.1"]
    assert (conv.product, conv.precision, conv.asked) == (True, "fp32", "highest")
    assert (dot.product, dot.precision, dot.asked) == (True, "fp32", "")
    assert dot.emitter == "__triton_nested_gemm_fusion"


def test_what_a_product_asks_of_its_operands() -> None:
    for text, asked in ((FULL, "highest"), (FREE, "")):
        known = instructions(text)
        for name in ("dot.0", "gemm_fusion_dot.1", "cublas-gemm.2", "cudnn-conv.1"):
            assert known[name].product
            assert (known[name].precision, known[name].asked) == ("fp32", asked), name
        assert known["gemm_fusion_dot.1"].emitter == "__triton_nested_gemm_fusion"
    assert (
        instructions(FREE.replace('"DEFAULT","DEFAULT"', '"DEFAULT","HIGHEST"'))["cublas-gemm.2"].asked
        == "highest"
    )
    assert instructions(FREE.replace('"DEFAULT","DEFAULT"', '"HIGH","HIGH"'))["cublas-gemm.2"].asked == "high"


@pytest.mark.parametrize(
    ("text", "kernel", "instruction", "precision"),
    [
        (FULL, FFMA, "cublas-gemm.2", "fp32"),
        (FREE, ROUNDED, "cublas-gemm.2", "tf32"),
        (FREE, FFMA, "cublas-gemm.2", "fp32"),  # allowed, and not done
        (FULL, ROUNDED, "cublas-gemm.2", "tf32"),  # done, and not allowed: the kernel has the last word
        (FULL, CONV, "cudnn-conv.1", "fp32"),  # the name says nothing, and the instruction leaves one alone
        (HALF, CONV, "cudnn-conv.1", "bf16"),
        (FULL, "gemm_fusion_dot_1", "", "fp32"),
        (FREE, "gemm_fusion_dot_1", "", "tf32"),  # Triton's emitter has no choice either
        (HALF, "gemm_fusion_dot_1", "gemm_fusion_dot.1", "bf16"),
        (FULL, ROUNDED, "", "tf32"),  # of a CUDA graph: nobody says which instruction
        (FREE, FFMA, "call", "fp32"),
        (FULL, CONV, "", "fp32"),  # nobody says which, and all of them leave one alone
        (HALF, CONV, "call", "bf16"),
    ],
)
def test_the_arithmetic_of_a_product(text: str, kernel: str, instruction: str, precision: str) -> None:
    assert arithmetic(text, Kernel(kernel, instruction, 10)) == ([(precision, True)], 0)


@pytest.mark.parametrize(
    ("text", "instruction"), [(FREE, "cudnn-conv.1"), (FREE, ""), (FREE, "call"), ("", "")]
)
def test_what_nothing_tells_is_taken_for_what_was_asked_and_counted(text: str, instruction: str) -> None:
    found, untold = arithmetic(
        text, Kernel(CONV, instruction, 30), Kernel(ROUNDED, "cublas-gemm.2", 10), asked="tf32"
    )
    assert found == [("tf32", True), ("tf32", True)]
    assert untold == pytest.approx(0.75)


def test_what_stands_beside_products_has_no_say() -> None:
    ran = (
        Kernel(TURNED, "cudnn-conv.1", 500),
        Kernel("loop_add_fusion", "", 400),
        Kernel("MemcpyD2D", "copy.1", 300),
        Kernel(FFMA, "cublas-gemm.2", 20),
    )
    found, untold = operations(FULL, ran, "fp32")
    assert [one.product for one in found] == [False, False, False, True]
    assert [one.precision for one in found] == ["", "fp32", "", "fp32"]
    assert untold == 0
    fact, shares = weigh(found, "kernels")
    assert (fact.value, shares["products_by_precision"]) == ("fp32", {"fp32": 1.0})


def test_a_program_without_a_text_is_told_by_its_kernels() -> None:
    assert arithmetic("", Kernel(ROUNDED, "", 5), Kernel("loop_add_fusion", "", 5)) == (
        [("tf32", True), ("", False)],
        0,
    )


@dataclass
class Event:
    name: str
    duration_ns: float
    stats: list[tuple[str, Any]] = field(default_factory=list)


@dataclass
class Line:
    name: str
    events: list[Event]


@dataclass
class Plane:
    name: str
    lines: list[Line]


def test_only_what_ran_on_the_streams_of_gpus_is_listed() -> None:
    started = [("correlation_id", 17), ("hlo_module", "jit_run"), ("hlo_op", "cublas-gemm.2")]
    planes = [
        Plane("/host:CPU", [Line("python", [Event("PjitFunction", 90, [("hlo_op", "cublas-gemm.2")])])]),
        Plane(
            "/device:GPU:1",
            [
                Line(
                    "Stream #14(Compute,MemcpyD2D)", [Event(FFMA, 20, started), Event("loop_add_fusion", 5)]
                ),
                Line("counters", [Event("power_mw", 0)]),
            ],
        ),
    ]
    assert of_gpus(planes) == [Kernel(FFMA, "cublas-gemm.2", 20, 1), Kernel("loop_add_fusion", "", 5, 1)]


@pytest.mark.parametrize(
    ("capability", "tf32", "bf16"),
    [
        ("7.5", "none", "emulated"),
        ("8.0", "native", "native"),
        ("9.0", "native", "native"),
        ("12.1",) + ("native",) * 2,
    ],
)
def test_what_a_gpu_computes(capability: str, tf32: str, bf16: str) -> None:
    found = table(capability, {"int8:qdq": Support("none", "why")})
    assert (found["tf32"].level, found["bf16"].level) == (tf32, bf16)
    assert found["fp32"].level == found["fp16"].level == "native"
    assert all(one.level == "native" or one.why for one in found.values())


@pytest.mark.parametrize(
    ("capability", "arithmetic", "last"),
    [
        ("9.0", "fp32", True),
        ("10.0", "bf16", True),
        ("8.6", "tf32", False),
        ("8.0", "bf16", True),
        ("7.5", "bf16", False),
        ("7.5", "fp16", True),
    ],
)
def test_where_channels_come_last(capability: str, arithmetic: str, last: bool) -> None:
    there, back = cuda.order(capability, arithmetic)
    assert (there == CHANNELS_LAST[0]) == last
    assert [there[i] for i in back] == [0, 1, 2, 3]


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("xla_cuda13", "jax_plugins.xla_cuda13", "13"),
        ("xla_cuda12", "jax_plugins.xla_cuda12", "12"),
        ("xla_rocm7", "jax_plugins.xla_rocm7", ""),
    ],
)
def test_the_cuda_of_jaxs_plugin(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, expected: str
) -> None:
    monkeypatch.setattr(cuda, "entry_points", lambda group: [EntryPoint(name, value, group)])
    assert cuda.built_for() == expected


def test_a_worker_of_a_gpu_leaves_the_others_room() -> None:
    from bench.interfaces.backend import Target

    found = BACKEND.environment(Target(device="cuda:0", threads=2))
    assert (found["JAX_PLATFORMS"], found["XLA_PYTHON_CLIENT_PREALLOCATE"]) == ("cuda", "false")
    assert "XLA_PYTHON_CLIENT_PREALLOCATE" not in BACKEND.environment(Target())
