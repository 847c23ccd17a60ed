"""No listener ends a measurement: it is cut off, the run says so, and every block is kept."""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from bench import api
from bench.interfaces.backend import Target
from bench.interfaces.block import Block
from bench.interfaces.case import HARNESS, Case
from bench.interfaces.tensors import IOSpec
from bench.machine.budget import Budget
from bench.measure import run
from bench.measure.run import measure
from bench.measure.turns import Limits, Measured
from bench.measure.worker_spec import Setting
from bench.plan.plan import Plan
from bench.prepare.prepare import Prepared
from bench.progress.heard import Heard
from bench.progress.plain import PlainProgress
from bench.stats.stopping import Course
from bench.store.records import CaseRecord, RoundRecord, RunRecord
from bench.store.sqlite import Store
from bench.suite.profiles import PROFILES
from bench.suite.suite import load_suite

RUN = "20260101-000000"
ANCHOR = Case(HARNESS, HARNESS, 1, None, "anchor", Target(), role="anchor")
NULL = Case(HARNESS, HARNESS, 1, None, "null", Target(), role="overhead")
EVENTS = ("run", "outlook", "replicate", "part", "block", "done")
NOTE = "the listener failed at the event {!r} and was told no more ({})"


def measured(seats: Any, *, replicate: int, part: int, listener: Any, **_: Any) -> Measured:
    """Stands for workers: a block each."""
    for seat in seats:
        listener("burst", {"case": seat.case, "round": 0, "rounds": 1})
    blocks = [Block(seat.case.id, replicate, part, "ok") for seat in seats]
    return Measured(blocks, [RoundRecord(part, 0, 0, 1_000)])


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A store, and an engine whose plan is the harness's own two cases and whose workers are made up."""
    budget = Budget((0,), "made up", 1 << 30)
    cases = (ANCHOR, NULL)
    monkeypatch.setattr(run, "measure_part", measured)
    monkeypatch.setattr(
        api, "plan_suite", lambda suite: (Plan(cases, (), {}, {}, PROFILES["quick"]), budget, {})
    )
    monkeypatch.setattr(
        api, "prepare", lambda *_: {case.id: Prepared(None, IOSpec((), ())) for case in cases}
    )
    return tmp_path / "s.sqlite"


class Failing:
    """A listener that raises at an event, and remembers whether it was told more."""

    def __init__(self, event: str, error: BaseException) -> None:
        self.event, self.error, self.told = event, error, False
        self.failed = False

    def __call__(self, event: str, facts: Mapping[str, Any]) -> None:
        self.told |= self.failed
        if event == self.event:
            self.failed = True
            raise self.error


def kept(path: Path) -> tuple[RunRecord, list[Block]]:
    with Store.open(path) as store:
        return store.run(), store.blocks(store.run().id)


@pytest.mark.parametrize("event", EVENTS)
@pytest.mark.parametrize(
    "error",
    [
        BrokenPipeError(32, "Broken pipe"),
        UnicodeEncodeError("ascii", "×", 0, 1, "ordinal not in range(128)"),
        OSError(28, "No space left on device"),
        KeyError("case"),
    ],
    ids=lambda one: type(one).__name__,
)
def test_a_listener_that_raises_loses_no_block(event: str, error: Exception, store: Path) -> None:
    listener = Failing(event, error)
    done = api.run(load_suite("quick"), store=store, listener=listener)
    record, blocks = kept(store)
    assert done.id == record.id
    assert record.state == "finished"
    assert len(blocks) == 2 * PROFILES["quick"].replicates
    said = " ".join(f"{type(error).__name__}: {error}".split())
    assert record.notes == [NOTE.format(event, said)]
    assert listener.failed
    assert not listener.told


def test_a_listener_that_listens_leaves_no_note(store: Path) -> None:
    api.run(load_suite("quick"), store=store, listener=api.silent)
    assert kept(store)[0].notes == []


@pytest.mark.parametrize("error", [KeyboardInterrupt(), SystemExit(3)], ids=lambda one: type(one).__name__)
def test_interrupts_and_exits_pass(error: BaseException, store: Path) -> None:
    with pytest.raises(type(error)):
        api.run(load_suite("quick"), store=store, listener=Failing("block", error))
    record, blocks = kept(store)
    assert record.state == "interrupted"
    assert blocks


def test_an_interrupted_run_keeps_the_note(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def listener(event: str, facts: Mapping[str, Any]) -> None:
        raise ValueError("two\nlines")

    def interrupted(*_: Any, **__: Any) -> Measured:
        raise KeyboardInterrupt

    monkeypatch.setattr(run, "measure_part", interrupted)
    with pytest.raises(KeyboardInterrupt):
        api.run(load_suite("quick"), store=store, listener=listener)
    assert kept(store)[0].notes == [NOTE.format("run", "ValueError: two lines")]


def test_a_renderer_on_a_stream_that_fails_is_a_listener_like_any(store: Path) -> None:
    class Full(io.StringIO):
        def write(self, text: str) -> int:
            raise OSError(28, "No space left on device")

    api.run(load_suite("quick"), store=store, listener=PlainProgress(Full()))
    record, blocks = kept(store)
    assert len(blocks) == 2 * PROFILES["quick"].replicates
    assert record.notes == [NOTE.format("run", "OSError: [Errno 28] No space left on device")]


def test_a_block_is_stored_before_anybody_hears_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run, "measure_part", measured)
    heard = []
    with Store.open(tmp_path / "s.sqlite", create=True) as opened:
        opened.create_run(RunRecord(RUN, "quick", "running", "2026-01-01T00:00:00+00:00"))
        opened.add_cases(RUN, [CaseRecord(ANCHOR), CaseRecord(NULL)])

        def listener(event: str, facts: Mapping[str, Any]) -> None:
            if event == "block":
                with Store.open(tmp_path / "s.sqlite") as other:  # as another process sees it
                    heard.append((facts["block"].case_id, facts["block"].part))
                    assert heard[-1] in {(block.case_id, block.part) for block in other.blocks(RUN)}

        course = Course((ANCHOR, NULL), {}, PROFILES["quick"], 0.02)
        setting = Setting(RUN, PROFILES["quick"], Limits(), Budget((0,), "made up", 1 << 30), None)
        prepared = {case.id: Prepared(None, IOSpec((), ())) for case in (ANCHOR, NULL)}
        measure(course, prepared, opened, setting, rerun="onfail", listener=listener)
    assert len(heard) == 2 * PROFILES["quick"].replicates


def test_it_says_it_once() -> None:
    heard = Heard(Failing("run", ValueError("x")))
    heard("run", {})
    notes = heard.onto(["the budget ended it"])
    assert heard.onto(notes) == notes == ["the budget ended it", NOTE.format("run", "ValueError: x")]
