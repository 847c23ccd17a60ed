"""The timed loops: what they count, how they end, and that nothing is made within them."""

import gc
from collections.abc import Mapping
from typing import Any

import pytest

from bench.worker import loops


class Fixed:
    """A session whose run takes a set time, busy, and that counts its calls."""

    staged_sets = 8

    def __init__(self, run_ns: int = 0, stage_ns: int = 0) -> None:
        self.run_ns, self.stage_ns = run_ns, stage_ns
        self.calls: list[str] = []
        self.gc_was_on = False

    def stage(self, inputs: Mapping[str, Any]) -> Any:
        self.calls.append("stage")
        busy(self.stage_ns)
        return inputs

    def run(self, staged: Any) -> Any:
        self.calls.append("run")
        self.gc_was_on |= gc.isenabled()
        busy(self.run_ns)
        return staged

    def fetch(self, outputs: Any) -> dict[str, Any]:
        self.calls.append("fetch")
        return {}


class Clock:
    """Time that passes only when a session works."""

    now = 0

    def __call__(self) -> int:
        return Clock.now


def busy(ns: int) -> None:
    Clock.now += ns


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loops, "perf_counter_ns", Clock())


def buffer(capacity: int = 1000):
    return loops.buffer(capacity)


def test_a_host_burst_lasts_as_long_as_asked_and_takes_the_whole_way() -> None:
    session, samples = Fixed(run_ns=500_000, stage_ns=300_000), buffer()
    count = loops.host_loop(session, {}, samples, burst_ns=20_000_000, at_least=3)
    assert count == 25
    assert session.calls == ["stage", "run", "fetch"] * count
    assert set(samples[:count]) == {800_000}


def test_a_device_burst_runs_and_nothing_else() -> None:
    session, samples = Fixed(run_ns=500_000, stage_ns=300_000), buffer()
    count = loops.device_loop(session, None, samples, burst_ns=10_000_000, at_least=3)
    assert session.calls == ["run"] * count
    assert set(samples[:count]) == {500_000}
    assert count == 20


@pytest.mark.parametrize("least", [1, 3])
def test_as_many_as_asked_where_an_inference_is_slow(least: int) -> None:
    assert loops.host_loop(Fixed(run_ns=2_000_000), {}, buffer(), 1_000, least) == least
    assert loops.device_loop(Fixed(run_ns=2_000_000), None, buffer(), 1_000, least) == least


def test_a_full_buffer_ends_the_burst() -> None:
    assert loops.host_loop(Fixed(), {}, buffer(5), 10**12, 3) == 5
    assert loops.device_loop(Fixed(), None, buffer(5), 10**12, 3) == 5
    assert loops.host_looped(Fixed(), {}, buffer(5), 10**12, 2) == 5
    assert loops.device_looped(Fixed(), None, buffer(5), 10**12, 2) == 5


def test_a_looped_sample_is_the_mean_of_its_inferences() -> None:
    session, samples = Fixed(run_ns=20_000, stage_ns=20_000), buffer()
    count = loops.host_looped(session, {}, samples, burst_ns=5_000_000, inner=10)
    assert session.calls == ["stage", "run", "fetch"] * 10 * count
    assert set(samples[:count]) == {40_000}
    session.calls.clear()
    count = loops.device_looped(session, None, samples, burst_ns=5_000_000, inner=10)
    assert session.calls == ["run"] * 10 * count
    assert set(samples[:count]) == {20_000}


def test_the_devices_own_time_is_asked_for_outside_of_the_samples() -> None:
    session, samples, own = Fixed(run_ns=500_000), buffer(), buffer()

    def tell() -> int:
        busy(70_000)
        return 300_000 + len(session.calls)

    count = loops.device_loop(session, None, samples, 10_000_000, 3, loops.Own(own, tell))
    assert set(samples[:count]) == {500_000}
    assert list(own[:count]) == [300_001 + i for i in range(count)]
    session.calls.clear()
    count = loops.device_looped(session, None, samples, 10_000_000, 4, loops.Own(own, tell))
    assert set(samples[:count]) == {500_000}
    assert list(own[:count]) == [300_004 + 4 * i for i in range(count)]


def test_garbage_collection_is_off_and_comes_back() -> None:
    session = Fixed()
    assert gc.isenabled()
    with loops.no_gc():
        loops.host_loop(session, {}, buffer(), 1_000, 3)
        assert not gc.isenabled()
    assert gc.isenabled()
    assert not session.gc_was_on


def test_the_loop_makes_no_objects_per_iteration() -> None:
    class Nothing(Fixed):
        def __init__(self) -> None:
            self.result: dict[str, Any] = {}

        def stage(self, inputs: Any) -> Any:
            return None

        run = stage

        def fetch(self, outputs: Any) -> dict[str, Any]:
            return self.result

    samples = buffer(20_000)
    with loops.no_gc():
        before = gc.get_count()[0]
        loops.host_loop(Nothing(), {}, samples, 10**12, 3)
        assert gc.get_count()[0] - before < 50  # tracked containers, over 20,000 iterations


def test_warm_up_waits_for_the_steady_state() -> None:
    class Cooling(Fixed):
        def run(self, staged: Any) -> Any:
            self.calls.append("run")
            busy(max(200_000, 3_000_000 - 60_000 * len(self.calls)))

    count, spent, capped, median = loops.warm_up(Cooling(), {}, least_ns=10_000_000, most_ns=5_000_000_000)
    assert not capped
    assert count > 20
    assert spent >= 10_000_000
    assert median == 200_000


def test_warm_up_that_never_settles_is_capped() -> None:
    class Growing(Fixed):
        def run(self, staged: Any) -> Any:
            self.calls.append("run")
            busy(100_000 * len(self.calls))

    _, spent, capped, _ = loops.warm_up(Growing(), {}, least_ns=1_000_000, most_ns=100_000_000)
    assert capped
    assert spent >= 100_000_000


def test_settled_compares_the_last_third_with_the_third_before() -> None:
    steady = loops.buffer(9)
    for i, value in enumerate([900, 500, 400, 100, 101, 100, 102, 100, 101]):
        steady[i] = value
    assert loops.settled(steady, 9)
    assert not loops.settled(steady, 6)
    assert not loops.settled(steady, 2)
