"""The meter: on files made by hand, and on this machine's own."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from bench.worker.disturbance import (
    JIFFY_NS,
    SLOW_READ_NS,
    TRIAL_READS,
    Meter,
    Snapshot,
    answers_quickly,
    difference,
    disturbed,
)
from tests.helpers.waiting import until

linux = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
MS = 1_000_000


def stat(cpu0: str, cpu1: str) -> str:
    return f"cpu  1 1 1 1 1 1 1 1 0 0\ncpu0 {cpu0}\ncpu1 {cpu1}\nintr 12 3\n"


@pytest.fixture
def machine(tmp_path: Path) -> Path:
    files = {
        "proc/stat": stat("10 1 2 500 9 3 4 5 10 1", "100 0 0 500 0 0 0 50 0 0"),
        "proc/pressure/cpu": "some avg10=0.0 avg60=0.0 avg300=0.0 total=1000\nfull avg10=0 total=7\n",
        "proc/self/task/11/schedstat": "5 700 1\n",
        "proc/self/task/12/schedstat": "5 300 1\n",
        "proc/self/cgroup": "0::/\n",
        "proc/self/mountinfo": "31 23 0:28 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n",
        "sys/fs/cgroup/cpu.max": "150000 100000\n",
        "sys/fs/cgroup/cpu.stat": "nr_throttled 2\nthrottled_usec 40\n",
        "sys/devices/system/cpu/cpu0/cpufreq/scaling_cur_freq": "2000000\n",
        "sys/devices/system/cpu/cpu0/thermal_throttle/core_throttle_count": "3\n",
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    return tmp_path


def rewrite(root: Path, name: str, text: str) -> None:
    """In place: the meter keeps its files open."""
    (root / name).write_text(text)


class Clock:
    """ns that go on by `step` whenever one looks."""

    def __init__(self, *steps: int) -> None:
        self.now, self.steps, self.looks = 0, list(steps), 0

    def __call__(self) -> int:
        self.looks += 1
        self.now += self.steps.pop(0) if len(self.steps) > 1 else self.steps[0]
        return self.now


def test_every_figure(machine: Path) -> None:
    meter = Meter((0,), machine, Clock(1000))
    before = meter.read()
    # 7 busy (user 2, nice 1, system 1, irq 1, softirq 2) and 4 stolen; idle and guest do not count.
    rewrite(machine, "proc/stat", stat("12 2 3 600 11 4 6 9 12 2", "900 0 0 500 0 0 0 950 0 0"))
    rewrite(machine, "proc/pressure/cpu", "some avg10=0.0 avg60=0.0 avg300=0.0 total=1250\n")
    rewrite(machine, "proc/self/task/11/schedstat", "5 1700 1\n")
    (machine / "proc/self/task/12/schedstat").unlink()  # a thread that ended, and one that began
    (machine / "proc/self/task/12").rmdir()
    (machine / "proc/self/task/13").mkdir()
    rewrite(machine, "proc/self/task/13/schedstat", "5 50 1\n")
    rewrite(machine, "sys/fs/cgroup/cpu.stat", "nr_throttled 3\nthrottled_usec 100\n")
    rewrite(machine, "sys/devices/system/cpu/cpu0/cpufreq/scaling_cur_freq", "3000000\n")
    rewrite(machine, "sys/devices/system/cpu/cpu0/thermal_throttle/core_throttle_count", "5\n")
    after = meter.read()
    meter.close()
    found = difference(before, after)
    assert found["others_ns"] == 7 * JIFFY_NS - found["cpu_ns"]
    assert found["steal_ns"] == 4 * JIFFY_NS
    assert found["run_delay_ns"] == 1050
    assert found["pressure_us"] == 250
    assert found["quota_ns"] == 60_000
    assert found["frequency_mhz"] == 2500
    assert found["throttled"] == 2
    assert found["wall_ns"] == 1000
    assert found["involuntary_switches"] >= 0


@pytest.mark.parametrize(
    ("times", "quick"),
    [
        ([SLOW_READ_NS - 1], True),
        ([SLOW_READ_NS], False),
        ([10**9, 20_000_000, 4_000], True),  # held up by others twice
        ([20_000_000] * TRIAL_READS, False),  # a kernel that sleeps to answer
        ([], False),
    ],
)
def test_the_quickest_read_tells_whether_a_source_is_slow(times: list[int], quick: bool) -> None:
    assert answers_quickly(times) is quick
    left = iter([4_000, *times])
    assert answers_quickly(left)
    assert list(left) == times, "no more is read than it takes"


@pytest.mark.parametrize("held_up", [0, 1, TRIAL_READS - 1, TRIAL_READS])
def test_a_clock_that_is_slow_to_read_is_read_no_more(machine: Path, held_up: int) -> None:
    slow = [1, SLOW_READ_NS]  # before and after a read
    clock = Clock(*slow * held_up, 1)
    meter = Meter((0,), machine, clock)
    assert clock.looks == 2 * min(held_up + 1, TRIAL_READS)
    assert ("frequency_mhz" in meter.read().gauges) == (held_up < TRIAL_READS)
    meter.close()


def test_missing_files_leave_keys_out(tmp_path: Path) -> None:
    meter = Meter((0, 1), tmp_path)
    found = difference(meter.read(), meter.read())
    meter.close()
    assert found.keys() == {"wall_ns", "cpu_ns", "involuntary_switches"}
    assert not disturbed(found, (0, 1))


def test_others_never_below_zero() -> None:
    before = Snapshot(0, 0, 100, 0, {}, {}, {})
    after = Snapshot(100 * MS, 95 * MS, 109, 0, {}, {}, {})  # 90 ms by ticks, 95 exactly
    assert difference(before, after)["others_ns"] == 0


@pytest.mark.parametrize(
    ("figures", "cpus", "expected"),
    [
        ({}, 1, False),
        ({"cpu_ns": 140 * MS, "run_delay_ns": 8 * MS}, 1, True),
        ({"cpu_ns": 140 * MS, "run_delay_ns": 7 * MS}, 1, False),
        # Our own threads waiting for each other: the CPUs were ours all the time.
        ({"cpu_ns": 299 * MS, "run_delay_ns": 300 * MS}, 2, False),
        ({"cpu_ns": 150 * MS, "run_delay_ns": 100 * MS}, 2, True),
        # One jiffy a CPU may be an error of the two reads.
        ({"steal_ns": 20 * MS}, 2, False),
        ({"steal_ns": 30 * MS}, 2, True),
        ({"others_ns": 20 * MS}, 2, False),
        ({"others_ns": 30 * MS}, 2, True),
        ({"others_ns": 10 * MS, "steal_ns": 20 * MS}, 2, True),
        ({"cpu_ns": 149 * MS, "others_ns": 30 * MS}, 1, False),
        ({"quota_ns": 9 * MS}, 2, True),
    ],
)
def test_disturbed(figures: dict[str, float], cpus: int, expected: bool) -> None:
    assert JIFFY_NS == 10 * MS
    burst = {"wall_ns": 150 * MS, "cpu_ns": 0.0, **figures}
    assert disturbed(burst, range(cpus)) is expected


def spin(seconds: float) -> None:
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        pass


@linux
def test_a_neighbour_on_our_cpu_is_seen() -> None:
    cpu = min(os.sched_getaffinity(0))
    program = (
        f"import os, time; os.sched_setaffinity(0, {{{cpu}}}); print(flush=True)\n"
        "parent = os.getppid()\nwhile os.getppid() == parent: pass"
    )
    neighbour = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE)
    allowed = os.sched_getaffinity(0)
    try:
        assert neighbour.stdout is not None
        neighbour.stdout.readline()
        os.sched_setaffinity(0, {cpu})
        meter = Meter((cpu,))
        before = meter.read()
        spin(0.3)
        found = difference(before, meter.read())
        meter.close()
    finally:
        os.sched_setaffinity(0, allowed)
        neighbour.kill()
        neighbour.wait()
    assert found["cpu_ns"] < 0.8 * found["wall_ns"]
    assert found["run_delay_ns"] > 0.2 * found["wall_ns"]
    assert found["others_ns"] > 0.2 * found["wall_ns"]
    assert disturbed(found, (cpu,))


@linux
def test_threads_that_come_and_go_leave_no_open_file() -> None:
    meter = Meter((0,))
    meter.read()
    stop = threading.Event()
    threads = [threading.Thread(target=stop.wait) for _ in range(8)]
    before, running = len(os.listdir("/proc/self/fd")), len(os.listdir("/proc/self/task"))
    for thread in threads:
        thread.start()
    meter.read()
    assert len(os.listdir("/proc/self/fd")) == before + 8
    stop.set()
    for thread in threads:
        thread.join()
    until(lambda: len(os.listdir("/proc/self/task")) == running, "the kernel's own forgetting of threads")
    meter.read()
    assert len(os.listdir("/proc/self/fd")) == before
    meter.close()


def test_standard_library_alone() -> None:
    program = (
        "import sys; before = set(sys.modules); import bench.worker.disturbance; "
        "new = {name.partition('.')[0] for name in set(sys.modules) - before}; "
        "print(sorted(new - set(sys.stdlib_module_names) - {'bench'}))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
