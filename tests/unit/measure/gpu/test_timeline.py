"""What blocks keep of their GPU, from a watcher whose readings are made up."""

from __future__ import annotations

import time

import numpy as np

from bench.compare.rows import on_gpu
from bench.interfaces.block import Block, Burst
from bench.machine.gpu.nvml import Reading
from bench.measure.gpu.timeline import Track, settle

UUID = "GPU-1"


class Told:
    """A watcher that hands out what it was given."""

    lost = ""

    def __init__(self, readings: dict[str, list[Reading]], lost: str = "") -> None:
        self.given, self.lost = readings, lost
        self.asked: tuple[int, int] = (0, 0)

    def readings(self, start_ns: int, end_ns: int) -> dict[str, list[Reading]]:
        self.asked = (start_ns, end_ns)
        return self.given


def track(case_id: str = "c", uuid: str = UUID, pid: int = 7, bursts: int = 3) -> Track:
    """A worker born at 100, ready at 200, with bursts of 10 from 300 on, 20 apart (ns)."""
    spans = [(300 + 20 * i, 310 + 20 * i) for i in range(bursts)]
    block = Block(case_id, 0, 0, "ok", bursts=[Burst(i, 0, i, 1, i, 0) for i in range(bursts)])
    return Track(block, uuid, pid, born_ns=100, ready_ns=200, bursts=spans)


def test_a_burst_is_kept_with_its_span_if_it_came_to_its_end() -> None:
    one = Track(Block("c", 0, 0, "ok"), UUID)
    before = time.monotonic_ns()
    with one.burst():
        within = time.monotonic_ns()
    after = time.monotonic_ns()
    try:
        with one.burst():
            raise ValueError
    except ValueError:
        pass
    ((start, end),) = one.bursts
    assert before <= start <= within <= end <= after
    one.ready()
    assert one.ready_ns >= end >= one.born_ns


def test_figures_go_into_the_blocks_and_marks_into_the_bursts() -> None:
    readings = [
        Reading(50, processes={99: 5}),
        Reading(150, processes={99: 5, 7: 100}),
        Reading(305, sm_mhz=1000, busy={99: 0.5}, processes={99: 5, 7: 120}),
        Reading(325, sm_mhz=2000, busy={99: 0.0}),
    ]
    one, other, cpu = track(), track("d", pid=8), track("e", uuid="")
    watch = Told({UUID: readings})
    settle(watch, [one, other, cpu], begun_ns=90)
    assert one.block.gpu["memory_bytes"] == 120
    assert one.block.gpu["sm_mhz"] == 1500
    assert one.block.gpu["others"] == 1
    assert [burst.disturbed for burst in one.block.bursts] == [True, False, False]
    assert cpu.block.gpu == {}
    assert watch.asked[0] < 90


def test_a_lost_watcher_is_told_in_each_block() -> None:
    one = track()
    settle(Told({}, "the driver was unloaded"), [one], 0)
    assert one.block.gpu == {"lost": "the driver was unloaded"}
    assert [burst.disturbed for burst in one.block.bursts] == [False] * 3
    settle(None, [one], 0)


def test_a_worker_that_never_ran_keeps_nothing() -> None:
    one = track(bursts=0)
    settle(Told({UUID: [Reading(50)]}), [one], 0)
    assert one.block.gpu == {}


def test_a_row_takes_the_middle_of_its_blocks_and_the_last_window() -> None:
    def block(replicate: int, **gpu: object) -> Block:
        return Block("c", replicate, 0, "ok", host_ns=np.array([1]), gpu=dict(gpu))

    window = {
        "inference_ns": 5e6,
        "power_w": 400.0,
        "energy_j": 2.0,
        "source": "counter",
        "doubts": ["short"],
    }
    found = on_gpu(
        [
            block(0, sm_mhz=1000.0, throttled=0.0, memory_bytes=10, memory_how="told", sustained=window),
            block(1, sm_mhz=1200.0, throttled=0.5, throttles=["power cap"], memory_bytes=30, others=2),
            block(2, sm_mhz=1900.0, throttles=["power cap", "power brake"]),
        ]
    )
    assert found is not None
    assert (found.sm_mhz, found.memory_bytes, found.throttled, found.others) == (1200, 20, 0.25, 2)
    assert found.throttles == ("power cap", "power brake")
    assert (found.sustained, found.energy_j, found.energy_valid) == (0.005, 2.0, False)
    assert on_gpu([Block("c", 0, 0, "ok")]) is None
