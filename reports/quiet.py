"""The second figures: what becomes of ratios and verdicts without the rounds that others disturbed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import chain

from bench.compare.answer import listed, some
from bench.compare.naming import name
from bench.compare.results import Group, Results, Row
from bench.stats.estimates import Estimate
from bench.stats.format import spread
from bench.stats.pairs import log_ratios, marked_rounds, measured
from bench.stats.verdict import Verdict, judge_together
from bench.suite.profiles import profile_of
from bench.text.numbers import UNTOLD, factor, percent
from reports.tables.frame import in_order


class Quiet:
    """A run judged once more without its marked rounds, by the same rule."""

    def __init__(self, results: Results) -> None:
        self._blocks = results.blocks
        self._marked = marked_rounds(chain.from_iterable(results.blocks.values()))
        self.verdicts = self._judged(results) if self._marked else {}

    def _judged(self, results: Results) -> dict[str, Verdict]:
        logs = {}
        for group in results.groups:
            base = self._blocks.get(group.baseline.case.id, ()) if group.baseline else ()
            for row in group.rows:
                if row.verdict is not None and row.verdict.word != "not comparable":
                    logs[row.case.id] = log_ratios(self._blocks[row.case.id], base, self._marked)
        judged = judge_together(logs, results.run.relevant, profile_of(results.run.suite).looks)
        return {key: verdict for key, (verdict, _) in judged.items()}

    def share(self, group: Group) -> float:
        """Of the group's rounds, how many were marked; 0 where nothing was measured."""
        blocks = measured(chain.from_iterable(self._blocks.get(row.case.id, ()) for row in group.rows))
        rounds = {(block.part, burst.round) for block in blocks for burst in block.bursts}
        return len(rounds & self._marked) / len(rounds) if rounds else 0.0

    def changed(self, row: Row) -> Verdict | None:
        """The second verdict, where the ratio leaves the first's interval or is gone, or the word changes."""
        second = self.verdicts.get(row.case.id)
        if second is None or row.verdict is None or not row.marked:
            return None
        value, low, high = row.quiet_ratio.value, row.ratio.low, row.ratio.high
        outside = value is not None and low is not None and high is not None and not low <= value <= high
        return second if value is None or outside or second.word != row.verdict.word else None

    def remarks(self, group: Group) -> Iterator[str]:
        """Nothing where no round was marked; else the share, and the rows that would read differently."""
        share = self.share(group)
        if not share:
            return
        rows = in_order(group)
        changed = [(row, second) for row in rows if (second := self.changed(row)) is not None]
        judged = [row for row in rows if row.case.id in self.verdicts]
        said = f"Others disturbed {percent(share)} of the rounds, which count above."
        if changed:
            yield f"{said} Without them {_without(changed, rows)}."
        elif judged:
            yield f"{said} Without them no verdict changes and no ratio leaves its interval."
        else:
            yield said


def _without(changed: Sequence[tuple[Row, Verdict]], rows: Sequence[Row]) -> str:
    """`the ratio of openvino is 0.91× ±1.9 % (faster) and nothing is left of jax`."""
    parts = []
    for row, second in changed:
        if row.quiet_ratio.value is not None:
            shown = estimated(row.quiet_ratio)
            parts.append(f"the ratio of {name(row, rows)} is {shown} ({second.word})")
    gone = [name(row, rows) for row, _ in changed if row.quiet_ratio.value is None]
    if gone:
        parts.append(f"nothing is left of {some(gone)}")
    return listed(parts)


def estimated(ratio: Estimate) -> str:
    """`0.91× ±1.9 %`, or the value alone."""
    around = spread(ratio)
    return factor(ratio.value) + (f" {around}" if around != UNTOLD else "")
