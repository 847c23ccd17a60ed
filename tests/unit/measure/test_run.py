"""Who lives with whom, and what a resumed run still wants."""

import random
from collections import Counter

from bench.interfaces.backend import Target
from bench.interfaces.block import Block
from bench.interfaces.case import HARNESS, Case
from bench.measure.parts import PART_SIZE, parts
from bench.measure.run import _budget_ended, _overrun
from bench.stats.stopping import Course, Step, next_step
from bench.suite.profiles import PROFILES

ANCHOR = Case(HARNESS, "h", 1, None, "anchor", Target(), role="anchor")
NULL = Case(HARNESS, "h", 1, None, "null", Target(), role="overhead")


def cases(count: int, workload: str = "resnet50") -> list[Case]:
    return [Case(workload, "c", 1, None, f"b{i}", Target()) for i in range(count)]


def planned(group: list[Case], *, replicate: int = 0, blocks: list[Block] | None = None):
    everything = [*group, ANCHOR, NULL]
    baselines = {case.group: group[0].id for case in group[:1]}
    course = Course(tuple(everything), baselines, PROFILES["quick"], 0.02)
    step = next_step(course, blocks or [], [case.id for case in everything])
    if step is None or step.replicate > replicate:
        return []
    return parts(everything, baselines, step.cases, random.Random(1))


def test_a_small_group_is_one_part_a_replicate() -> None:
    found = planned(cases(3))
    assert len(found) == 1
    for part in found:
        assert {case.backend for case in part} == {"b0", "b1", "b2", "anchor", "null"}


def test_a_large_group_has_baseline_and_anchor_in_each_part() -> None:
    group = cases(12)
    assert len(planned(cases(PART_SIZE))) == 1
    found = planned(group)
    assert len(found) == 3
    for part in found:
        assert len([case for case in part if case.role == "runtime"]) <= PART_SIZE
        assert group[0] in part
        assert ANCHOR in part
    seen = Counter(case.id for part in found for case in part)
    assert all(seen[case.id] == 1 for case in (*group[1:], NULL))


def test_a_resumed_run_measures_what_is_missing_beside_its_baseline() -> None:
    group = cases(3)
    done = [Block(case.id, 0, 0, "ok") for case in (group[0], group[1], ANCHOR, NULL)]
    done.append(Block(group[2].id, 0, 0, "crashed"))
    found = planned(group, blocks=done)
    assert [{case.backend for case in part} for part in found] == [{"b0", "b2", "anchor"}]


def test_a_finished_run_wants_nothing() -> None:
    group = cases(2)
    done = [Block(case.id, g, g, "ok") for case in (*group, ANCHOR, NULL) for g in range(3)]
    assert planned(group, replicate=9, blocks=done) == []


def test_a_wrong_output_is_measured_and_not_repeated() -> None:
    group = cases(1)
    blocks = [Block(group[0].id, 0, 0, "wrong-output")]
    blocks += [Block(case.id, 0, 0, "ok") for case in (ANCHOR, NULL)]
    assert planned(group, blocks=blocks) == []


def test_how_far_a_budget_was_overrun_and_why_is_told() -> None:
    step = Step(0, (), 10, of=3)
    said = _budget_ended(2.0, 26.0, step)
    assert said.startswith("the budget of 2 s ended measuring in replicate 1 of 3; measuring took 26 s of a ")
    assert "the first part is always begun" in said
    assert _budget_ended(60.0, 58.0, step) == "the budget of 60 s ended measuring in replicate 1 of 3"
    assert _overrun(2.0, 26.0).startswith("measuring took 26 s of a budget of 2 s")  # all was measured
    assert _overrun(20.0, 21.0) == ""
    assert _overrun(None, 500.0) == ""
