"""Whether what ran is what was asked for, and whether a row may therefore win."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from bench.compare.results import RowStatus
from bench.interfaces.case import Case
from bench.interfaces.precision import runs_as

ASKED = "asked for"  # how the reason begins where something else ran; where nothing is known: `unproven`


def mismatch(case: Case, proofs: Sequence[Mapping[str, Any]]) -> str:
    """Why what ran is not what was asked for, or '' if there is a proof and each says that it is."""
    if case.role != "runtime":
        return ""
    if not proofs:
        return "unproven: the worker did not say what ran"
    for proof in proofs:
        asked = {"precision": runs_as(case.target.arithmetic), "device": case.target.device}
        for name, want in asked.items():
            fact = proof[name]
            if name == "precision" and proof["emulated"]:
                continue  # asked for as such, labelled, and not ranked
            if fact["evidence"] == "none":
                return f"unproven {name}: {fact['detail'] or 'the runtime does not tell'}"
            if fact["value"] != want:
                return f"{ASKED} {name} {want}, ran {fact['value']} ({fact['evidence']})"
    return ""


def unranked_because(case: Case, status: RowStatus, differs: str, emulated: bool) -> str:
    """Why a row may not win, or '' if it may."""
    if case.role != "runtime":
        return f"it is the harness's own ({case.role})"
    if status != "ok":
        return status
    if differs:
        return differs
    return f"{case.target.arithmetic} is only emulated on this device" if emulated else ""
