"""How a run goes on: which cases the next replicate holds, and with how many rounds.

A pure function of the blocks so far. A resumed run therefore goes on as if it had never stopped.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from bench.interfaces.block import MEASURED, Block
from bench.interfaces.case import HARNESS, Case
from bench.stats import noise
from bench.stats.estimates import Floats, t_interval
from bench.stats.noise import Costs, Noise
from bench.stats.pairs import measured, paired_rounds, replicate_logs
from bench.stats.verdict import judge_together
from bench.suite.profiles import ROUNDS, Profile
from bench.text.numbers import count, percent

NARROW_LEVEL = 0.99  # from few replicates an interval is narrow by luck: docs/method.md, 17
DISTURBED_MOST = 0.5  # of a replicate's bursts: above, it is measured once more
REPEATS_MOST = 3
Pairs = dict[str, dict[int, list[Floats]]]  # case → replicate → log ratios, an array a part
LAST = 3  # replicates that tell what the next will cost


@dataclass(frozen=True, slots=True)
class Step:
    """A replicate to measure.

    Attributes:
        cases: ids of those that go on; the baselines of their groups and the anchor come along.
        rounds: bursts of each worker.
        why: a sentence where this differs from the replicate before, else ''.
        of: replicates that the run holds as things stand; more than the profile's where disturbed ones are
            measured once more.
    """

    replicate: int
    cases: tuple[str, ...]
    rounds: int
    why: str = ""
    of: int = 0


@dataclass(frozen=True, slots=True)
class Course:
    """What steers a run besides its blocks. `baselines`: group → id of the case to compare with."""

    cases: tuple[Case, ...]
    baselines: Mapping[str, str | None]
    profile: Profile
    relevant: float


def next_step(
    course: Course, blocks: Sequence[Block], runnable: Collection[str], left_s: float | None = None
) -> Step | None:
    """The first replicate that lacks a case that it should hold; None when the run is complete.

    Args:
        runnable: ids of the cases that may still be measured.
        left_s: what is left of the time for measuring.
    """
    have: dict[str, set[int]] = defaultdict(set)
    for block in blocks:
        if block.status in MEASURED:
            have[block.case_id].add(block.replicate)
    pairs = comparisons(course, blocks)
    planned = course.profile.replicates
    of = planned + repeats(course.profile, blocks)
    for replicate in range(of):
        if all(replicate in have[case_id] for case_id in runnable):
            continue
        before = _until(pairs, replicate)
        wanted = open_cases(course, before, runnable, replicate)
        lacking = tuple(case_id for case_id in wanted if replicate not in have[case_id])
        if lacking:
            spent = costs(block for block in blocks if block.replicate < replicate)
            whole = _step(course, before, spent, replicate, tuple(wanted), left_s)
            again = _again(of - planned) if replicate >= planned else ""
            why = "; ".join(filter(None, (again, whole.why)))
            # What was begun is finished with as many rounds.
            return replace(whole, cases=lacking, why=why, of=of)
    return None


def _again(more: int) -> str:
    """Why a run has more replicates than its profile."""
    return f"{count(more, 'replicate')} more than planned, since others disturbed most bursts of as many"


def open_cases(course: Course, before: Pairs, runnable: Collection[str], replicate: int) -> list[str]:
    """Ids of the cases that a replicate holds, by the comparisons of those before it.

    A baseline goes on as long as any case of its group does, or if it is alone in it; the harness's own as
    long as any other.
    """
    ended = stopped({key: replicate_logs(paired) for key, paired in before.items()}, course, replicate)
    groups: dict[str, list[Case]] = defaultdict(list)
    for case in course.cases:
        if case.workload != HARNESS and case.id in runnable:
            groups[case.group].append(case)
    going: set[str] = set()
    for key, members in groups.items():
        base = course.baselines.get(key)
        others = [case.id for case in members if case.id != base]
        on = [case_id for case_id in others if case_id not in ended]
        if on or not others:
            going |= {*on, base or ""}
    harness = {case.id for case in course.cases if case.workload == HARNESS}
    if going or not groups:
        going |= harness
    return [case.id for case in course.cases if case.id in going and case.id in runnable]


def comparisons(course: Course, blocks: Sequence[Block]) -> Pairs:
    """Case → replicate → log ratios to its baseline, one array a part with a value a round."""
    by_case: dict[str, list[Block]] = defaultdict(list)
    for block in blocks:
        by_case[block.case_id].append(block)
    pairs = {}
    for case in course.cases:
        base = course.baselines.get(case.group)
        if case.workload != HARNESS and base and base != case.id:
            paired = paired_rounds(by_case[case.id], by_case[base])
            if paired:
                pairs[case.id] = paired
    return pairs


def _until(pairs: Pairs, replicate: int) -> Pairs:
    """What was known before a replicate."""
    seen = {key: {g: found for g, found in paired.items() if g < replicate} for key, paired in pairs.items()}
    return {key: paired for key, paired in seen.items() if paired}


def stopped(logs: Mapping[str, Sequence[float]], course: Course, replicate: int) -> set[str]:
    """Comparisons that need no further replicate: settled at a look, or narrow where that is enough."""
    profile = course.profile
    found = judge_together(logs, course.relevant, profile.looks)
    ended = {key for key, (_, look) in found.items() if look is not None}
    if profile.narrow_from is not None and replicate >= profile.narrow_from:
        ended |= {key for key, values in logs.items() if narrow(values, course.relevant, profile)}
    return ended


def narrow(logs: Sequence[float], relevant: float, profile: Profile) -> bool:
    """Whether the interval is no wider to either side than the difference that matters."""
    if profile.narrow_from is None or len(logs) < profile.narrow_from:
        return False
    _, low, high = t_interval(logs, NARROW_LEVEL)
    return (high - low) / 2 <= math.log1p(relevant)


def repeats(profile: Profile, blocks: Iterable[Block]) -> int:
    """Replicates to measure once more because others disturbed most of their bursts; the first is kept."""
    marks: dict[int, list[bool]] = defaultdict(list)
    for block in measured(blocks):
        if block.replicate < profile.replicates:
            marks[block.replicate] += [burst.disturbed for burst in block.bursts]
    over = [np.mean(found) > DISTURBED_MOST for found in marks.values()]
    return min(REPEATS_MOST, sum(map(bool, over)))


def costs(blocks: Iterable[Block]) -> Costs | None:
    """What a replicate and its rounds took, from the last that were measured."""
    parts = {block.part: block for block in blocks if block.bursts and "part_ns" in block.figures}
    by_replicate: dict[int, list[Block]] = defaultdict(list)
    for block in parts.values():
        by_replicate[block.replicate].append(block)
    last = [by_replicate[key] for key in sorted(by_replicate)[-LAST:]]
    if not last:
        return None
    fixed = [sum(b.figures["part_ns"] - b.figures["turns_ns"] for b in found) for found in last]
    turns = [sum(b.figures["turns_ns"] / len(b.bursts) for b in found) for found in last]
    return Costs(float(np.mean(fixed)) * 1e-9, float(np.mean(turns)) * 1e-9)


def noisiest(pairs: Iterable[Mapping[int, Sequence[Floats]]]) -> Noise | None:
    """The noise of the comparison that needs the most."""
    found = [one for paired in pairs if (one := noise.noise(paired)) is not None]
    return max(found, key=lambda one: one.of_replicate(one.rounds), default=None)


def why_ended(logs: Sequence[float] | None, look: int | None, relevant: float, profile: Profile) -> str:
    """Why a comparison has no more replicates than it has."""
    if not logs:
        return ""
    n = len(logs)
    if look is not None:
        return f"settled at the look after {count(look, 'replicate')}"
    if n >= profile.replicates:
        return f"all {count(n, 'replicate')}"
    if narrow(logs, relevant, profile):
        return f"narrow enough after {count(n, 'replicate')}"
    return f"{n} of {count(profile.replicates, 'replicate')}: the budget or an interruption ended it"


def _step(
    course: Course,
    before: Pairs,
    spent: Costs | None,
    replicate: int,
    cases: tuple[str, ...],
    left_s: float | None,
) -> Step:
    profile = course.profile
    if profile.pilot is None or replicate < profile.pilot or spent is None:
        return Step(replicate, cases, profile.rounds)
    seen = noisiest(paired for key, paired in before.items() if key in cases)
    if seen is None:
        return Step(replicate, cases, profile.rounds)
    likely = noise.tempered(seen)
    if left_s is None:
        rounds = noise.best_rounds(likely, spent, *ROUNDS)
    else:
        most = profile.replicates
        rounds = noise.best_rounds_within(likely, spent, *ROUNDS, left_s, replicate, most)
    return Step(replicate, cases, rounds, _why(seen, rounds, cases, course))


def _why(seen: Noise, rounds: int, cases: Sequence[str], course: Course) -> str:
    compared = [case for case in course.cases if case.workload != HARNESS]
    going = sum(case.id in cases for case in compared)
    return (
        f"{going} of {count(len(compared), 'case')} go on, {count(rounds, 'round')} each: a round scatters "
        f"by {percent(seen.within)}, replicates by {percent(seen.between)} more"
    )
