"""One JSON object a line, for scripts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any, TextIO

from bench.interfaces.block import Block
from bench.interfaces.case import Case
from bench.interfaces.plain import as_dict
from bench.text import strict_json


class JsonProgress:
    """Every event as it comes: `{"event": "burst", "case": "…", …}`; samples are left to `export`."""

    def __init__(self, out: TextIO) -> None:
        self._out = out

    def __call__(self, event: str, facts: Mapping[str, Any]) -> None:
        strict_json.say({"event": event, **_plain(event, facts)}, self._out)

    def __enter__(self) -> JsonProgress:
        return self

    def __exit__(self, *_: object) -> None:
        return None


def _plain(event: str, facts: Mapping[str, Any]) -> dict[str, Any]:
    if event == "run":
        plan = facts["plan"]
        refused = [{"case": c.id, "label": c.label, "status": s, "reason": r} for c, s, r in plan.refused]
        cases = [{"case": case.id, "label": case.label} for case in plan.cases]
        return {"run": facts["run"].id, "store": str(facts["store"]), "cases": cases, "refused": refused}
    if event == "replicate":
        return {**asdict(facts["step"]), "parts": facts["parts"]}
    if event == "done":
        return {"run": facts["run"].id, "state": facts["run"].state, "seconds": facts["run"].seconds}
    return {key: _value(value) for key, value in facts.items()}


def _value(value: Any) -> Any:
    if isinstance(value, Case):
        return value.id
    if isinstance(value, Block):
        facts = as_dict(value)
        for name in ("bursts", "host_ns", "device_ns", "own_ns"):
            del facts[name]
        return {**facts, "samples": int(value.host_ns.size)}
    return value
