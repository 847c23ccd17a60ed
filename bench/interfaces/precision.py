"""What the words for precisions mean. Standard library alone.

`fp32`, `bf16`, `fp16` are the type of weights and activations; `tf32` is fp32 whose products keep ten bits of
fraction, as a GPU's tensor cores take them. What is quantised names how it came to be:

| word | weights | activations |
| --- | --- | --- |
| `int8:qdq` | int8, a scale an output channel | 8 bits, a range from calibration, in the ONNX file |
| `int8:native` | the same by the runtime's own quantiser | the same |
| `int8-dynamic` | int8, a scale an output channel | 8 bits, a range found at each inference |
| `int8-weight` | int8, a scale an output channel | floats; some runtimes quantise blocks on the fly |
| `int4-weight[:GROUP]` | int4, a scale for each GROUP weights of a channel | as before |
| `fp8:qdq` | fp8, a scale a tensor; the rest is fp16 | fp8, a range from calibration, in the ONNX file |
| `fp8-dynamic` | fp8, a scale an output channel; the rest is bf16 | fp8, a row's range at each inference |

fp8 is E4M3 in its variant of finite numbers (arXiv:2209.05433, OCP OFP8): 4 bits of exponent, 3 of fraction.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

GROUP = 32
TENSOR = -1
ENOUGH = 0.5  # of the weights of products: a quantiser that takes less makes rows of another precision
FLOAT_BYTES = {"fp32": 4, "tf32": 4, "bf16": 2, "fp16": 2}

Activations = Literal["static", "dynamic", "none"]
EIGHT_BITS: dict[str, Activations] = {
    "int8:qdq": "static",
    "int8:native": "static",
    "int8-dynamic": "dynamic",
    "int8-weight": "none",
    "fp8:qdq": "static",
    "fp8-dynamic": "dynamic",
}
FP8_MOST = 448.0  # the greatest number of E4M3
GROUPS = ("16", "32", "64", "128", "256")


@dataclass(frozen=True, slots=True)
class Scheme:
    """How a model is quantised: bits of a weight, weights that share a scale (0: an output channel, TENSOR:
    all of a tensor), what becomes of activations, and whether the bits are a float's (E4M3) in place of an
    integer's."""

    bits: Literal[8, 7, 4]
    group: int
    activations: Activations
    floats: bool = False


def scheme(arithmetic: str) -> Scheme | None:
    """What a precision means that is quantised; None for another. Raises ValueError for an unknown one."""
    if arithmetic in EIGHT_BITS:
        shared = TENSOR if arithmetic == "fp8:qdq" else 0
        return Scheme(8, shared, EIGHT_BITS[arithmetic], floats=arithmetic.startswith("fp8"))
    plain, _, group = arithmetic.partition(":")
    if plain == "int4-weight" and (not group or group in GROUPS):
        return Scheme(4, int(group or GROUP), "none")
    if plain.startswith(("int", "fp8")):
        known = ", ".join([*EIGHT_BITS, "int4-weight"])
        raise ValueError(f"{arithmetic!r} is no precision; there are {known}, int4-weight:{'|'.join(GROUPS)}")
    return None


def word(arithmetic: str) -> str:
    """Without the group: what tables of support are keyed by."""
    return arithmetic.partition(":")[0] if arithmetic.startswith("int4-weight") else arithmetic


def runs_as(arithmetic: str) -> str:
    """What a profile shows where it ran: `int8` or `fp8` where both sides of the products are, `int8-weight`
    and `int4-weight` where the weights alone are, else the type of the floats."""
    return arithmetic.partition(":")[0].removesuffix("-dynamic")


def item_bytes(arithmetic: str) -> float:
    """Bytes of a weight."""
    how = scheme(arithmetic)
    return how.bits / 8 if how else FLOAT_BYTES[arithmetic]
