"""Whether what ran is what was asked for, and whether a row may therefore win."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from bench.case import Case
from bench.results import RowStatus


def mismatch(case: Case, proofs: Sequence[Mapping[str, Any] | None]) -> str:
    """Why what ran is not what was asked for, or '' if every block proves that it is."""
    if case.role != "runtime":
        return ""
    for proof in proofs:
        if proof is None:
            return "unproven: the worker did not say what ran"
        asked = {"precision": _kind(case.target.arithmetic), "device": case.target.device}
        for name, want in asked.items():
            fact = proof[name]
            if fact["evidence"] == "none":
                return f"unproven {name}: {fact['detail'] or 'the runtime does not tell'}"
            ran = _kind(fact["value"]) if name == "precision" else fact["value"]
            if ran != want:
                return f"asked for {name} {want}, ran {ran} ({fact['evidence']})"
    return ""


def _kind(precision: str) -> str:
    """`int8:qdq` and `int8-dynamic` are both int8 arithmetic."""
    return precision.split(":")[0].split("-")[0]


def unranked_because(case: Case, status: RowStatus, differs: str, emulated: bool) -> str:
    """Why a row may not win, or '' if it may."""
    if case.role != "runtime":
        return f"it is the harness's own ({case.role})"
    if status != "ok":
        return status
    if differs:
        return differs
    return f"{case.target.arithmetic} is only emulated on this device" if emulated else ""
