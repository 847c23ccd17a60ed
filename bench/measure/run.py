"""The parent: takes a plan and prepared model files through all generations into the store."""

from __future__ import annotations

import random
import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from bench.environments.locate import interpreter
from bench.interfaces.block import FAILURES, MEASURED
from bench.interfaces.case import Case
from bench.interfaces.job import Job
from bench.machine.budget import Budget
from bench.machine.gpu import devices
from bench.measure.gpu.timeline import Watching
from bench.measure.turns import Limits, Listener, Seat, measure_part
from bench.plan.refusals import PREPARE
from bench.plugins import backend_registry
from bench.prepare.prepare import Prepared
from bench.stats.stopping import Course, Step, next_step
from bench.store.sqlite import Store
from bench.suite.profiles import Profile
from bench.text.units import duration

Rerun = Literal["never", "onfail", "always"]
CLOCKS_S = 1.0  # of warming up, at least, for a GPU to raise its clocks
OVERRUN = 0.1  # of the budget: more is told
PART_SIZE = 6  # cases that live together, the baseline included; anchor and null backend come beside


@dataclass(frozen=True, slots=True)
class Setting:
    """What all parts of a run share."""

    run_id: str
    profile: Profile
    limits: Limits
    budget: Budget
    memory_bytes: int | None
    watch: Watching | None = None


def parts(
    cases: Sequence[Case],
    baselines: Mapping[str, str | None],
    wanted: Collection[str],
    order: random.Random,
) -> list[tuple[Case, ...]]:
    """Who lives with whom in a generation: parts of at most six cases, the group's baseline in each and the
    anchor beside it, groups in random order. The null backend, compared with nothing, rides in one part.
    """
    anchor = [case for case in cases if case.role == "anchor"]
    riding = [case for case in cases if case.role == "overhead" and case.id in wanted]
    groups: dict[str, list[Case]] = {}
    for case in cases:
        if case.role not in ("anchor", "overhead"):
            groups.setdefault(case.group, []).append(case)
    found: list[tuple[Case, ...]] = []
    for key in order.sample(list(groups), len(groups)):
        todo = [case for case in groups[key] if case.id in wanted]
        if not todo:
            continue
        base = [case for case in groups[key] if case.id == baselines.get(key)]
        others = [case for case in todo if case not in base]
        room = max(1, PART_SIZE - len(base))
        shuffled = order.sample(others, len(others))
        chunks = [shuffled[i : i + room] for i in range(0, len(shuffled), room)] or [[]]
        found += [(*base, *chunk, *(riding if i == 0 else ()), *anchor) for i, chunk in enumerate(chunks)]
        riding = []
    if riding or (not found and any(case.id in wanted for case in anchor)):
        found.append((*riding, *anchor))
    return found


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


def seat(case: Case, ready: Prepared, setting: Setting, prove: bool = True, *, shared: bool = False) -> Seat:
    """What a worker of this case is told. All get the same CPUs; fewer threads get the first of them.

    `shared`: the worker's process does other things too, and sees every device by its own name.
    """
    backend, device = backend_registry.get(case.backend), case.target.device
    cpus = setting.budget.cpus[: max(case.target.threads, 1)]
    on_cpu = case.target.device_kind == "cpu"
    least_s = max(setting.profile.warmup_least_s, 0.0 if on_cpu else CLOCKS_S)
    job = Job(
        case=case,
        model=ready.model,
        io=ready.io,
        device=device if shared else devices.inside(device),
        inputs=ready.inputs,
        reference=ready.reference,
        band=(ready.band.low, ready.band.high) if ready.band else None,
        cpus=cpus,
        # CUDA sets address space aside for all of a GPU's memory, and a bound would count that.
        memory_bytes=setting.memory_bytes if on_cpu else None,
        build_ns=ready.build_ns,
        burst_ns=int(setting.profile.burst_s * 1e9),
        device_every=setting.profile.device_every,
        warmup={"least_s": least_s, "most_s": max(least_s, setting.profile.warmup_most_s)},
    )
    where = interpreter(case.backend, case.version)
    seen = {} if shared else devices.alone(device, devices.gpus())
    return Seat(
        job, {**backend.environment(job.target), **seen}, where, prove=prove, gpu=devices.uuid(device)
    )
