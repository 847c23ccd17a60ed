"""What a run will take and how sure it will be: from what the store remembers, or from assumptions."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from bench.interfaces.backend import Target
from bench.interfaces.case import HARNESS, Case
from bench.measure.forecast import DEVICE_SHARE, FLOPS_GUESS, LOAD_GUESS_S, TURN_GUESS, outlook, recall
from bench.measure.gpu.timeline import SUSTAIN_S
from bench.stats.noise import ASSUMED, half_width
from bench.stats.stopping import Course
from bench.store.records import CaseRecord, RunRecord
from bench.store.sqlite import Store
from bench.suite.profiles import PROFILES
from tests.helpers.blocks import turns

BASE, NEW = (Case("resnet50", "c", 1, None, name, Target()) for name in ("base", "new"))
ANCHOR = Case(HARNESS, "h", 1, None, "anchor", Target(), role="anchor")
CASES = (BASE, NEW, ANCHOR)


def record(run_id: str, cpu: str = "here") -> RunRecord:
    return RunRecord(run_id, "quick", "finished", f"2026-01-0{run_id}T00:00:00+00:00", machine={"cpu": cpu})


def course(profile: str, cases: tuple[Case, ...] = CASES) -> Course:
    return Course(cases, {BASE.group: BASE.id}, PROFILES[profile], 0.02)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store.open(tmp_path / "s.sqlite", create=True) as opened:
        yield opened


def remember(store: Store, run: RunRecord, scatter: float = 0.05) -> None:
    rng = np.random.default_rng(1)
    store.create_run(run)
    store.add_cases(run.id, [CaseRecord(case) for case in CASES])
    for replicate in range(6):
        store.add_blocks(run.id, turns(CASES, replicate, (1, 1, 1), rng, scatter=scatter))


def test_without_a_memory_it_assumes_and_says_so(store: Store) -> None:
    quick = PROFILES["quick"]
    found = outlook(course("quick"), store, record("1"), None)
    turn = TURN_GUESS + DEVICE_SHARE / quick.device_every
    each = 3 * (LOAD_GUESS_S + quick.rounds * quick.burst_s * turn)
    assert found.seconds == pytest.approx(3 * each)
    assert found.width == pytest.approx(half_width(ASSUMED, quick.rounds, 3))
    assert "assumed" in found.sentence


def test_the_uninterrupted_window_of_a_gpu_is_expected(store: Store) -> None:
    on_gpu = tuple(replace(case, target=Target("cuda:0")) for case in (BASE, NEW))
    seconds = [
        outlook(course("quick", cases), store, record("1"), None).seconds for cases in (CASES[:2], on_gpu)
    ]
    assert seconds[1] - seconds[0] == pytest.approx(2 * SUSTAIN_S)


def test_without_a_memory_a_large_model_is_expected_to_take_longer(store: Store) -> None:
    small, large = ({case.id: {"flops": n, "bytes": n / 100} for case in (BASE, NEW)} for n in (1e6, 4e11))
    quick = PROFILES["quick"]
    guessed = [outlook(course("quick"), store, record("1"), None, known).seconds for known in (small, large)]
    plain = outlook(course("quick"), store, record("1"), None).seconds
    assert guessed[0] == pytest.approx(plain, rel=0.01)
    turns = 2 * 3 * quick.rounds * TURN_GUESS * 4e11 / FLOPS_GUESS  # two cases, one inference a turn
    assert guessed[1] > plain + 0.9 * turns


def test_it_remembers_costs_and_noise_of_the_same_case_here(store: Store) -> None:
    remember(store, record("1"))
    found = outlook(course("quick"), store, record("2"), None)
    assert found.seconds == pytest.approx(3 * 10.0)  # three workers: a part as those in the store, 10 s each
    assert found.basis == "as in run 1"
    assert found.width < half_width(ASSUMED, 10, 3)
    known = recall(course("quick"), store, record("2"))
    assert known is not None
    assert known[1].of_replicate(10) == pytest.approx(0.05 * np.sqrt(2) / np.sqrt(10), rel=0.4)


def test_another_machine_or_other_cases_teach_nothing(store: Store) -> None:
    remember(store, record("1", cpu="there"))
    assert recall(course("quick"), store, record("2")) is None
    remember(store, record("3"))
    other = Case("minilm-l6", "c", 1, 128, "base", Target())
    assert recall(course("quick", (other, ANCHOR)), store, record("4")) is None


def test_a_budget_bounds_replicates_and_names_what_the_first_look_takes(store: Store) -> None:
    remember(store, record("1"))
    found = outlook(course("ab"), store, record("2"), 30.0)
    assert found.replicates < 6
    assert found.seconds <= 30.0
    assert f"--budget {found.first_look_s:.0f}s" in found.sentence
    wide = outlook(course("ab"), store, record("2"), 3000.0)
    assert wide.replicates == 24
    assert "--budget" not in wide.sentence
    assert wide.width < found.width


def test_nothing_to_compare_promises_no_ratio(store: Store) -> None:
    found = outlook(course("quick", (BASE, ANCHOR)), store, record("1"), None)
    assert "ratios" not in found.sentence
