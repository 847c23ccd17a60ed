"""Two configurations in turns until a verdict or the budget: `bakeoff ab A B`; A/A is A against itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from bench.suite.configuration import TWIN, Side
from bench.suite.flags import suite_from_flags
from bench.suite.suite import Suite

DEFAULT_BUDGET_S = 300.0


def ab_suite(base: Suite, a: Side, b: Side, flags: Mapping[str, Sequence[str] | str | None]) -> Suite:
    """A suite of two entries, the first the baseline, without anchor and null backend.

    Args:
        base: gives what neither the sides nor the flags say (its first workload, device, batch, threads).
        flags: as `suite_from_flags` takes them; `backends`, `baseline` and `profile` must be absent.

    Raises:
        UsageError: names the flag.
    """
    data = suite_from_flags(base, flags).to_dict()
    if not flags.get("workloads"):
        data["workloads"] = data["workloads"][:1]
    for entry in data["workloads"]:
        entry.pop("precisions", None)  # the sides say theirs
    entries = [_entry(a), _entry(b)]
    if entries[0] == entries[1]:
        entries[1]["twin"] = TWIN
    data |= {"name": "ab", "description": "", "backends": entries, "profile": "ab"}
    data |= {"anchor": False, "null": False}
    data.pop("baseline", None)
    data.setdefault("budget", DEFAULT_BUDGET_S)
    return Suite.from_dict(data)


def aa_suite(base: Suite, side: Side, flags: Mapping[str, Sequence[str] | str | None]) -> Suite:
    """A suite of one configuration twice, measured for the whole budget."""
    return ab_suite(base, side, side, flags).model_copy(update={"name": "aa", "profile": "aa"})


def _entry(side: Side) -> dict[str, Any]:
    entry: dict[str, Any] = {"name": side.backend}
    for key, field in (("precision", "precisions"), ("device", "devices"), ("threads", "threads")):
        if key in side.facts:
            entry[field] = [side.facts[key]]
    if "preset" in side.facts:
        entry["preset"] = [side.facts["preset"]]
    if side.options:
        entry["options"] = dict(side.options)
    return entry
