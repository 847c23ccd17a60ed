"""Runs and cases as the store keeps them, as plain data."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from bench.interfaces.case import Case


@dataclass(slots=True)
class CaseRecord:
    """A case within a run, with what `prepare` learnt about it.

    Attributes:
        case: the case.
        baseline: whether its group is compared with it.
        unit: what one sample of the batch is (`image`, `sequence`).
        cost: `flops`, `bytes` and `parameters` of one inference at this batch, empty if unknown.
        band: `low`, `high`, `rule`; empty if nothing is verified.
        model: `format`, `sha256`, `lineage` of the model file; empty if none.
    """

    case: Case
    baseline: bool = False
    unit: str = "inference"
    cost: dict[str, Any] = field(default_factory=dict)
    band: dict[str, Any] = field(default_factory=dict)
    model: dict[str, Any] = field(default_factory=dict)


@dataclass(slots=True)
class RunRecord:
    """A run: one call of `bakeoff run`, and its resumptions.

    Attributes:
        state: `running` (or killed while so), `finished`, `interrupted`.
        suite: the suite as plain data, flags applied.
        machine: `bench.machine.fingerprint.fingerprint()`.
        versions: of bakeoff, Python and the runtimes.
        command: the arguments after `bakeoff`, to run it again.
        seconds: wall time by phase (`prepare`, `measure`), summed over resumptions.
        relevant: the relevant difference as a fraction.
        notes: sentences about the run as a whole.
    """

    id: str
    name: str
    state: str
    started: str
    finished: str | None = None
    suite: dict[str, Any] = field(default_factory=dict)
    machine: dict[str, Any] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)
    command: list[str] = field(default_factory=list)
    seconds: dict[str, float] = field(default_factory=dict)
    relevant: float = 0.02
    notes: list[str] = field(default_factory=list)


def now() -> str:
    """The time in UTC, ISO 8601, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")
