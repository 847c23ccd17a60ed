"""Shares of a run: every group once, whole, in the suite's order."""

from __future__ import annotations

import pytest

from bench.interfaces.backend import Target
from bench.interfaces.case import HARNESS, Case
from bench.interfaces.errors import UsageError
from bench.plan.plan import Plan
from bench.plan.shards import Share, lacking, parse_share, share_of

ANCHOR = Case(HARNESS, "h", 1, None, "anchor", Target(), role="anchor")


def planned(count: int) -> Plan:
    """Groups of two cases each, a batch a group."""
    cases = [
        Case("resnet50", "c", batch, None, name, Target()) for batch in range(1, count + 1) for name in "ab"
    ]
    groups = {case.group: tuple(one.id for one in cases if one.group == case.group) for case in cases}
    return Plan((*cases, ANCHOR), (), groups, {key: ids[0] for key, ids in groups.items()})


@pytest.mark.parametrize(("groups", "count"), [(1, 1), (3, 1), (3, 2), (3, 3), (7, 3), (9, 4), (2, 5)])
def test_every_group_is_in_one_share(groups: int, count: int) -> None:
    plan = planned(groups)
    shares = [share_of(plan, Share(number, count)) for number in range(1, count + 1)]
    assert [key for one in shares for key in one.groups] == list(plan.groups)
    sizes = [len(one.groups) for one in shares]
    assert max(sizes) - min(sizes) <= 1
    for one in shares:
        assert set(one.baselines) == set(one.groups)
        ids = {case_id for found in one.groups.values() for case_id in found}
        assert {case.id for case in one.cases if case.workload != HARNESS} == ids
        assert (ANCHOR in one.cases) == bool(one.groups)


def test_what_is_left() -> None:
    plan = planned(2)
    first = share_of(plan, Share(1, 2))
    assert lacking(plan, {case.id for case in first.cases}) == 2
    assert lacking(plan, {case.id for case in plan.cases}) == 0


def test_how_shares_are_written() -> None:
    assert parse_share(" 2/3 ") == Share(2, 3)


@pytest.mark.parametrize("text", ["", "0/3", "4/3", "1/0", "a/b", "1", "1/2/3", "-1/3"])
def test_what_is_no_share(text: str) -> None:
    with pytest.raises(UsageError, match="is no share"):
        parse_share(text)
