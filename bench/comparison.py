"""Two sides compared, as plain data, and a gate over it. Made by `bench.within` and `bench.across`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from bench.decide import Verdict
from bench.differences import Difference
from bench.gate import GateResult, cannot_tell, gate, gate_runs


@dataclass(frozen=True, slots=True)
class Comparison:
    """One case, or one pair of cases of a group. Ratios are NEW over BASE, times in seconds.

    Attributes:
        name: what both sides have in common.
        verdict: with the ratio, the interval and the reason.
        base, new: latency of one inference.
        raw: across runs the ratio of the latencies as they are, which holds the machine's own change too.
        logs: within a run the log ratio of each generation that both lived in.
        units: across runs the log ratios to the anchor of BASE's and of NEW's runs, one a run.
        judged: whether `logs` or `units` may carry a verdict; a gate goes by that.
        settle: the command that settles what is open, or ''.
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


@dataclass(frozen=True, slots=True)
class Compared:
    """All comparisons that were made together.

    Attributes:
        kind: `within` a run, paired by rounds; `across` runs, through the anchor; of `machines`, latencies as
            they are.
        base, new: what the sides are, a line for each run or the configuration.
        relevant: the least difference that matters, as a fraction.
        looks: the numbers of generations at which was looked; () across runs.
        differences: what differs between the environments.
        notes: sentences that hold for all comparisons.
        anchor: the anchor's latency in BASE and in NEW, seconds; None within a run.
        only_base, only_new: cases that the other side lacks.
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


def gates(compared: Compared, threshold: float) -> tuple[GateResult, ...]:
    """What a gate says of each comparison, in their order, and of each case that NEW lacks after them.

    Args:
        threshold: the least slow-down that closes the gate, as a fraction.
    """
    judged = {str(i): one for i, one in enumerate(compared.comparisons) if one.judged}
    if compared.kind == "within":
        found = gate({key: one.logs for key, one in judged.items()}, threshold, compared.looks)
    else:
        found = gate_runs({key: one.units for key, one in judged.items()}, threshold)
    said = [found.get(str(i)) or _unjudged(one) for i, one in enumerate(compared.comparisons)]
    return (*said, *_missing(compared.only_base))


def _unjudged(one: Comparison) -> GateResult:
    return cannot_tell(f"{one.verdict.word}: {one.verdict.reason}", one.verdict.ratio)


def _missing(only_base: Sequence[str]) -> list[GateResult]:
    return [cannot_tell("NEW has no such case") for _ in only_base]
