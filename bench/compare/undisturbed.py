"""The second figures: what becomes of ratios and verdicts without the rounds that others disturbed."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence

from bench.compare.answer import listed, some
from bench.compare.naming import name
from bench.compare.results import Group, Row
from bench.interfaces.block import Block
from bench.stats.pairs import Round, log_ratios
from bench.stats.verdict import Verdict, judge_together
from bench.text.estimates import estimated
from bench.text.numbers import percent


def judged_again(
    groups: Mapping[str, Sequence[Row]],
    blocks: Mapping[str, Sequence[Block]],
    marked: Collection[Round],
    relevant: float,
    looks: Sequence[int],
) -> dict[str, Verdict]:
    """Case → its verdict without the marked rounds, by the rule of the first; {} where no round was marked.

    Args:
        groups: the rows of each group with their verdicts.
        marked: rounds of the run in which any worker was disturbed.
        relevant: the least difference that matters, as a fraction.
    """
    if not marked:
        return {}
    logs = {}
    for rows in groups.values():
        base = next((blocks[row.case.id] for row in rows if row.baseline), ())
        for row in rows:
            if row.verdict is not None and row.verdict.word != "not comparable":
                logs[row.case.id] = log_ratios(blocks[row.case.id], base, marked)
    return {key: verdict for key, (verdict, _) in judge_together(logs, relevant, looks).items()}


def remarks(group: Group) -> Iterator[str]:
    """Nothing where no round was marked; else the share, and the rows that would read differently."""
    if not group.marked:
        return
    rows = group.in_order()
    changed = [row for row in rows if row.second is not None]
    said = f"Others disturbed {percent(group.marked)} of the rounds, which count above."
    if changed:
        yield f"{said} Without them {_without(changed, rows)}."
    elif any(row.undisturbed is not None for row in rows):
        yield f"{said} Without them no verdict changes and no ratio leaves its interval."
    else:
        yield said


def _without(changed: Sequence[Row], rows: Sequence[Row]) -> str:
    """`the ratio of openvino is 0.91× ±1.9 % (faster) and nothing is left of jax`."""
    parts = []
    for row in changed:
        if row.quiet_ratio.value is not None and row.second is not None:
            shown = estimated(row.quiet_ratio)
            parts.append(f"the ratio of {name(row, rows)} is {shown} ({row.second.word})")
    gone = [name(row, rows) for row in changed if row.quiet_ratio.value is None]
    if gone:
        parts.append(f"nothing is left of {some(gone)}")
    return listed(parts)
