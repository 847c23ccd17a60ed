"""How the cases of a run stand while it is measured."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from bench.interfaces.block import FAILURES, MEASURED, Block
from bench.interfaces.case import Case
from bench.plan.refusals import PREPARE
from bench.prepare.prepare import Prepared


@dataclass(slots=True)
class Ledger:
    """Blocks and states of cases, by their ids.

    Attributes:
        blocks: of the run, in the order of their parts, without those that were replaced.
        out: cases that are measured no more in this call: without a model file, unsupported, or failed.
        stale: cases whose blocks without figures are replaced by those of their next part.
        proven: cases of which what really ran was read back in this call: who resumes a run may have changed
            what it runs on.
    """

    blocks: list[Block]
    out: set[str]
    stale: set[str]
    proven: set[str] = field(default_factory=set)

    @classmethod
    def of(cls, blocks: Sequence[Block], prepared: Mapping[str, Prepared], *, retry: bool) -> Ledger:
        """As a call begins; `retry`: what failed in an earlier one is not out."""
        out = {case_id for case_id, ready in prepared.items() if ready.error}
        out |= {b.case_id for b in blocks if b.status == "unsupported" and not b.reason.startswith(PREPARE)}
        if not retry:
            out |= {b.case_id for b in blocks if b.status in FAILURES}
        stale = {b.case_id for b in blocks if b.status not in MEASURED} - out
        return cls(list(blocks), out, stale)

    def runnable(self, cases: Iterable[Case]) -> list[Case]:
        """Those that are not out, in their order."""
        return [case for case in cases if case.id not in self.out]

    def replaced(self, cases: Iterable[Case]) -> set[str]:
        """Ids of those whose blocks without figures go as their part's come."""
        return {case.id for case in cases} & self.stale

    def enter(self, found: Sequence[Block], replaced: set[str]) -> None:
        """Takes in the blocks of a part in the place of those of the `replaced`."""
        kept = [b for b in self.blocks if b.case_id not in replaced or b.status in MEASURED]
        self.blocks = [*kept, *found]
        self.stale -= replaced
        self.out |= {block.case_id for block in found if block.status not in MEASURED}
        self.proven |= {block.case_id for block in found if block.actual}
