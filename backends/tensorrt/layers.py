"""What an engine's layers computed in, from its inspector's JSON and a profile's times. Pure functions.

TensorRT fuses: a layer is named after all that went into it, and its tactic (the kernel) tells more than its
type. The arithmetic of a product is in the tactic's name where it follows the grammar of NVIDIA's kernels
(`f32f32_tf32f32_f32`: operands and result, what is multiplied and what it is summed in, the epilogue), else
it is the type of what the layer reads. JSON of TensorRT 10 has a tensor's layout and type in one string, in
words, that of 11 in two.
"""

from __future__ import annotations

import json
import re
from collections import defaultdict, deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from backends.support import cuda_kernels
from backends.support.profiles import Operation

TYPES = (
    ("bf16", re.compile(r"\b(bf16|bfloat16)\b", re.IGNORECASE)),
    ("fp16", re.compile(r"\b(half|fp16|float16)\b", re.IGNORECASE)),
    ("fp8", re.compile(r"\b(fp8|float8)", re.IGNORECASE)),
    ("int8", re.compile(r"\bu?int8\b", re.IGNORECASE)),
    ("fp32", re.compile(r"\b(float|fp32|float32)\b", re.IGNORECASE)),
)
MOVES = re.compile(
    r"reformat|pool|constant|shuffle|softmax|slice|cast|shape|noop|signal|wait|quantize|normali", re.I
)
MULTIPLIES = re.compile(
    r"conv(?!ert)|gemm|gemv|matmul|matrix.?multiply|fully.?connected|mha|attention|einsum", re.I
)
# In kernels that TensorRT generates ("kgen") a small product is a multiplication and its sum.
GENERATED = re.compile(r"gemm|gemv|mha|conv|MulSum|Dot", re.IGNORECASE)
TACTIC = re.compile(r"xmma|cudnn|cutlass|nvjet|gemm|gemv|mha|flash", re.IGNORECASE)
HASH = re.compile(r"_0x[0-9a-f]+$", re.IGNORECASE)  # of a generated kernel; by chance it may spell a type
SIGNATURE = re.compile(r"^_*myl_|_myl\d+(_\d+)?$", re.IGNORECASE)
UNTOLD = 0.5  # share of the products' time whose arithmetic nothing tells, from which on nothing is proven


@dataclass(frozen=True, slots=True)
class Layer:
    """A layer of an engine.

    Attributes:
        kind: its type; of a generated kernel what it does.
        precision: of its arithmetic, '' for none.
        product: whether it multiplies matrices.
        told: False where it multiplies fp32 and its tactic does not tell how.
    """

    name: str
    kind: str
    precision: str
    product: bool
    told: bool = True


@dataclass(frozen=True, slots=True)
class Profile:
    """Of one run the operations, and the shares of the products' time that nothing tells the arithmetic of,
    and of all time that belongs to no layer which the inspector knows."""

    operations: list[Operation]
    untold: float
    unknown: float


def layers(inspected: str) -> list[Layer]:
    """Of the inspector's JSON. An engine that was not built with DETAILED verbosity only names its layers."""
    found = json.loads(inspected)["Layers"]
    return [_layer(one) if isinstance(one, Mapping) else Layer(str(one), "", "", False) for one in found]


def profile(known: Sequence[Layer], times: Iterable[tuple[str, float]], tf32: bool) -> Profile:
    """One run's operations.

    Args:
        known: layers of the engine; those that share a name are taken in their order.
        times: (layer, ms) as the profiler reported them.
        tf32: whether the engine may multiply fp32 as TF32: then a product of fp32 whose tactic tells nothing
            is taken for such a one, and counted as untold.
    """
    waiting: defaultdict[str, deque[Layer]] = defaultdict(deque)
    for layer in known:
        waiting[layer.name].append(layer)
    operations, untold, unknown = [], 0.0, 0.0
    for name, ms in times:
        ns, same = ms * 1e6, waiting[name]
        if not same:
            unknown += ns
            operations.append(Operation("of no known layer", "", ns))
            continue
        layer = same.popleft()
        same.append(layer)
        precision = layer.precision
        if layer.product and not layer.told and tf32:
            untold, precision = untold + ns, "tf32"
        operations.append(Operation(layer.kind, precision, ns, layer.product))
    everything = sum(one.ns for one in operations)
    products = sum(one.ns for one in operations if one.product)
    return Profile(
        operations, untold / products if products else 0.0, unknown / everything if everything else 0.0
    )


def _layer(one: Mapping[str, Any]) -> Layer:
    name, kind, tactic = one.get("Name", ""), one.get("LayerType", ""), one.get("TacticName") or ""
    generated = kind.lower() == "kgen"
    if generated:
        kind = f"kgen {_signature(tactic or name)}"
    product = _multiplies(kind, tactic, generated)
    read = _precision([*one.get("Inputs", ()), *one.get("Constants", ())], product)
    written = _precision(one.get("Outputs", ()), False)
    if not product:
        return Layer(name, kind, written or read, False)
    said = named(tactic)
    held = precision_of(str(_mapping(one.get("Weights")).get("Type", "")))
    by_type = read or held or written
    return Layer(name, kind, said or by_type, True, told=bool(said) or by_type not in ("fp32", ""))


def named(tactic: str) -> str:
    """The arithmetic that a tactic's name tells, or ''."""
    tactic = HASH.sub("", tactic)
    if TACTIC.search(tactic):
        return cuda_kernels.named(tactic)
    return cuda_kernels.by_grammar(tactic)


def precision_of(text: str) -> str:
    """Of a tensor's type, written as either version does; '' for what has no arithmetic of its own."""
    return next((precision for precision, pattern in TYPES if pattern.search(text)), "")


def _precision(tensors: Iterable[Mapping[str, Any]], product: bool) -> str:
    """The first type of tensors that has arithmetic; of a product the integers', where it has any: what is
    added to it may be floats."""
    found = [precision for tensor in tensors if (precision := precision_of(_typed(tensor)))]
    narrow = [one for one in found if one in ("int8", "fp8")]
    return next(iter(narrow if product and narrow else found), "")


def _typed(tensor: Mapping[str, Any]) -> str:
    """What a tensor's entry says of its type: 11 has it apart, 10 in one string with its layout."""
    apart = tensor.get("Datatype", tensor.get("DataType"))
    return str(
        apart if apart is not None else tensor.get("Format/Datatype", tensor.get("Format/DataType", ""))
    )


def _multiplies(kind: str, tactic: str, generated: bool) -> bool:
    if generated:
        return bool(GENERATED.search(kind))
    if MOVES.search(kind):
        return False
    return bool(MULTIPLIES.search(kind) or MULTIPLIES.search(tactic))


def _signature(name: str) -> str:
    """`__myl_AddResMulSum_0xb391…` → `AddResMulSum`."""
    return SIGNATURE.sub("", HASH.sub("", name)).strip("_")[:40]


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}
