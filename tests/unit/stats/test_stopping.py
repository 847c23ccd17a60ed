"""How a run goes on: who the next replicate holds, how many rounds it takes, and why it ended."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from bench.interfaces.backend import Target
from bench.interfaces.block import Block
from bench.interfaces.case import HARNESS, Case
from bench.stats.stopping import (
    DISTURBED_MOST,
    REPEATS_MOST,
    Course,
    comparisons,
    costs,
    narrow,
    next_step,
    noisiest,
    open_cases,
    repeats,
    stopped,
    why_ended,
)
from bench.suite.profiles import PROFILES, ROUNDS, Profile
from bench.text.numbers import percent
from tests.helpers.blocks import block, turns

BASE, FAST, NEAR = (Case("resnet50", "c", 1, None, name, Target()) for name in ("base", "fast", "near"))
ANCHOR = Case(HARNESS, "h", 1, None, "anchor", Target(), role="anchor")
CASES = (BASE, FAST, NEAR, ANCHOR)
STANDARD, PUBLISH, QUICK, AB = (PROFILES[name] for name in ("standard", "publish", "quick", "ab"))


def course(profile: Profile = STANDARD, cases: tuple[Case, ...] = CASES) -> Course:
    return Course(cases, {BASE.group: BASE.id}, profile, 0.02)


def measured(
    replicates: int, scatter: tuple[float, float] = (0.0005, 0.3), shift: float = 0.7
) -> list[Block]:
    """`fast` scatters between replicates by the first and `near` by the second."""
    rng = np.random.default_rng(5)
    found: list[Block] = []
    for replicate in range(replicates):
        own = np.exp(rng.normal(0, scatter))
        found += turns(CASES, replicate, (1.0, shift * own[0], own[1], 1.0), rng, scatter=0.002)
    return found


def held(steered: Course, blocks: list[Block], runnable: tuple[str, ...], replicate: int) -> list[str]:
    """Ids of the cases that a replicate holds after these blocks."""
    return open_cases(steered, comparisons(steered, blocks), runnable, replicate)


def ids(*cases: Case) -> tuple[str, ...]:
    return tuple(case.id for case in cases)


ALL = ids(*CASES)


def test_the_first_replicate_holds_everything() -> None:
    step = next_step(course(), [], ALL)
    assert step is not None
    assert (step.replicate, step.cases, step.rounds, step.why) == (0, ALL, STANDARD.rounds, "")


def test_a_replicate_that_lacks_a_case_comes_first() -> None:
    blocks = measured(2)
    hole = [b for b in blocks if (b.case_id, b.replicate) != (NEAR.id, 0)]
    step = next_step(course(QUICK), hole, ALL)
    assert step is not None
    assert (step.replicate, step.cases) == (0, ids(NEAR))
    assert next_step(course(QUICK), measured(3), ALL) is None


def test_a_failed_block_leaves_its_replicate_lacking() -> None:
    blocks = [replace(b, status="crashed") if b.case_id == NEAR.id else b for b in measured(3)]
    step = next_step(course(QUICK), blocks, ALL)
    assert step is not None
    assert (step.replicate, step.cases) == (0, ids(NEAR))
    assert next_step(course(QUICK), blocks, ids(BASE, FAST, ANCHOR)) is None


def test_after_four_replicates_only_the_wide_go_on_with_baseline_and_anchor() -> None:
    assert held(course(), measured(3), ALL, 3) == list(ALL)
    assert held(course(), measured(4), ALL, 4) == list(ids(BASE, NEAR, ANCHOR))
    step = next_step(course(), measured(4), ALL)
    assert step is not None
    assert step.cases == ids(BASE, NEAR, ANCHOR)
    assert "1 of" not in step.why
    assert "2 of 3 cases go on" in step.why


def test_when_all_are_narrow_it_is_over() -> None:
    assert next_step(course(), measured(4, (0.0005, 0.0005)), ALL) is None


def test_quick_never_stops_early_and_publish_only_at_a_look() -> None:
    calm = (0.0005, 0.0005)
    assert held(course(QUICK), measured(2, calm), ALL, 2) == list(ALL)
    assert held(course(PUBLISH), measured(5, calm), ALL, 5) == list(ALL)
    assert held(course(PUBLISH), measured(6, calm), ALL, 6) == []
    wide = measured(6)
    assert held(course(PUBLISH), wide, ALL, 6) == list(ids(BASE, NEAR, ANCHOR))


def test_a_baseline_alone_and_a_run_of_the_harness_go_on() -> None:
    alone = course(STANDARD, (BASE, ANCHOR))
    assert held(alone, measured(4), ids(BASE, ANCHOR), 4) == list(ids(BASE, ANCHOR))
    harness = Course((ANCHOR,), {}, STANDARD, 0.02)
    assert held(harness, [], ids(ANCHOR), 0) == list(ids(ANCHOR))


def test_nothing_is_repeated_for_a_baseline_whose_partners_all_failed_but_itself() -> None:
    found = held(course(), [], ids(BASE, ANCHOR), 0)
    assert found == list(ids(BASE, ANCHOR))


def test_narrow_is_an_interval_no_wider_than_what_matters() -> None:
    # Four values ±a: sd 2a / √3; the 99 % interval's half width is 5.841 × sd / 2 (t with 3 degrees).
    a = math.log1p(0.02) * math.sqrt(3) / 5.8409
    assert narrow([0.999 * a, 0.999 * a, -0.999 * a, -0.999 * a], 0.02, STANDARD)
    assert not narrow([1.001 * a, 1.001 * a, -1.001 * a, -1.001 * a], 0.02, STANDARD)
    assert not narrow([0.0, 0.0, 0.0], 0.02, STANDARD)
    assert not narrow([0.0] * 5, 0.02, PUBLISH)


def test_a_replicate_that_others_disturbed_is_measured_once_more() -> None:
    rounds = [10.0] * 10
    most = int(DISTURBED_MOST * 10)
    quiet = [block(BASE, 0, rounds, disturbed=range(most)), block(BASE, 1, rounds)]
    assert repeats(QUICK, quiet) == 0
    loud = [block(BASE, g, rounds, disturbed=range(most + 1)) for g in range(3)]
    assert repeats(QUICK, loud[:1]) == 1
    assert repeats(QUICK, loud) == REPEATS_MOST
    further = [*loud, *(block(BASE, g, rounds, disturbed=range(10)) for g in (3, 4, 5))]
    assert repeats(QUICK, further) == REPEATS_MOST  # a repetition is not repeated
    step = next_step(course(QUICK, (BASE,)), loud[:1] + [block(BASE, g, rounds) for g in (1, 2)], ids(BASE))
    assert step is not None
    assert (step.replicate, step.of) == (3, 4)
    assert step.why == "1 replicate more than planned, since others disturbed most bursts of as many"
    first = next_step(course(QUICK, (BASE,)), [], ids(BASE))
    assert first is not None
    assert (first.replicate, first.of, first.why) == (0, 3, "")


def test_what_was_disturbed_is_counted_over_all_cases_of_a_replicate() -> None:
    rounds = [10.0] * 10
    half = [block(BASE, 0, rounds), block(FAST, 0, rounds, disturbed=range(10))]
    assert repeats(QUICK, half) == 0
    assert repeats(QUICK, [*half, block(NEAR, 0, rounds, disturbed=range(1))]) == 0
    assert repeats(QUICK, [*half, block(NEAR, 0, rounds, disturbed=range(6))]) == 1


def test_a_repetition_that_was_disturbed_too_is_not_repeated() -> None:
    rounds = [10.0] * 10
    loud = [block(BASE, g, rounds, disturbed=range(10)) for g in (0, QUICK.replicates)]
    assert repeats(QUICK, loud) == 1


def test_only_what_has_a_baseline_besides_itself_is_a_comparison() -> None:
    """One more would take its share of what may be found by chance."""
    blocks = measured(2)
    assert set(comparisons(course(), blocks)) == set(ids(FAST, NEAR))
    assert comparisons(Course(CASES, {}, STANDARD, 0.02), blocks) == {}


def test_each_group_goes_on_by_itself() -> None:
    other = [replace(case, batch=8) for case in (BASE, FAST, NEAR)]
    baselines: dict[str, str | None] = {BASE.group: BASE.id, other[0].group: other[0].id}
    both = Course((BASE, FAST, NEAR, *other, ANCHOR), baselines, STANDARD, 0.02)
    ids_of = dict(zip(ids(BASE, FAST, NEAR), ids(*other), strict=True))
    again = [replace(b, case_id=ids_of[b.case_id]) for b in measured(4) if b.case_id in ids_of]
    found = open_cases(both, comparisons(both, [*measured(4), *again]), ids(*both.cases), 4)
    assert found == list(ids(BASE, NEAR, other[0], other[2], ANCHOR))


def test_what_is_settled_at_a_look_has_ended_though_it_is_wide() -> None:
    rng = np.random.default_rng(7)
    logs = {
        "wide": list(0.5 + rng.normal(0, 0.1, 6)),
        "open": list(rng.normal(0, 0.3, 6)),
        "narrow": [0.0, 1e-4] * 3,
    }
    steered = course(replace(PUBLISH, narrow_from=4))
    assert stopped(logs, steered, 6) == {"wide", "narrow"}
    assert stopped(logs, course(PUBLISH), 6) == {"wide", "narrow"}  # equivalent is settled too
    assert stopped({key: some[:5] for key, some in logs.items()}, steered, 5) == {"narrow"}
    assert stopped({key: some[:5] for key, some in logs.items()}, course(PUBLISH), 5) == set()


def test_the_rest_of_a_replicate_is_measured_as_its_beginning() -> None:
    """What its first part showed or took does not count: a resumed run goes on as one that did not stop."""
    rng = np.random.default_rng(6)
    done = [b for g in range(3) for b in turns(CASES, g, (1, 1, 1, 1), rng, scatter=0.03)]
    begun = turns((BASE, NEAR, ANCHOR), 3, (1, 5, 1), rng, scatter=0.9)
    whole, rest = (next_step(course(PUBLISH), blocks, ALL) for blocks in (done, [*done, *begun]))
    assert whole is not None
    assert rest is not None
    assert (whole.replicate, rest.replicate, rest.cases) == (3, 3, ids(FAST))
    assert ROUNDS[0] < rest.rounds == whole.rounds < ROUNDS[1]
    quick = [
        replace(one, figures={**one.figures, "part_ns": 4.1e9})
        for one in turns((BASE, ANCHOR), 3, (1, 1), rng)
    ]
    dear = next_step(course(PUBLISH), [*done, *quick], ALL)
    assert dear is not None
    assert dear.rounds == whole.rounds


def test_without_a_comparison_the_rounds_are_the_profiles() -> None:
    alone = next_step(course(PUBLISH, (BASE,)), [block(BASE, g, [10.0] * 5) for g in range(4)], ids(BASE))
    assert alone is not None
    assert (alone.replicate, alone.cases, alone.rounds, alone.why) == (4, ids(BASE), PUBLISH.rounds, "")


def test_costs_are_those_of_the_last_replicates() -> None:
    blocks = [block(BASE, g, [10.0] * 8) for g in range(5)]
    for b in blocks[:2]:
        b.figures["part_ns"] = 1e12
    found = costs(blocks)
    assert found is not None
    assert found.replicate_s == pytest.approx(6.0)
    assert found.round_s == pytest.approx(4.0 / 8)
    two = [*blocks, block(FAST, 4, [10.0] * 8, part=9)]  # a second part in the last replicate
    assert costs(two).replicate_s == pytest.approx(8.0)  # type: ignore[union-attr]
    assert costs([]) is None
    assert costs([replace(block(BASE, 0, [10.0]), figures={})]) is None
    assert costs([replace(block(BASE, 0, [10.0]), bursts=[])]) is None


def test_the_pilot_chooses_the_rounds_from_the_noise() -> None:
    few = next_step(course(PUBLISH), measured(3, (0.2, 0.2)), ALL)
    assert few is not None
    assert few.rounds == ROUNDS[0]
    rng = np.random.default_rng(6)
    same = [b for g in range(3) for b in turns(CASES, g, (1, 1, 1, 1), rng, scatter=0.1)]
    many = next_step(course(PUBLISH), same, ALL)
    assert many is not None
    assert many.rounds > 2 * ROUNDS[0]
    assert many.replicate == 3
    seen = noisiest(comparisons(course(PUBLISH), same).values())
    assert seen is not None
    assert many.why == (
        f"3 of 3 cases go on, {many.rounds} rounds each: a round scatters by {percent(seen.within)},"
        f" replicates by {percent(seen.between)} more"
    )
    before = next_step(course(PUBLISH), [b for b in same if b.replicate < 2], ALL)
    assert before is not None
    assert (before.rounds, before.why) == (PUBLISH.rounds, "")


def test_a_budget_keeps_room_for_replicates() -> None:
    rng = np.random.default_rng(6)
    same = [b for g in range(3) for b in turns(CASES, g, (1, 1, 1, 1), rng, scatter=0.1)]
    free = next_step(course(AB), same, ALL)
    bound = next_step(course(AB), same, ALL, left_s=60.0)
    assert free is not None
    assert bound is not None
    assert bound.rounds < free.rounds


def test_why_it_ended() -> None:
    assert why_ended(None, None, 0.02, STANDARD) == ""
    assert why_ended([0.0] * 7, 6, 0.02, AB) == "settled at the look after 6 replicates"
    assert why_ended([0.0, 0.5] * 3, None, 0.02, STANDARD) == "all 6 replicates"
    assert why_ended([0.0] * 4, None, 0.02, STANDARD) == "narrow enough after 4 replicates"
    assert why_ended([0.0, 0.5] * 2, None, 0.02, STANDARD).startswith("4 of 6 replicates")
