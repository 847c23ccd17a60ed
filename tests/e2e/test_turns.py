"""Real workers: what they measure in turns, and how each way of dying is a row while the rest goes on."""

import os
import random
import signal
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from bench.machine.gpu.nvml import Reading
from bench.measure import turns
from bench.measure.turns import Limits, measure_part
from bench.processes import reaper
from bench.processes.process import guard
from bench.processes.reaper import WORKER_MARK
from tests.e2e.seats import measured, seat
from tests.helpers.waiting import until


@pytest.fixture(autouse=True)
def nothing_is_left() -> Iterator[None]:
    """No test may leave a worker or a child of one behind, running or stopped."""
    with guard() as token:
        yield
        mark = f"{reaper.RUN_MARK}={token}".encode()
        assert [pid for pid in reaper.marked(mark) if not reaper.is_zombie(pid)] == []


def test_workers_take_turns_in_every_round() -> None:
    a, b = measured(seat(delay_us=300), seat(delay_us=600), rounds=4)
    for block, delay in ((a, 300_000), (b, 600_000)):
        assert block.status == "ok"
        assert [burst.round for burst in block.bursts] == [0, 1, 2, 3]
        assert block.host_ns.size == sum(burst.count for burst in block.bursts)
        assert block.device_ns.size == sum(burst.device_count for burst in block.bursts)
        assert np.median(block.host_ns) >= np.median(block.device_ns)
        assert np.median(block.device_ns) == pytest.approx(delay, rel=0.5)
        for figure in ("import_ns", "load_ns", "first_ns", "ready_ns", "idle_bytes", "peak_bytes", "cpu_ns"):
            assert block.figures[figure] > 0, figure
        assert block.figures["model_bytes"] == block.figures["peak_bytes"] - block.figures["idle_bytes"]
        assert block.actual is not None
    places = [{x.order, y.order} for x, y in zip(a.bursts, b.bursts, strict=True)]
    assert places == [{0, 1}] * 4


@pytest.mark.parametrize(("every", "rounds"), [(1, [0, 1, 2, 3]), (3, [0, 3]), (0, [])])
def test_the_device_boundary_is_measured_as_often_as_the_profile_says(every: int, rounds: list[int]) -> None:
    place = seat(delay_us=300)
    place = replace(place, job=replace(place.job, device_every=every))
    [block] = measured(place, rounds=4)
    assert block.status == "ok"
    assert [burst.round for burst in block.bursts if burst.device_count] == rounds


def test_a_device_with_a_clock_tells_its_own_time() -> None:
    clocked, plain = measured(seat(delay_us=2000, own_share=0.75), seat(delay_us=300), rounds=2)
    assert clocked.own_ns.size == clocked.device_ns.size > 0
    assert set(clocked.own_ns.tolist()) == {1_500_000}
    assert plain.own_ns.size == 0


def test_inputs_may_take_turns() -> None:
    place = seat(delay_us=300)
    turned = replace(place, job=replace(place.job, case=replace(place.job.case, rotate=16)))
    [block] = measured(turned, rounds=2)
    assert block.status == "ok"
    assert block.host_ns.size > 0
    assert block.device_ns.size > 0


class Read:
    """A watcher that read 500 W every 5 ms: bursts are short here."""

    lost = ""

    def readings(self, start_ns: int, end_ns: int) -> dict[str, list[Reading]]:
        times = range(start_ns, end_ns, 5_000_000)
        return {"GPU-1": [Reading(at, power_w=500.0, energy_j=at * 5e-7, sm_mhz=1700.0) for at in times]}


def test_a_case_on_a_gpu_runs_for_a_window_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turns, "SUSTAIN_S", 1.2)
    one, again, cpu = (
        replace(seat(delay_us=us), gpu=gpu) for us, gpu in ((500, "GPU-1"), (700, "GPU-1"), (900, ""))
    )
    blocks = measure_part(
        [one, replace(again, prove=False), cpu],
        replicate=0,
        part=0,
        rounds=2,
        limits=Limits(),
        order=random.Random(0),
        listener=lambda event, facts: None,
        watch=Read(),
    ).blocks
    assert [block.status for block in blocks] == ["ok"] * 3
    window = blocks[0].gpu["sustained"]
    assert window["window_s"] >= 1.2
    assert window["inference_ns"] >= 500_000
    assert window["power_w"] == pytest.approx(500)
    assert window["energy_j"] == pytest.approx(500 * window["inference_ns"] * 1e-9)
    assert any("it takes 10" in doubt for doubt in window["doubts"])
    assert blocks[1].gpu["sm_mhz"] == pytest.approx(1700)
    assert "sustained" not in blocks[1].gpu  # it was proven before
    assert blocks[2].gpu == {}


def test_the_idle_are_stopped_while_one_is_timed() -> None:
    states: list[list[str]] = []

    def look(stop: threading.Event) -> None:
        while not stop.is_set():
            found = []
            for pid in os.listdir("/proc"):
                if pid.isdigit():
                    try:
                        with open(f"/proc/{pid}/cmdline", "rb") as file:
                            ours = b"bench.worker" in file.read()
                        with open(f"/proc/{pid}/stat") as file:
                            found += [file.read().rpartition(")")[2].split()[0]] if ours else []
                    except OSError:
                        continue
            states.append(found)
            time.sleep(0.005)

    stop = threading.Event()
    watcher = threading.Thread(target=look, args=(stop,))
    watcher.start()
    try:
        measured(seat(delay_us=1000), seat(delay_us=1001), seat(delay_us=1002), rounds=6)
    finally:
        stop.set()
        watcher.join()
    together = [found for found in states if len(found) == 3]
    assert together
    # Between two bursts a worker may be seen on its way in or out; never do two of three run for long. Where
    # none were stopped there would be no look at all that finds two so.
    assert np.mean([found.count("T") >= 2 for found in together]) > 0.5


@pytest.mark.parametrize(
    ("options", "status", "reason"),
    [
        ({"fault": "crash"}, "crashed", "SIGSEGV during load"),
        ({"fault": "crash", "when": "late", "after": 500}, "crashed", "SIGSEGV"),
        ({"fault": "exit", "when": "late", "after": 500}, "crashed", "status 0 and no answer"),
        ({"fault": "raise"}, "failed", "RuntimeError"),
        ({"fault": "nonsense"}, "unsupported", "no fault 'nonsense'"),
        ({"typo": 1}, "unsupported", "takes no option 'typo'"),
    ],
)
def test_a_broken_worker_is_a_row_and_the_rest_goes_on(options, status, reason) -> None:
    broken, well = measured(seat(delay_us=100, **options), seat(delay_us=150), rounds=2)
    assert broken.status == status
    assert reason in broken.reason
    assert well.status == "ok"
    assert len(well.bursts) == 2


def test_a_hang_is_a_timeout_that_names_its_limit() -> None:
    limits = Limits(load=15)  # within which any machine loads the other
    hung, well = measured(seat(fault="hang"), seat(delay_us=150), rounds=1, limits=limits)
    assert hung.status == "timeout"
    assert "over 15 s" in hung.reason
    assert "limits: {load" in hung.reason
    assert well.status == "ok"


def test_megabytes_of_output_are_drained_and_their_end_is_kept() -> None:
    (loud,) = measured(seat(fault="print"), rounds=1)
    assert loud.status == "ok"
    assert 0 < len(loud.log) <= 5000


def test_allocating_without_end_is_out_of_memory() -> None:
    greedy, well = measured(seat(fault="allocate", memory_bytes=600 * 2**20), seat(delay_us=150), rounds=1)
    assert greedy.status == "out-of-memory"
    assert well.status == "ok"


def test_children_of_a_worker_are_ended_with_it() -> None:
    (block,) = measured(seat(fault="fork"), rounds=1)
    assert block.status == "ok"
    alive = [p for p in os.listdir("/proc") if p.isdigit() and _forked(int(p))]
    assert alive == []


def _forked(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/environ", "rb") as file:
            ours = f"{WORKER_MARK}={os.getpid()}.".encode() in file.read()
    except OSError:
        return False
    return ours and not reaper.is_zombie(pid)


def workers() -> list[int]:
    return [int(p) for p in os.listdir("/proc") if p.isdigit() and _forked(int(p))]


@pytest.mark.parametrize("delay_s", [0.15, 0.4, 0.8])
def test_a_worker_killed_from_outside_is_a_row(delay_s: float) -> None:
    def kill() -> None:
        until(workers, "a worker's start")
        first = workers()[0]
        time.sleep(delay_s)
        os.kill(first, signal.SIGKILL)

    killer = threading.Thread(target=kill)
    killer.start()
    blocks = measured(seat(delay_us=1000), seat(delay_us=1001), rounds=40)
    killer.join()
    assert sorted(block.status for block in blocks) == ["crashed", "ok"]
    (crashed,) = [block for block in blocks if block.status == "crashed"]
    assert "SIGKILL" in crashed.reason


def test_a_worker_that_cannot_be_started_is_a_row() -> None:
    nowhere = replace(seat(delay_us=100), interpreter=Path("/nonexistent/python"))
    lost, well = measured(nowhere, seat(delay_us=150), rounds=1)
    assert lost.status == "failed"
    assert "could not be started" in lost.reason
    assert well.status == "ok"


def test_an_interrupt_ends_all_workers() -> None:
    class Enough(Exception):
        pass

    def listener(event, facts) -> None:
        if event == "burst" and facts["round"] == 1:
            raise Enough

    import random

    with pytest.raises(Enough):
        measure_part(
            [seat(delay_us=100), seat(fault="fork", delay_us=100)],
            replicate=0,
            part=0,
            rounds=3,
            limits=Limits(),
            order=random.Random(0),
            listener=listener,
        )
