"""Which of two cases takes longer, by the rule that verdicts are made with."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from bench.compare.results import Results, Row
from bench.interfaces.estimate import Estimate
from bench.stats.pairing import Pairing
from bench.stats.verdict import judge_together
from bench.text.estimates import spread
from bench.text.numbers import significant


@dataclass(frozen=True, slots=True)
class Contrast:
    """The suspicion that `row` takes over `times` as long as `than`."""

    row: Row
    than: Row
    times: float = 1.0


def proven(results: Results, contrasts: Iterable[Contrast]) -> Iterator[tuple[Contrast, Estimate]]:
    """Those suspicions that the run proves, each with the ratio of the latencies and its interval.

    All are judged together, by at least the run's relevant difference. Of several about one row only the
    worst is told.
    """
    suspected, pairing = list(contrasts), Pairing(results.blocks)
    logs = {}
    for i, one in enumerate(suspected):
        found_logs = pairing.logs(one.row.case.id, one.than.case.id, _beside(results, one))
        logs[str(i)] = [log - math.log(one.times) for log in found_logs]
    found = judge_together(logs, results.run.relevant, results.looks)
    worst: dict[str, tuple[float, Contrast, Estimate]] = {}
    for i, one in enumerate(suspected):
        verdict, _ = found[str(i)]
        beyond, case_id = verdict.ratio.value or 0.0, one.row.case.id
        if verdict.word == "slower" and (case_id not in worst or beyond > worst[case_id][0]):
            worst[case_id] = beyond, one, _times(verdict.ratio, one.times)
    for _, one, ratio in worst.values():
        yield one, ratio


def told(ratio: Estimate, than: str) -> str:
    """`3.92 times as long as fp32 (±1.2 %)`."""
    return f"{significant(ratio.value)} times as long as {than} ({spread(ratio)})"


def _beside(results: Results, one: Contrast) -> list[str]:
    """What may have lived beside both: the group's baseline where they share one, and the anchor."""
    own, other = one.row.case.group, one.than.case.group
    groups = [group for group in results.groups if group.key == own == other]
    thirds = [*(group.baseline for group in groups), results.anchor]
    return [third.case.id for third in thirds if third is not None]


def _times(ratio: Estimate, factor: float) -> Estimate:
    value, low, high = (None if end is None else end * factor for end in (ratio.value, ratio.low, ratio.high))
    return Estimate(value, low, high, ratio.n)
