"""The watcher reads on while nobody asks, hands out what was read, and says what it has lost; the parent
outlives it.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from bench.measure.gpu import watch as watching
from bench.measure.gpu.watch_link import Watch, free_cpus
from bench.processes.process import guard
from bench.processes.wire import Wire
from tests.helpers import waiting
from tests.helpers.recorded_nvml import Card, NVMLError_GpuIsLost, NVMLError_LibraryNotFound, Recorded

CARD = Card()
START = {"uuids": [CARD.uuid], "cpus": [], "period_s": 0.002}


class Served:
    """A watcher in a thread over a library that is played back."""

    def __init__(self, library: Recorded, **start: Any) -> None:
        ours, theirs = socket.socketpair()
        self.wire = Wire(ours.detach())
        self._theirs = Wire(theirs.detach())
        self._thread = threading.Thread(target=watching.serve, args=(self._theirs, library), daemon=True)
        self._thread.start()
        self.wire.send({**START, **start})
        self.first = self.wire.receive()

    def ask(self, start_ns: int = 0, end_ns: int = 1 << 62) -> dict[str, Any]:
        self.wire.send({"start_ns": start_ns, "end_ns": end_ns})
        return self.wire.receive()

    def end(self) -> None:
        self.wire.close()
        self._thread.join(waiting.PATIENCE_S)
        self._theirs.close()
        assert not self._thread.is_alive(), "it ends with its parent"


@pytest.fixture
def library() -> Recorded:
    return Recorded(Card(CARD.uuid))


@pytest.fixture
def served(library: Recorded) -> Iterator[Served]:
    one = Served(library)
    yield one
    one.end()


def until(served: Served, count: int) -> list[dict[str, Any]]:
    """Readings, once there are so many."""
    waiting.until(lambda: len(kept(served)) >= count, "the watcher's reading")
    return kept(served)


def kept(served: Served, uuid: str = CARD.uuid) -> list[dict[str, Any]]:
    return list(served.ask()["readings"].get(uuid, []))


def test_it_reads_on_by_itself(served: Served) -> None:
    assert served.first == {"ok": True}
    times = [one["at_ns"] for one in until(served, 4)]
    assert times == sorted(set(times))


def test_only_what_lies_between(served: Served) -> None:
    times = [one["at_ns"] for one in until(served, 6)]
    found = served.ask(times[1], times[3])["readings"][CARD.uuid]
    assert [one["at_ns"] for one in found] == times[1:4]
    assert served.ask(0)["readings"][CARD.uuid][0]["at_ns"] == times[1], "what is older has been forgotten"


def test_a_driver_that_goes_is_told_and_what_was_read_stays() -> None:
    """Beside a card that stays, whose readings tell that the watcher went on."""
    card, other = Card(CARD.uuid), Card("GPU-other")
    served = Served(Recorded(card, other), uuids=[card.uuid, other.uuid])
    had, answers = len(until(served, 3)), card.answers
    card.answers = dict.fromkeys(answers, NVMLError_GpuIsLost("GPU is lost"))
    waiting.until(lambda: served.ask()["lost"], "the loss")
    assert "answers no more" in served.ask()["lost"][card.uuid]
    assert len(kept(served)) >= had
    card.answers = answers
    before, seen = len(kept(served)), len(kept(served, other.uuid))
    waiting.until(lambda: len(kept(served, other.uuid)) >= seen + 3, "the other's reading")
    assert len(kept(served)) == before, "it does not try again"
    served.end()


def test_no_driver_is_told_at_once() -> None:
    one = Served(Recorded(init=NVMLError_LibraryNotFound()))
    assert "libnvidia-ml.so is not there" in one.first["lost"]
    one.end()


def test_a_gpu_that_is_not_there_is_told_at_once(library: Recorded) -> None:
    one = Served(library, uuids=["GPU-none"])
    assert "GPU-none is not to be found" in one.first["lost"]
    one.end()


def test_it_stays_off_the_measured_cpus() -> None:
    assert free_cpus((0, 1), (0, 1, 2, 5)) == [2, 5]
    assert free_cpus((0, 1), (0, 1)) == [0, 1]  # no other is left
    assert free_cpus((0,), ()) == []  # macOS


def test_where_there_is_no_gpu_the_parent_goes_on_without() -> None:
    """The real process: here it finds no driver, or no such GPU where there is one."""
    with guard(), Watch(["GPU-none"]) as watch:
        assert watch.lost
        assert watch.readings(0, 1) == {}


def test_a_watcher_that_dies_is_no_more_than_lost() -> None:
    with guard(), Watch(["GPU-none"]) as watch:
        watch.lost = ""
        watch._process.end()
        assert watch.readings(0, 1) == {}
        assert "the watcher of the GPUs is lost" in watch.lost
        assert watch.readings(0, 1) == {}
