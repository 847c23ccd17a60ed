"""What others took from a worker while it measured. Worker side: standard library alone.

A `Meter` keeps its files open and reads them before and after a burst, never within. A figure that the
system does not give is absent. Times are ns unless the key says otherwise.
"""

from __future__ import annotations

import contextlib
import os
import resource
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from bench.machine.cgroups import quota_folders
from bench.machine.topology import CPUS, ROOT, usable_cpus

SHARE = 0.05  # of a burst's wall time: what others may take before it counts as disturbed
JIFFY_NS = 1_000_000_000 // (os.sysconf("SC_CLK_TCK") if hasattr(os, "sysconf") else 100)
SLOW_READ_NS = 50_000  # some kernels sleep or interrupt every CPU to answer; those are not asked again
TRIAL_READS = 5


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Counters at one moment; None and missing keys where the system gives none.

    Attributes:
        busy, steal: jiffies of our CPUs together since the machine started, steal not part of busy.
        run_delay_ns: thread → time that it was runnable without running.
        counters: the difference key → a number that only grows.
        gauges: the difference key → a number of the moment.
    """

    wall_ns: int
    cpu_ns: int
    busy: int | None
    steal: int | None
    run_delay_ns: Mapping[str, int] | None
    counters: Mapping[str, float]
    gauges: Mapping[str, float]


class Meter:
    """Reads this process's disturbance on `cpus` (all CPUs where that is empty), in under 0.3 ms a read."""

    def __init__(
        self, cpus: Iterable[int], root: Path = ROOT, clock: Callable[[], int] = time.perf_counter_ns
    ) -> None:
        """`clock` in ns: whether a source is too slow to be read depends on it, and tests bring their own."""
        self.cpus = tuple(cpus)
        self._clock = clock
        self._wanted = {f"cpu{cpu}".encode() for cpu in self.cpus} or {b"cpu"}
        self._stat = _open(root / "proc/stat")
        self._pressure = _open(root / "proc/pressure/cpu")
        self._quota = [_open(folder / "cpu.stat") for folder in quota_folders(root)]
        folders = [root / CPUS / f"cpu{cpu}" for cpu in self.cpus]
        self._throttle = [_open(folder / "thermal_throttle/core_throttle_count") for folder in folders]
        self._frequency = _quick([_open(folder / "cpufreq/scaling_cur_freq") for folder in folders], clock)
        self._tasks = str(root / "proc/self/task")
        self._delays: dict[str, int | None] = {}  # thread → its open schedstat

    def read(self) -> Snapshot:
        busy, steal = self._cpu_times()
        delays = self._run_delays()
        counters = {"involuntary_switches": resource.getrusage(resource.RUSAGE_SELF).ru_nivcsw}
        if (pressure := _pressure_us(_read(self._pressure))) is not None:
            counters["pressure_us"] = pressure
        if any(fd is not None for fd in self._throttle):
            counters["throttled"] = sum(_number(fd) or 0 for fd in self._throttle)
        if self._quota:
            counters["quota_ns"] = sum(_throttled_ns(_read(fd)) for fd in self._quota)
        megahertz = [khz / 1000 for fd in self._frequency if (khz := _number(fd))]
        gauges = {"frequency_mhz": sum(megahertz) / len(megahertz)} if megahertz else {}
        wall, cpu = self._clock(), time.process_time_ns()
        return Snapshot(wall, cpu, busy, steal, delays, counters, gauges)

    def close(self) -> None:
        """Closes its files; reading after that is an error."""
        groups = (self._quota, self._throttle, self._frequency, self._delays.values())
        for fd in (self._stat, self._pressure, *(fd for group in groups for fd in group)):
            if fd is not None:
                os.close(fd)
        self._delays = {}

    def _cpu_times(self) -> tuple[int | None, int | None]:
        """Busy and stolen jiffies. The line: user nice system idle iowait irq softirq steal guest guest_nice,
        where user and nice hold the guests already (proc_stat(5))."""
        busy = steal = 0
        found = False
        for line in _read(self._stat).splitlines():
            if not line.startswith(b"cpu"):
                break
            name, *fields = line.split()
            if name in self._wanted and len(fields) >= 8:
                user, nice, system, _, _, irq, softirq, stolen = map(int, fields[:8])
                busy += user + nice + system + irq + softirq
                steal += stolen
                found = True
        return (busy, steal) if found else (None, None)

    def _run_delays(self) -> dict[str, int] | None:
        try:
            threads = os.listdir(self._tasks)
        except OSError:
            return None
        for gone in self._delays.keys() - set(threads):
            if (fd := self._delays.pop(gone)) is not None:
                os.close(fd)
        delays = {}
        for thread in threads:
            if thread not in self._delays:
                self._delays[thread] = _open(Path(self._tasks, thread, "schedstat"))
            fields = _read(self._delays[thread]).split()  # ns on the CPU, ns waiting for it, time slices
            if len(fields) >= 2:
                delays[thread] = int(fields[1])
        return delays or None


def difference(before: Snapshot, after: Snapshot) -> dict[str, float]:
    """What happened between two reads.

    Returns:
        `wall_ns`, `cpu_ns` (this process, all threads), `involuntary_switches`, and where the system tells:
        `run_delay_ns` (threads runnable without running, summed), `steal_ns` (taken by the hypervisor from
        our CPUs), `others_ns` (our CPUs busy with anything else), `pressure_us` (some task of the machine
        waited for a CPU), `quota_ns` (held back by a control group), `throttled` (thermal events),
        `frequency_mhz` (mean over our CPUs and both reads). `steal_ns` and `others_ns` come in jiffies.
    """
    figures: dict[str, float] = {
        "wall_ns": after.wall_ns - before.wall_ns,
        "cpu_ns": after.cpu_ns - before.cpu_ns,
    }
    if before.run_delay_ns is not None and after.run_delay_ns is not None:
        start = before.run_delay_ns
        figures["run_delay_ns"] = sum(
            max(0, delay - start.get(thread, 0)) for thread, delay in after.run_delay_ns.items()
        )
    if before.busy is not None and after.busy is not None:
        busy = (after.busy - before.busy) * JIFFY_NS
        figures["others_ns"] = max(0, busy - figures["cpu_ns"])
    if before.steal is not None and after.steal is not None:
        figures["steal_ns"] = max(0, after.steal - before.steal) * JIFFY_NS
    for key, value in after.counters.items():
        if key in before.counters:
            figures[key] = max(0, value - before.counters[key])
    for key, value in after.gauges.items():
        figures[key] = (value + before.gauges.get(key, value)) / 2
    return figures


def taken_ns(figures: Mapping[str, float], cpus: int) -> tuple[float, float]:
    """What others took, counted twice: exactly (waiting), and in jiffies (their time on our CPUs and steal).

    Both see the same neighbour, so they are not added. Threads also wait for each other where a runtime has
    more of them than CPUs: others cannot have taken more than our CPUs had left beside our own CPU time.
    """
    left = max(0.0, figures["wall_ns"] * cpus - figures["cpu_ns"])
    exact = min(figures.get("run_delay_ns", 0.0), left) + figures.get("quota_ns", 0.0)
    coarse = min(figures.get("others_ns", 0.0), left) + figures.get("steal_ns", 0.0)
    return exact, coarse


def disturbed(figures: Mapping[str, float], cpus: Collection[int]) -> bool:
    """Whether others took over 5 % of the wall time of a burst on `cpus` (all that this process may use
    where that is empty).

    What comes in jiffies must also exceed one jiffy for each CPU, the error of its two reads.
    """
    count = len(cpus) or usable_cpus()
    limit = SHARE * figures["wall_ns"]
    exact, coarse = taken_ns(figures, count)
    return exact > limit or coarse > max(limit, JIFFY_NS * count)


def _open(path: Path) -> int | None:
    try:
        return os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None


def _read(fd: int | None) -> bytes:
    """The file from its start: the kernel makes its content anew."""
    if fd is None:
        return b""
    try:
        return os.pread(fd, 1 << 16, 0)  # /proc/stat's lines of 800 CPUs; what follows them is not needed
    except OSError:  # a thread that has ended, a CPU taken offline, pressure accounting switched off
        return b""


def _number(fd: int | None) -> int | None:
    try:
        return int(_read(fd))
    except ValueError:
        return None


def answers_quickly(times_ns: Iterable[int]) -> bool:
    """Whether a source is quick to read, from what its reads took: the quickest of them tells, as a busy
    machine may hold up any. What comes after that is not asked for."""
    return any(took < SLOW_READ_NS for took in times_ns)


def _quick(descriptors: list[int | None], clock: Callable[[], int]) -> list[int | None]:
    """The descriptors if reading one is quick, else none (all closed)."""

    def reads() -> Iterator[int]:
        for _ in range(TRIAL_READS):
            start = clock()
            _number(descriptors[0] if descriptors else None)
            yield clock() - start

    if answers_quickly(reads()):
        return descriptors
    for fd in descriptors:
        if fd is not None:
            with contextlib.suppress(OSError):
                os.close(fd)
    return []


def _pressure_us(text: bytes) -> int | None:
    """`some avg10=0.66 avg60=0.63 avg300=0.74 total=18088928` → its total in µs."""
    _, found, total = text.partition(b"\n")[0].partition(b"total=")
    return int(total) if found and total.strip().isdigit() else None


def _throttled_ns(text: bytes) -> int:
    """cpu.stat's time held back: `throttled_usec` (v2) or `throttled_time` in ns (v1)."""
    for line in text.splitlines():
        key, _, value = line.partition(b" ")
        if key == b"throttled_usec":
            return int(value) * 1000
        if key == b"throttled_time":
            return int(value)
    return 0
