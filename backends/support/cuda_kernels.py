"""What the name of a CUDA kernel tells of its arithmetic. Standard library alone.

Libraries choose the arithmetic of a product of fp32 operands themselves where they may: what they chose is in
the kernel's name, and nowhere else.
"""

from __future__ import annotations

import re
from collections.abc import Collection

# The grammar of NVIDIA's kernels (`f32f32_tf32f32_f32`): operands and result, what is multiplied and what it
# is summed in, the epilogue.
GRAMMAR = re.compile(r"_(tf32|bf16|f16|f32|i8|u8|e4m3|e5m2)(?:f32|f16|bf16|i32)_(?:f32|f16|bf16|i32|i8|e4m3)")
MULTIPLIED = {"f16": "fp16", "f32": "fp32", "i8": "int8", "u8": "int8", "e4m3": "fp8", "e5m2": "fp8"}
# Else libraries name the types of what is multiplied, cuBLAS's newest by letters, from 13 on behind the
# architecture (`nvjet_tst_…`, `nvjet_sm90_tst_…`: s for TF32, t for bf16, h, q for E4M3), or the shape of the
# tensor core's instruction, where 1688 is TF32 unless a type of 16 bits was named.
JET = r"nvjet_(?:sm\d+[a-z]?_)?"
NAMED = (
    ("fp8", re.compile(rf"e4m3|e5m2|float8|fp8|{JET}q", re.IGNORECASE)),
    ("tf32", re.compile(rf"tf32|{JET}s(?!m\d)", re.IGNORECASE)),
    ("bf16", re.compile(rf"bf16|bfloat16|{JET}t", re.IGNORECASE)),
    ("fp16", re.compile(rf"f16|fp16|half|hgemm|hcudnn|16816|h1688|h884|{JET}h", re.IGNORECASE)),
    ("int8", re.compile(r"imma|i8816|i16832|int8|s8_", re.IGNORECASE)),
    ("tf32", re.compile(r"s1688(?!\d)", re.IGNORECASE)),
    ("fp32", re.compile(r"sgemm|scudnn|f32f32_f32f32|ffma|simt_s", re.IGNORECASE)),
)
MULTIPLIES = re.compile(
    r"gemm|gemv|xmma|cutlass|nvjet|wgmma|conv(?!ert)|winograd|fmha|flash|attention|_mm_|_bmm|_addmm|dot",
    re.IGNORECASE,
)
UNNAMED = 0.5  # share of the products' time in kernels that do not tell, from which on nothing is proven


def named(kernel: str) -> str:
    """The arithmetic that the name of a product's kernel tells, or ''."""
    found = (precision for precision, pattern in NAMED if pattern.search(kernel))
    return by_grammar(kernel) or next(found, "")


def by_grammar(kernel: str) -> str:
    """What a name in NVIDIA's grammar says is multiplied, or ''."""
    match = GRAMMAR.search(kernel)
    return MULTIPLIED.get(match[1], match[1]) if match else ""


def multiplies(kernel: str) -> bool:
    """Whether a kernel may multiply matrices, by its name."""
    return bool(MULTIPLIES.search(kernel))


def fullness(spent: Collection[float]) -> tuple[int, float]:
    """By which the best of several profiles of one run is the greatest: that of most kernels, and of those
    the quickest. With CUDA 12.6 to 13.0 a profile loses kernels at its beginning, one more each time
    (pytorch/pytorch#192021).

    Args:
        spent: ns of each kernel.
    """
    return len(spent), -sum(spent)


def short(kernel: str) -> str:
    """A kernel's name without its template's arguments, which take hundreds of characters."""
    plain = kernel.removeprefix("void ").partition("<")[0].partition("(")[0]
    return plain[:60]
