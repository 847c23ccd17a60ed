"""What the name of a CUDA kernel tells of its arithmetic. Standard library alone.

Libraries choose the arithmetic of a product of fp32 operands themselves where they may: what they chose is in
the kernel's name, and nowhere else.
"""

from __future__ import annotations

import re

# How libraries name the arithmetic of a product: by the types of what it multiplies (`f32f32`, `tf32`,
# `bf16`, `e4m3`; cuBLAS's newest by letters: s, t for bf16, h, q for E4M3), else by the shape of the tensor
# core's instruction, where 1688 is TF32 unless a type of 16 bits was named.
NAMED = (
    ("fp8", re.compile(r"e4m3|e5m2|float8|fp8|nvjet_q", re.IGNORECASE)),
    ("tf32", re.compile(r"tf32|nvjet_s")),
    ("bf16", re.compile(r"bf16|bfloat16|nvjet_t", re.IGNORECASE)),
    ("fp16", re.compile(r"f16|fp16|half|hgemm|h16816|h1688|h884|nvjet_h", re.IGNORECASE)),
    ("int8", re.compile(r"imma|i8816|i16832|int8|s8_", re.IGNORECASE)),
    ("tf32", re.compile(r"s1688")),
    ("fp32", re.compile(r"sgemm|f32f32_f32f32|ffma|simt_s", re.IGNORECASE)),
)
MULTIPLIES = re.compile(
    r"gemm|gemv|xmma|cutlass|nvjet|wgmma|conv(?!ert)|winograd|fmha|flash|attention|_mm_|_bmm|_addmm|dot",
    re.IGNORECASE,
)
UNNAMED = 0.5  # share of the products' time in kernels that do not tell, from which on nothing is proven


def named(kernel: str) -> str:
    """The arithmetic that the name of a product's kernel tells, or ''."""
    return next((precision for precision, pattern in NAMED if pattern.search(kernel)), "")


def multiplies(kernel: str) -> bool:
    """Whether a kernel may multiply matrices, by its name."""
    return bool(MULTIPLIES.search(kernel))


def short(kernel: str) -> str:
    """A kernel's name without its template's arguments, which take hundreds of characters."""
    plain = kernel.removeprefix("void ").partition("<")[0].partition("(")[0]
    return plain[:60]
