"""Profiles of what a runtime executed: operations, and the precision in which the most time was spent."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from bench.interfaces.backend import Fact

# How runtimes spell their element types → the precision of the arithmetic.
PRECISIONS = {
    **dict.fromkeys(("float64", "double", "f64"), "fp64"),
    **dict.fromkeys(("float32", "float", "f32"), "fp32"),
    **dict.fromkeys(("float16", "half", "f16"), "fp16"),
    **dict.fromkeys(("bfloat16", "bf16"), "bf16"),
    **dict.fromkeys(("int8", "uint8", "i8", "u8"), "int8"),
    **dict.fromkeys(("float8_e4m3fn", "float8e4m3fn", "f8e4m3fn", "f8e4m3"), "fp8"),
}


@dataclass(frozen=True, slots=True)
class Operation:
    """One executed operation of a profile: what it is, its arithmetic ('' for none), its time in ns, and
    whether it multiplies matrices (a convolution does)."""

    kind: str
    precision: str
    ns: float
    product: bool = False


PROFILED = 3  # untimed runs


K = TypeVar("K", bound=Hashable)


def quickest(runs: Iterable[Sequence[Operation]]) -> list[Operation]:
    """Each operation with the least time that it took in any of several runs of the same operations: what
    others stole in one of them has no say."""
    return [min(same, key=lambda operation: operation.ns) for same in zip(*runs, strict=True)]


def least(runs: Iterable[Mapping[K, float]]) -> dict[K, float]:
    """Of each thing that the first run names its least time in any of them."""
    first, *others = runs
    return {name: min(ns, *(run.get(name, ns) for run in others)) for name, ns in first.items()}


def weigh(operations: Iterable[Operation], source: str) -> tuple[Fact, dict[str, Any]]:
    """The precision in which the most time was spent, as an `executed` fact, and the shares behind it.

    Products of matrices decide where there are any: what a precision makes faster is them, until the sums and
    normalisations around them, which stay in floats, take longer. Operations without arithmetic of their own
    (shapes, masks, indices) have no say. An operation too short for the profile's clock counts as 1 ns.
    """
    kinds: Counter[str] = Counter()
    everything: Counter[str] = Counter()
    products: Counter[str] = Counter()
    for operation in operations:
        spent = max(1, round(operation.ns))
        kinds[operation.kind] += spent
        if operation.precision:
            everything[operation.precision] += spent
            if operation.product:
                products[operation.precision] += spent
    shares = {
        "time_by_precision": _shares(everything),
        "products_by_precision": _shares(products),
        "time_by_operation": _shares(kinds, most=8),
    }
    decisive = _shares(products or everything)
    if not decisive:
        return Fact("none", "none", f"{source}: no arithmetic was seen"), shares
    of = "the products' time" if products else "the time"
    detail = ", ".join(f"{name} {share:.1%} of {of}" for name, share in decisive.items())
    return Fact(next(iter(decisive)), "executed", f"{source}: {detail}"), shares


def _shares(spent: Counter[str], most: int | None = None) -> dict[str, float]:
    total = spent.total() or 1
    return {name: round(part / total, 4) for name, part in spent.most_common(most)}
