"""A run judged: rows with their verdicts, groups with their winners.

The replicate is the unit of statistics, and only blocks of one part, which took turns, are paired.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import chain
from typing import Any

import numpy as np

from bench.compare.answer import answer
from bench.compare.lint.rules import findings
from bench.compare.naming import labels, titles
from bench.compare.results import Group, Results, Row
from bench.compare.roofline import share
from bench.compare.rows import row
from bench.compare.undisturbed import judged_again
from bench.interfaces.block import Block
from bench.interfaces.case import HARNESS
from bench.stats.pairing import Pairing
from bench.stats.pairs import Round, log_ratios, marked_rounds, measured
from bench.stats.steadiness import unsteady
from bench.stats.stopping import why_ended
from bench.stats.verdict import Verdict, judge_together
from bench.store.records import CaseRecord
from bench.store.sqlite import Store
from bench.suite.profiles import Profile, profile_of

Blocks = Mapping[str, Sequence[Block]]


def results(store: Store, run_id: str = "latest") -> Results:
    """Reads a run and judges it."""
    run = store.run(run_id)
    profile = profile_of(run.suite)
    blocks: dict[str, list[Block]] = defaultdict(list)
    for block in store.blocks(run.id):
        blocks[block.case_id].append(block)
    marked = marked_rounds(block for found in blocks.values() for block in found)
    late = unsteady(block for found in blocks.values() for block in found)
    by_group: dict[str, list[CaseRecord]] = defaultdict(list)
    for record in store.cases(run.id):
        by_group[record.case.group].append(record)

    def rows_of(members: Sequence[CaseRecord]) -> list[Row]:
        base = next((r.case.id for r in members if r.baseline), "")
        return [row(r, blocks[r.case.id], blocks.get(base, []), marked, late) for r in members]

    made = {key: rows_of(members) for key, members in by_group.items()}
    called = labels(one.case for rows in made.values() for one in rows)
    made = {key: [replace(one, called=called[one.case.id]) for one in rows] for key, rows in made.items()}
    harness = [one for rows in made.values() for one in rows if one.case.workload == HARNESS]
    grouped = {key: rows for key, rows in made.items() if rows[0].case.workload != HARNESS}
    judged = _judged(grouped, blocks, run.relevant, profile)
    again = judged_again(judged, blocks, marked, run.relevant, profile.looks)
    title = titles({key: rows[0].case for key, rows in grouped.items()})
    groups = []
    for key, rows in judged.items():
        whole = tuple(_finished(one, again, run.machine) for one in rows)
        group = _group(key, title[key], whole, blocks, run.relevant, profile)
        groups.append(replace(group, marked=_marked_share(blocks, whole, marked)))
    found = Results(
        run,
        tuple(groups),
        overhead=next((row for row in harness if row.case.role == "overhead"), None),
        anchor=next((row for row in harness if row.case.role == "anchor"), None),
        blocks={key: tuple(found) for key, found in blocks.items()},
        looks=tuple(profile.looks),
        said=tuple(store.estimates(run.id)),
    )
    return replace(found, findings=findings(found))


def _finished(row: Row, again: Mapping[str, Verdict], machine: Mapping[str, Any]) -> Row:
    """A row with its second verdict, where any of its rounds was marked, and its share of the peak."""
    second = again.get(row.case.id) if row.marked else None
    return replace(row, undisturbed=second, roofline=share(machine, row))


def _marked_share(blocks: Blocks, rows: Iterable[Row], marked: Collection[Round]) -> float:
    """Of a group's rounds, how many were marked; 0 where nothing was measured."""
    done = measured(chain.from_iterable(blocks.get(row.case.id, ()) for row in rows))
    rounds = {(block.part, burst.round) for block in done for burst in block.bursts}
    return len(rounds & set(marked)) / len(rounds) if rounds else 0.0


def _judged(
    groups: Mapping[str, Sequence[Row]], blocks: Blocks, relevant: float, profile: Profile
) -> dict[str, tuple[Row, ...]]:
    """The rows with their verdicts against their group's baseline: all comparisons of the run together."""
    logs: dict[str, list[float]] = {}
    apart: dict[str, Verdict] = {}
    for rows in groups.values():
        base = next((one for one in rows if one.baseline), None)
        for one in rows:
            if base is None or one is base or one.latency.value is None:
                continue
            if why := incomparable(one, base):
                apart[one.case.id] = Verdict("not comparable", one.ratio, reason=why)
            else:
                logs[one.case.id] = log_ratios(blocks[one.case.id], blocks[base.case.id])
    found = judge_together(logs, relevant, profile.looks)
    settled = {case_id: look for case_id, (_, look) in found.items()}
    verdicts = apart | {case_id: verdict for case_id, (verdict, _) in found.items()}

    def finished(one: Row) -> Row:
        case_id = one.case.id
        ended = why_ended(logs.get(case_id), settled.get(case_id), relevant, profile)
        verdict = verdicts.get(case_id)
        ratio = found[case_id][0].ratio if case_id in found else one.ratio  # at the level of the look
        return replace(one, verdict=verdict, ratio=ratio, ended=ended)

    return {key: tuple(finished(one) for one in rows) for key, rows in groups.items()}


def incomparable(one: Row, base: Row) -> str:
    """Why two rows must not be compared, or ''."""
    if one.unranked_because:
        return one.unranked_because
    return f"its baseline: {base.unranked_because}" if base.unranked_because else ""


def _group(
    key: str, title: str, rows: tuple[Row, ...], blocks: Blocks, relevant: float, profile: Profile
) -> Group:
    """Names the fastest ranked row and those that cannot be told from it."""
    ranked = [one for one in rows if one.ranked and one.latency.value is not None]
    winner = min(ranked, key=_rank_by, default=None)
    tied = _tied(winner, ranked, blocks, relevant, profile) if winner else ()
    baseline = next((one for one in rows if one.baseline), None)
    return Group(key, title, rows, baseline, winner, tied, answer(title, rows, winner, tied, baseline))


def _rank_by(row: Row) -> tuple[float, float]:
    """The paired ratio to the baseline where there is one (the baseline's own is 1), else the latency."""
    assert row.latency.value is not None
    paired = 1.0 if row.baseline else row.ratio.value
    return (paired if paired is not None else np.inf, row.latency.value)


def _tied(
    winner: Row, ranked: Sequence[Row], blocks: Blocks, relevant: float, profile: Profile
) -> tuple[Row, ...]:
    """Ranked rows that are not proven slower than the winner. With the baseline the verdict that is shown
    decides; the others are judged against the winner together."""
    others = [one for one in ranked if one is not winner and not one.baseline and not winner.baseline]
    beside = [one.case.id for one in ranked if one.baseline]
    pairing = Pairing(blocks)
    logs = {one.case.id: pairing.logs(one.case.id, winner.case.id, beside) for one in others}
    slower = {
        key for key, (one, _) in judge_together(logs, relevant, profile.looks).items() if one.word == "slower"
    }
    for one in ranked:
        if winner.baseline and one.verdict and one.verdict.word == "slower":
            slower.add(one.case.id)
        if one.baseline and winner.verdict and winner.verdict.word == "faster":
            slower.add(one.case.id)
    return tuple(one for one in ranked if one is not winner and one.case.id not in slower)
