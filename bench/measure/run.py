"""The parent: takes a plan and prepared model files through all replicates into the store."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Literal

from bench.measure.ledger import Ledger
from bench.measure.parts import parts
from bench.measure.turns import Listener, measure_part
from bench.measure.worker_spec import Setting, seat
from bench.prepare.prepare import Prepared
from bench.stats.stopping import Course, Step, next_step
from bench.store.sqlite import Store
from bench.text.numbers import rounded_time

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
    """Measures what the run lacks, replicate by replicate, storing each part as it ends.

    What really ran is read back once in a call, in a case's first block: profiled sessions load anew, and a
    part of a decoder would take a quarter longer for it. A case that fails is not tried again in the same
    call. What failed in an earlier one is tried again in
    the replicates it lacks (`onfail`), or left (`never`), and what a worker found unsupported is left; for
    `always` the caller has dropped the blocks.
    No part is begun that would outlast `budget_s`, judged by the longest so far, but for the first.

    Cases that could not be prepared are rows already (`bench.plan.refusals`).

    Returns:
        A sentence where the budget ended it, or where it took longer than the budget, else ''.
    """
    ledger = Ledger.of(store.blocks(setting.run_id), prepared, retry=rerun != "never")
    order = random.Random(f"{setting.run_id}:{len(ledger.blocks)}")
    clock = _Clock(budget_s)
    while True:
        runnable = ledger.runnable(course.cases)
        step = next_step(course, ledger.blocks, {case.id for case in runnable}, clock.left_s)
        if step is None:
            return _overrun(budget_s, clock.spent_s)
        planned = parts(runnable, course.baselines, step.cases, order)
        listener("replicate", {"step": step, "parts": len(planned)})
        for index, part in enumerate(planned):
            if budget_s is not None and clock.too_late:
                return _budget_ended(budget_s, clock.spent_s, step)
            seated = ledger.runnable(part)
            if not any(case.id in step.cases for case in seated):
                continue
            with clock.part():
                listener("part", {"part": index, "parts": len(planned), "replicate": step.replicate})
                found = measure_part(
                    [seat(case, prepared[case.id], setting, case.id not in ledger.proven) for case in seated],
                    replicate=step.replicate,
                    part=store.next_part(setting.run_id),
                    rounds=step.rounds,
                    limits=setting.limits,
                    order=order,
                    listener=listener,
                    watch=setting.watch,
                )
                replaced = ledger.replaced(seated)
                store.add_blocks(setting.run_id, found.blocks, found.rounds, replaces=sorted(replaced))
                ledger.enter(found.blocks, replaced)
                for block in found.blocks:
                    listener("block", {"block": block})


class _Clock:
    """Seconds since measuring began, and of its longest part, against a budget in seconds."""

    def __init__(self, budget_s: float | None) -> None:
        self._budget_s = budget_s
        self._begun, self._longest_s = time.monotonic(), 0.0

    @property
    def spent_s(self) -> float:
        return time.monotonic() - self._begun

    @property
    def left_s(self) -> float | None:
        return None if self._budget_s is None else self._budget_s - self.spent_s

    @property
    def too_late(self) -> bool:
        """Whether another part as long as the longest would end after the budget; never for the first."""
        left_s = self.left_s
        return left_s is not None and self._longest_s > 0 and left_s < self._longest_s

    @contextmanager
    def part(self) -> Iterator[None]:
        """Around a part that came to its end."""
        start = time.monotonic()
        yield
        self._longest_s = max(self._longest_s, time.monotonic() - start)


def _budget_ended(budget_s: float, took_s: float, step: Step) -> str:
    where = f"replicate {step.replicate + 1} of {step.of}"
    ended = f"the budget of {rounded_time(budget_s)} ended measuring in {where}"
    over = _overrun(budget_s, took_s)
    return f"{ended}; {over}" if over else ended


def _overrun(budget_s: float | None, took_s: float) -> str:
    """How far measuring went over its budget, and why; '' if it did not."""
    if budget_s is None or took_s <= budget_s * (1 + OVERRUN):
        return ""
    return (
        f"measuring took {rounded_time(took_s)} of a budget of {rounded_time(budget_s)}: the first part is"
        " always begun, and a part is measured whole, with loading, verification and warm-up of its workers"
    )
