"""The log latency ratio of any two cases of a run, directly or through what lived beside both."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from bench.interfaces.block import Block
from bench.stats.pairs import burst_medians, measured, paired_rounds, replicate_logs


class Pairing:
    """Remembers what it asked of each block: a run has many pairs.

    Args:
        blocks: case id → its blocks.
    """

    def __init__(self, blocks: Mapping[str, Sequence[Block]]) -> None:
        self._blocks = blocks
        self._medians: dict[tuple[str, int], dict[int, float]] = {}

    def logs(self, case_id: str, than: str, beside: Sequence[str] = ()) -> list[float]:
        """One a replicate.

        Of pairs of bursts where the two lived together. Where they seldom or never did (a large group is
        many parts, another shape is another group) each is first paired with a case that lived beside both:
        the first of `beside` that reaches the most replicates.
        """
        shared = self._replicates(case_id) & self._replicates(than)
        best = self._direct(case_id, than)
        for third in beside:
            if best.keys() >= shared:
                break
            one, two = self._direct(case_id, third), self._direct(than, third)
            best = max(best, {g: one[g] - two[g] for g in one.keys() & two.keys()}, key=len)
        found = [best[replicate] for replicate in sorted(best)]
        return found if np.isfinite(found).all() else []

    def _replicates(self, case_id: str) -> set[int]:
        return {block.replicate for block in measured(self._blocks.get(case_id, ()))}

    def _direct(self, case_id: str, than: str) -> dict[int, float]:
        own, other = self._blocks.get(case_id, ()), self._blocks.get(than, ())
        paired = paired_rounds(own, other, medians=self._remembered)
        return dict(zip(paired, replicate_logs(paired), strict=True))

    def _remembered(self, block: Block) -> dict[int, float]:
        key = block.case_id, block.part
        if key not in self._medians:
            self._medians[key] = burst_medians(block)
        return self._medians[key]
