"""XNNPACK's operators as its profiles name them: `Fully Connected (NC, QD8, F32, QC8W) GEMM`."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from backends.support.profiles import Operation
from bench.interfaces.backend import Fact

# How those begin that multiply matrices.
PRODUCTS = ("Convolution", "Deconvolution", "Fully Connected", "Dynamic Fully", "Batch Matrix Multiply")
TYPES = re.compile(r"\(([^)]*)\)")


@dataclass(frozen=True, slots=True)
class Found:
    """What ran of a program that XNNPACK took part in, for `Actual`."""

    precision: Fact
    provider: Fact
    shares: Mapping[str, Any]


def operation(name: str, ns: float) -> Operation:
    """An operator that ran for `ns`."""
    types = TYPES.search(name)
    kind = name.partition(" #")[0]
    return Operation(kind, arithmetic(types[1].split(", ")) if types else "", ns, name.startswith(PRODUCTS))


def arithmetic(types: Sequence[str]) -> str:
    """QS8, QU8, QC8 are static, QD8, QP8 dynamic activations; QC8W, QC4W, QB4W are weights."""
    if any(one.endswith("4W") for one in types):
        return "int4-weight"
    if any(one[:3] in ("QS8", "QU8", "QD8", "QP8", "QDU") or one == "QC8" for one in types):
        return "int8"
    if "QC8W" in types:
        return "int8-weight"
    if any(one in ("F16", "PF16") for one in types):
        return "fp16"
    return "fp32" if any(one in ("F32", "PF32") for one in types) else ""
