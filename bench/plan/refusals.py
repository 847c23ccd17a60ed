"""What cannot be measured, told before anything is: of a plan, and of what was prepared for it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from bench.interfaces.block import Block
from bench.interfaces.case import HARNESS, Case
from bench.interfaces.errors import BakeoffError
from bench.plan.plan import Plan, Refusal
from bench.prepare.prepare import Prepared
from bench.store.records import now
from bench.store.sqlite import Store

PREPARE = "prepare: "  # how the reason begins of a case that never reached a worker
SHOWN = 6  # cases whose reasons stand in a message


class NothingMeasurable(BakeoffError):
    """No case that was asked for can be measured here, or not all of those that belong together."""


def require_measurable(plan: Plan, whole: bool) -> None:
    """Raises NothingMeasurable where the plan has no case besides the harness's own.

    Args:
        whole: whether each case has to be there, since a part of them would compare nothing.
    """
    planned = [case for case in plan.cases if case.workload != HARNESS]
    refused = [one for one in plan.refused if one[0].workload != HARNESS]
    _require(len(planned), refused, whole)


def require_prepared(cases: Sequence[Case], prepared: Mapping[str, Prepared], whole: bool) -> None:
    """Raises NothingMeasurable where none of the cases, or with `whole` not each, could be prepared."""
    asked = [case for case in cases if case.workload != HARNESS]
    refused = [(case, ready.status, ready.error) for case in asked if (ready := prepared[case.id]).error]
    _require(len(asked) - len(refused), refused, whole)


def _require(able: int, refused: Sequence[tuple[Case, str, str]], whole: bool) -> None:
    if not refused or (able and not whole):
        return
    asked = able + len(refused)
    what = f"{len(refused)} of the {asked} cases" if able else f"none of the {asked} cases"
    what = "the case" if asked == 1 else what
    lines = [f"  {status}: {case.label}: {reason}" for case, status, reason in refused[:SHOWN]]
    if len(refused) > SHOWN:
        lines.append(f"  and {len(refused) - SHOWN} more")
    verb = "cannot be measured here" if asked == 1 or able else "can be measured here"
    raise NothingMeasurable("\n".join([f"{what} {verb}:", *lines]), hint="bakeoff doctor")


def refuse(refused: Iterable[Refusal], store: Store, run_id: str) -> None:
    """Keeps cases that the plan refused (`unsupported`, `missing`) as rows with their reasons."""
    part = store.next_part(run_id)
    blocks = [
        Block(case.id, 0, part, status, reason=reason, started=now()) for case, status, reason in refused
    ]
    store.add_blocks(run_id, blocks, replaces=[block.case_id for block in blocks])


def refuse_unprepared(
    cases: Sequence[Case], prepared: Mapping[str, Prepared], store: Store, run_id: str
) -> None:
    """Keeps a case whose model file could not be made as a row with the reason."""
    part = store.next_part(run_id)
    refused = [
        Block(case.id, 0, part, ready.status, reason=f"{PREPARE}{ready.error}", started=now())
        for case in cases
        if (ready := prepared[case.id]).error
    ]
    store.add_blocks(run_id, refused, replaces=[block.case_id for block in refused])
