"""What the store keeps beside blocks, as plain data."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal

from bench.interfaces.case import Case
from bench.interfaces.estimate import Estimate


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
        origin: what the model was: `door` (how it came in: `built-in`, `plugin`), `digest` (of its definition
            and weights), and `plan` (inputs, outputs and axes, where they were found out and not written by
            hand); empty for the harness's own and in stores of before schema 3.
        reference: what outputs are compared with: `source` (`torch-fp64`) and `sha256`; empty for none,
            and in stores of before schema 3.
    """

    case: Case
    baseline: bool = False
    unit: str = "inference"
    cost: dict[str, Any] = field(default_factory=dict)
    band: dict[str, Any] = field(default_factory=dict)
    model: dict[str, Any] = field(default_factory=dict)
    origin: dict[str, Any] = field(default_factory=dict)
    reference: dict[str, Any] = field(default_factory=dict)


@dataclass(slots=True)
class RoundRecord:
    """A round of a part: when it was, and what is known of the machine's state meanwhile.

    Attributes:
        part, round: as of its blocks and bursts.
        began_ns: after the first round of the part was begun.
        took_ns: to the end of its last burst.
        probe_ns: what the harness's own probe took at its start and at its end; empty where none ran.
        slowness: logarithm of how much slower the machine was than when it was fast; None where not known.
        state: `fast`, `slow`, or '' where it cannot be told.
    """

    part: int
    round: int
    began_ns: int
    took_ns: int
    probe_ns: list[int] = field(default_factory=list)
    slowness: float | None = None
    state: str = ""


EstimateKind = Literal["as-seen", "fast-state"]


@dataclass(frozen=True, slots=True)
class EstimateRecord:
    """What was said of a comparison when its run ended.

    Attributes:
        case_id, against: the case, and the one that it was compared with.
        kind: `as-seen` over all rounds, `fast-state` adjusted to the machine's own fast state.
        word: of the verdict.
        ratio: latency of the case over that of the other, with its interval over `n` replicates.
        by: the version of bakeoff that said so.
    """

    case_id: str
    against: str
    kind: EstimateKind
    word: str
    ratio: Estimate
    by: str


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
