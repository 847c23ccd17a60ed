"""A share of a run: a sweep that is longer than a machine is lent is measured in shares, the store carried
along.

    bakeoff run gpu-quick --share 1/3 --store carried.sqlite
    bakeoff run --resume --share 2/3 --store carried.sqlite

Groups stay whole, so that whoever is compared lives together; they go to the shares in the suite's order, the
first groups to the first share.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass, replace

from bench.interfaces.case import HARNESS
from bench.interfaces.errors import UsageError
from bench.plan.plan import Plan

WRITTEN = re.compile(r"(\d+)/(\d+)", re.ASCII)


@dataclass(frozen=True, slots=True)
class Share:
    """The `number`th of `count`, from 1."""

    number: int
    count: int


def parse_share(text: str) -> Share:
    """`2/3`. Raises UsageError."""
    match = WRITTEN.fullmatch(text.strip())
    share = Share(int(match[1]), int(match[2])) if match else Share(0, 0)
    if not 1 <= share.number <= share.count:
        raise UsageError(f"{text!r} is no share", hint="write it like 1/3, 2/3 and 3/3")
    return share


def share_of(plan: Plan, share: Share) -> Plan:
    """The plan with the groups of that share, and the harness's own cases."""
    groups = list(plan.groups)
    mine = [key for i, key in enumerate(groups) if i * share.count // len(groups) == share.number - 1]
    ids = {case_id for key in mine for case_id in plan.groups[key]}
    cases = tuple(case for case in plan.cases if case.id in ids or case.workload == HARNESS)
    return replace(
        plan,
        cases=cases if mine else (),
        groups={key: plan.groups[key] for key in mine},
        baselines={key: plan.baselines[key] for key in mine},
    )


def lacking(plan: Plan, measured: Collection[str]) -> int:
    """Cases of the whole plan that no share has come to yet."""
    return sum(case.id not in measured for case in plan.cases if case.workload != HARNESS)
