"""The parent: takes a plan and prepared model files through all generations into the store."""

from __future__ import annotations

import random
import time
from collections.abc import Mapping
from typing import Literal

from bench.interfaces.block import FAILURES, MEASURED
from bench.measure.parts import parts
from bench.measure.turns import Listener, measure_part
from bench.measure.worker_spec import Setting, seat
from bench.plan.refusals import PREPARE
from bench.prepare.prepare import Prepared
from bench.stats.stopping import Course, Step, next_step
from bench.store.sqlite import Store
from bench.text.units import duration

Rerun = Literal["never", "onfail", "always"]
OVERRUN = 0.1  # of the budget: more is told


def measure(
    course: Course,
    prepared: Mapping[str, Prepared],
    store: Store,
    setting: Setting,
    *,
    rerun: Rerun,
    listener: Listener,
    budget_s: float | None = None,
) -> str:
    """Measures what the run lacks, generation by generation, storing each part as it ends.

    What really ran is read back once in a call, in a case's first block: profiled sessions load anew, and a
    part of a decoder would take a quarter longer for it. A case that fails is not tried again in the same
    call. What failed in an earlier one is tried again in
    the generations it lacks (`onfail`), or left (`never`), and what a worker found unsupported is left; for
    `always` the caller has dropped the blocks.
    No part is begun that would outlast `budget_s`, judged by the longest so far, but for the first.

    Cases that could not be prepared are rows already (`bench.plan.refusals`).

    Returns:
        A sentence where the budget ended it, or where it took longer than the budget, else ''.
    """
    blocks = store.blocks(setting.run_id)
    order = random.Random(f"{setting.run_id}:{len(blocks)}")
    unprepared = {case.id for case in course.cases if prepared[case.id].error}
    failed = {b.case_id for b in blocks if b.status in FAILURES} if rerun == "never" else set()
    failed |= {b.case_id for b in blocks if b.status == "unsupported" and not b.reason.startswith(PREPARE)}
    again = {b.case_id for b in blocks if b.status not in MEASURED} - unprepared - failed
    proven: set[str] = set()  # here: who resumes a run may have changed what it runs on
    begun, longest = time.monotonic(), 0.0
    while True:
        left_s = None if budget_s is None else budget_s - (time.monotonic() - begun)
        runnable = [case for case in course.cases if case.id not in failed | unprepared]
        step = next_step(course, blocks, {case.id for case in runnable}, left_s)
        if step is None:
            return _overrun(budget_s, time.monotonic() - begun)
        planned = parts(runnable, course.baselines, step.cases, order)
        listener("generation", {"step": step, "parts": len(planned)})
        for index, part in enumerate(planned):
            start = time.monotonic()
            if budget_s is not None and longest and start - begun + longest > budget_s:
                return _budget_ended(budget_s, time.monotonic() - begun, step)
            seated = [case for case in part if case.id not in failed]
            if not any(case.id in step.cases for case in seated):
                continue
            listener("part", {"part": index, "parts": len(planned), "generation": step.generation})
            found = measure_part(
                [seat(case, prepared[case.id], setting, case.id not in proven) for case in seated],
                generation=step.generation,
                part=store.next_part(setting.run_id),
                rounds=step.rounds,
                limits=setting.limits,
                order=order,
                listener=listener,
                watch=setting.watch,
            )
            ids = {case.id for case in seated}
            store.add_blocks(setting.run_id, found, replaces=sorted(ids & again))
            blocks = [b for b in blocks if b.case_id not in ids & again or b.status in MEASURED] + found
            again -= ids
            failed |= {block.case_id for block in found if block.status not in MEASURED}
            proven |= {block.case_id for block in found if block.actual}
            for block in found:
                listener("block", {"block": block})
            longest = max(longest, time.monotonic() - start)


def _budget_ended(budget_s: float, took_s: float, step: Step) -> str:
    ended = (
        f"the budget of {duration(budget_s)} ended measuring in generation {step.generation + 1} of {step.of}"
    )
    over = _overrun(budget_s, took_s)
    return f"{ended}; {over}" if over else ended


def _overrun(budget_s: float | None, took_s: float) -> str:
    """How far measuring went over its budget, and why; '' if it did not."""
    if budget_s is None or took_s <= budget_s * (1 + OVERRUN):
        return ""
    return (
        f"measuring took {duration(took_s)} of a budget of {duration(budget_s)}: the first part is always"
        " begun, and a part is measured whole, with loading, verification and warm-up of its workers"
    )
