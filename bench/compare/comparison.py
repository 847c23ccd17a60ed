"""Two sides compared, as plain data, a gate over it, and the exit code. Made by `bench.compare.within_run`,
`bench.compare.across_runs` and `bench.compare.across_machines`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from bench.compare.environment_diff import Difference
from bench.compare.proof import ASKED
from bench.compare.results import Row
from bench.interfaces.block import BROKEN
from bench.interfaces.errors import EXIT_GATE, EXIT_NOTHING, EXIT_OK
from bench.stats.gate import GateResult, Rules, cannot_tell, closed, gate, gate_runs
from bench.stats.verdict import Verdict


@dataclass(frozen=True, slots=True)
class Loss:
    """What became in NEW of a case that BASE measured rightly: `gone` (not measured) or `broken`."""

    word: Literal["gone", "broken"]
    reason: str


@dataclass(frozen=True, slots=True)
class Comparison:
    """One case, or one pair of cases of a group. Ratios are NEW over BASE, times in seconds.

    Attributes:
        name: what both sides have in common.
        verdict: with the ratio, the interval and the reason.
        base, new: latency of one inference.
        raw: across runs the ratio of the latencies as they are, which holds the machine's own change too.
        logs: within a run the log ratio of each replicate that both lived in.
        units: across runs the log ratios to the anchor of BASE's and of NEW's runs, one a run.
        judged: whether `logs` or `units` may carry a verdict; a gate goes by that.
        settle: the command that settles what is open, or ''.
        loss: what NEW lost of it; None where NEW measured it as asked, or BASE did not.
    """

    name: str
    verdict: Verdict
    base: float | None = None
    new: float | None = None
    raw: float | None = None
    logs: tuple[float, ...] = ()
    units: tuple[tuple[float, ...], tuple[float, ...]] = ((), ())
    judged: bool = True
    settle: str = ""
    loss: Loss | None = None


@dataclass(frozen=True, slots=True)
class Compared:
    """All comparisons that were made together.

    Attributes:
        kind: `within` a run, paired by rounds; `across` runs, through the anchor; of `machines`, latencies as
            they are.
        base, new: what the sides are, a line for each run or the configuration.
        relevant: the least difference that matters, as a fraction.
        looks: the numbers of replicates at which was looked; () across runs.
        differences: what differs between the environments.
        notes: sentences that hold for all comparisons.
        anchor: the anchor's latency in BASE and in NEW, seconds; None within a run.
        only_base, only_new: cases that the other side lacks.
        gone: those of `only_base` that BASE measured rightly.
    """

    kind: Literal["within", "across", "machines"]
    base: tuple[str, ...]
    new: tuple[str, ...]
    relevant: float
    comparisons: tuple[Comparison, ...]
    looks: tuple[int, ...] = ()
    differences: tuple[Difference, ...] = ()
    notes: tuple[str, ...] = ()
    anchor: tuple[float, float] | None = None
    only_base: tuple[str, ...] = ()
    only_new: tuple[str, ...] = ()
    gone: tuple[str, ...] = ()

    @property
    def nothing(self) -> str:
        """Why nothing could be judged, or ''. A case that broke in NEW is judged: it is broken."""
        if not self.comparisons:
            return "no case is on both sides"
        if all(one.verdict.word == "not comparable" and one.loss is None for one in self.comparisons):
            return "no case can be compared, each for the reason above"
        return ""


def loss(base: Sequence[Row], new: Sequence[Row]) -> Loss | None:
    """What NEW lost of one case, by its rows in the runs of both sides: all of BASE's are ok, one of NEW's is
    not."""
    if not base or any(row.status != "ok" or _otherwise(row) for row in base):
        return None
    for row in new:
        if row.status in BROKEN:
            return Loss("broken", f"ok in BASE, in NEW {row.status}: {_first_line(row.reason)}")
        if row.status != "ok":
            return Loss("gone", f"ok in BASE, in NEW {row.status}: {_first_line(row.reason)}")
        if _otherwise(row):
            return Loss("broken", f"ran as asked in BASE, in NEW not: {row.mismatch}")
    return None


def _otherwise(row: Row) -> bool:
    """Whether something else ran than was asked for, which is more than being unproven."""
    return row.mismatch.startswith(ASKED)


def _first_line(reason: str) -> str:
    return (reason.splitlines() or ["no reason was recorded"])[0]


def gates(compared: Compared, threshold: float) -> tuple[GateResult, ...]:
    """What a gate says of each comparison, in their order, and of each of `gone` after them.

    Args:
        threshold: the least slow-down that closes the gate, as a fraction.
    """
    judged = {str(i): one for i, one in enumerate(compared.comparisons) if one.judged}
    if compared.kind == "within":
        found = gate({key: one.logs for key, one in judged.items()}, threshold, compared.looks)
    else:
        found = gate_runs({key: one.units for key, one in judged.items()}, threshold)
    said = [found.get(str(i)) or _unjudged(one) for i, one in enumerate(compared.comparisons)]
    return (*said, *(GateResult("gone", reason="NEW has no such case") for _ in compared.gone))


@dataclass(frozen=True, slots=True)
class Gate:
    """A gate over a comparison: what it says of each comparison, and then of each of `gone`.

    `nothing` is why nothing could be judged, or ''.
    """

    rules: Rules
    results: tuple[GateResult, ...]
    nothing: str = ""

    @property
    def state(self) -> Literal["open", "closed", "nothing to judge"]:
        if self.nothing:
            return "nothing to judge"
        return "closed" if closed(self.results, self.rules) else "open"

    @property
    def exit_code(self) -> int:
        return {"open": EXIT_OK, "closed": EXIT_GATE, "nothing to judge": EXIT_NOTHING}[self.state]


def gated(compared: Compared, rules: Rules) -> Gate:
    """The gate over a comparison."""
    return Gate(rules, gates(compared, rules.threshold), compared.nothing)


def exit_code(compared: Compared, gate: Gate | None = None) -> int:
    """The exit code of a comparison, with a gate if there is one."""
    if gate is not None:
        return gate.exit_code
    return EXIT_NOTHING if compared.nothing else EXIT_OK


def _unjudged(one: Comparison) -> GateResult:
    if one.loss:
        return GateResult(one.loss.word, one.verdict.ratio, reason=one.loss.reason)
    return cannot_tell(f"{one.verdict.word}: {one.verdict.reason}", one.verdict.ratio)
