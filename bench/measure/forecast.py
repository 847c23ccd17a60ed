"""What a run will take and how sure it will be, told before it begins.

It rests on the latest run in the store that measured some of its cases on this machine, or on assumptions
that it names.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from bench.interfaces.block import Block
from bench.interfaces.case import HARNESS, Case
from bench.measure.gpu.timeline import SUSTAIN_S
from bench.measure.parts import parts
from bench.stats import noise
from bench.stats.noise import ASSUMED, Costs, Noise
from bench.stats.pairs import measured
from bench.stats.significance import ALPHA
from bench.stats.stopping import REPEATS_MOST, Course, comparisons, noisiest
from bench.store.records import RunRecord
from bench.store.sqlite import Store
from bench.suite.profiles import ROUNDS
from bench.text.numbers import count, percent, rounded_time
from bench.worker.loops import LEAST, SLOW_NS
from bench.worker.verify import LEAST_SAMPLES

LOAD_GUESS_S = 3.0  # start, import, load, verify, warm up, verify again: a model of no size
LOAD_GUESS_BYTES = 1e9  # of weights, read and packed in a second
FLOPS_GUESS = 4e10  # of a thread in a second
MOVED_GUESS = 1e10  # bytes in a second
VERIFIED = 2 * LEAST_SAMPLES + 2  # inferences besides the timed: both verifications, the first, a proof
TURN_GUESS = 1.1  # a turn over the length of its burst: stop, continue
DEVICE_SHARE = 1 / 3  # of a burst, where the device boundary is measured after it
LOOK_BACK = 5  # runs


@dataclass(frozen=True, slots=True)
class Outlook:
    """Expected of a run whose every replicate is measured whole; preparing is not included.

    Attributes:
        seconds: of measuring.
        replicates, rounds: as many as the profile asks for, or the budget holds.
        width: half width of the noisiest ratio's interval at the end, as a fraction; infinite without one.
        compared: whether there is anything to compare.
        basis: what this rests on.
        first_look_s: what the replicates before the first of several looks take; 0 where there is but one.
    """

    seconds: float
    replicates: int
    rounds: int
    width: float
    compared: bool
    basis: str
    first_look_s: float

    @property
    def sentence(self) -> str:
        size = f"at most {count(self.replicates, 'replicate')} of about {count(self.rounds, 'round')}"
        sure = ""
        if self.compared:
            known = np.isfinite(self.width)
            sure = f", ratios sure to about ±{percent(self.width)}" if known else ", too few for an interval"
        short = ""
        if self.first_look_s > self.seconds:
            short = f"; too little for the first look, which takes --budget {self.first_look_s:.0f}s"
        more = f"; up to {REPEATS_MOST} more where others disturb most of one"
        return f"{size}, {rounded_time(self.seconds)} of measuring{sure} ({self.basis}){short}{more}"


def outlook(
    course: Course,
    store: Store,
    run: RunRecord,
    budget_s: float | None,
    known: Mapping[str, Mapping[str, Any]] | None = None,
) -> Outlook:
    """Looks ahead from what the store remembers, or else from what an inference takes (`CaseRecord.cost`)."""
    profile = course.profile
    remembered = recall(course, store, run)
    assumed = _guess(course, known or {}), ASSUMED, "assumed: the store knows no such case here"
    cost, seen, basis = remembered or assumed
    everything = {case.id for case in course.cases}
    planned = parts(course.cases, course.baselines, everything, random.Random(0))
    workers = sum(map(len, planned))
    costs = Costs(cost.replicate_s * workers, cost.round_s * workers)
    rounds = profile.rounds
    if profile.pilot is not None:
        if budget_s is None:
            rounds = noise.best_rounds(seen, costs, *ROUNDS)
        else:
            rounds = noise.best_rounds_within(seen, costs, *ROUNDS, budget_s, 0, profile.replicates)
    each = costs.of(rounds)
    sustained = (
        0.0 if remembered else SUSTAIN_S * sum(case.target.device_kind != "cpu" for case in course.cases)
    )
    replicates = profile.replicates
    if budget_s is not None:
        replicates = max(1, min(replicates, int((budget_s - sustained) / each)))
    level = 1 - ALPHA / len(profile.looks)
    width = noise.half_width(seen, rounds, replicates, level)
    compared = any(number > 1 for number in _groups(course).values())
    first_look_s = profile.looks[0] * each if compared and len(profile.looks) > 1 else 0.0
    return Outlook(replicates * each + sustained, replicates, rounds, width, compared, basis, first_look_s)


def recall(course: Course, store: Store, run: RunRecord) -> tuple[Costs, Noise, str] | None:
    """Costs of a worker and noise of a comparison, from the latest run that knows some of the cases."""
    ids = {case.id for case in course.cases if case.workload != HARNESS}
    earlier = [one for one in store.runs() if one.id != run.id and _like(one, run)]
    for one in reversed(earlier[-LOOK_BACK:]):
        if not ids & {record.case.id for record in store.cases(one.id)}:
            continue
        blocks = [block for block in measured(store.blocks(one.id)) if "part_ns" in block.figures]
        if not ids & {block.case_id for block in blocks}:
            continue
        cost = _cost_of_worker(blocks)
        seen = noisiest(comparisons(course, blocks).values())
        known = f"as in run {one.id}" if seen else f"time as in run {one.id}, noise assumed"
        return cost, seen or ASSUMED, known
    return None


def _like(one: RunRecord, run: RunRecord) -> bool:
    return one.machine.get("cpu") == run.machine.get("cpu")


def _cost_of_worker(blocks: Sequence[Block]) -> Costs:
    """A worker's share of its part: before and after the rounds, and of a round."""
    lived = Counter(block.part for block in blocks)
    last = {block.part: block for block in blocks}
    fixed = [(b.figures["part_ns"] - b.figures["turns_ns"]) / lived[p] for p, b in last.items()]
    turns = [b.figures["turns_ns"] / len(b.bursts) / lived[p] for p, b in last.items()]
    return Costs(float(np.mean(fixed)) * 1e-9, float(np.mean(turns)) * 1e-9)


def _guess(course: Course, known: Mapping[str, Mapping[str, Any]]) -> Costs:
    """Of the mean worker."""
    found = [_guess_one(case, course, known.get(case.id) or {}) for case in course.cases]
    fixed, rounds = np.mean([(one.replicate_s, one.round_s) for one in found], axis=0)
    return Costs(float(fixed), float(rounds))


def _guess_one(case: Case, course: Course, cost: Mapping[str, Any]) -> Costs:
    flops, moved = float(cost.get("flops") or 0), float(cost.get("bytes") or 0)
    inference = max(flops / (FLOPS_GUESS * case.target.threads), moved / MOVED_GUESS)
    least = 1 if inference > SLOW_NS * 1e-9 else LEAST
    burst = max(course.profile.burst_s, least * inference)
    every = course.profile.device_every
    turn = burst * (TURN_GUESS + (DEVICE_SHARE / every if every else 0.0))
    return Costs(LOAD_GUESS_S + moved / LOAD_GUESS_BYTES + VERIFIED * inference, turn)


def _groups(course: Course) -> Counter[str]:
    return Counter(case.group for case in course.cases if case.workload != HARNESS)
