"""Whether the machine is fit to measure: read-only checks, each with its number and what mends it.

Every check is a function of plain values; `sample` and `checks` gather them.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeVar

import psutil

from bench.machine import cores as kinds
from bench.machine import cpuinfo, lock
from bench.machine.budget import Budget
from bench.machine.cgroups import cpu_quota
from bench.machine.fingerprint import governors, turbo
from bench.machine.topology import ROOT, ranges, siblings, tells_cores, topology
from bench.text.numbers import memory_size

State = Literal["ok", "warn", "bad"]
Answer = TypeVar("Answer")
SAMPLE_S = 0.5
NOTICEABLE = 0.05  # of one CPU: what others may take before it is named
HEAVY = 0.25
GIB = 1024**3
# Set by hand, these change how runtimes wait; bakeoff measures them as they ship.
SPIN_VARIABLES = ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "KMP_BLOCKTIME")


@dataclass(frozen=True, slots=True)
class Check:
    """One fact with its number, how bad it is, and the command that mends it ('' where there is none)."""

    name: str
    state: State
    fact: str
    mend: str = ""


@dataclass(frozen=True, slots=True)
class Sample:
    """What the machine did for a moment; shares are of one CPU. None where the system does not say.

    Attributes:
        busy, steal: logical CPU → share of the time.
        processes: (name, share) of the busiest processes other than our own, the busiest first.
    """

    busy: Mapping[int, float] | None
    steal: Mapping[int, float] | None
    processes: Sequence[tuple[str, float]] | None


@dataclass(frozen=True, slots=True)
class Look:
    """Counters at one moment, in seconds; None where /proc is masked.

    Attributes:
        cpus: of each logical CPU, by its number: idle (waiting for disks included) and stolen.
        processes: process id → name and CPU time, our own left out.
    """

    at: float
    cpus: Sequence[tuple[float, float]] | None
    processes: Mapping[int, tuple[str, float]] | None


def sample(seconds: float = SAMPLE_S) -> Sample:
    """Watches for `seconds`."""
    before = _look()
    time.sleep(seconds)
    return changes(before, _look())


def changes(before: Look, after: Look) -> Sample:
    """What happened between two looks."""
    elapsed = after.at - before.at
    busy, steal = None, None
    if before.cpus is not None and after.cpus is not None:
        busy, steal = {}, {}
        for cpu, (old, new) in enumerate(zip(before.cpus, after.cpus, strict=False)):
            steal[cpu] = max(0.0, new[1] - old[1]) / elapsed
            busy[cpu] = min(1.0, max(0.0, 1 - (new[0] - old[0]) / elapsed - steal[cpu]))
    if before.processes is None or after.processes is None:
        return Sample(busy, steal, None)
    shares = [
        (name, (used - before.processes[pid][1]) / elapsed)
        for pid, (name, used) in after.processes.items()
        if pid in before.processes
    ]
    loud = sorted((one for one in shares if one[1] > NOTICEABLE), key=lambda one: -one[1])
    return Sample(busy, steal, loud[:3])


def _look() -> Look:
    return Look(time.perf_counter(), said_by(_cpu_times), said_by(_process_times))


def said_by(ask: Callable[[], Answer]) -> Answer | None:
    """What psutil or the C library answers, None where /proc is masked and they raise."""
    try:
        return ask()
    except (OSError, IndexError, psutil.Error):  # IndexError: psutil's, of a /proc that lists no process
        return None


def _cpu_times() -> list[tuple[float, float]]:
    return [
        (one.idle + getattr(one, "iowait", 0.0), getattr(one, "steal", 0.0))
        for one in psutil.cpu_times(percpu=True)
    ]


def _process_times() -> dict[int, tuple[str, float]]:
    """Process id → name and CPU seconds, our own and its threads left out."""
    found = {}
    for process in psutil.process_iter(["name", "cpu_times"]):
        times, name = process.info["cpu_times"], process.info["name"]
        if times and process.pid != os.getpid():
            found[process.pid] = (_printable(name or "?"), times.user + times.system)
    return found


def _printable(name: str) -> str:
    """A process chooses its name: no control characters of it reach the terminal."""
    return "".join(letter if letter.isprintable() else "?" for letter in name)[:32]


def checks(budget: Budget, seen: Sample, root: Path = ROOT) -> tuple[Check, ...]:
    """Everything that disturbs a measurement here, in a fixed order."""
    memory, swap = said_by(psutil.virtual_memory), said_by(psutil.swap_memory)
    others = {s for cpu in budget.cpus for s in siblings(root, cpu)} - set(budget.cpus)
    load = said_by(os.getloadavg) if hasattr(os, "getloadavg") else None
    busy, stolen = seen.busy, seen.steal
    return (
        cores(budget, tells_cores(root)),
        core_kinds(budget, kinds.core_kinds(root, topology(root))),
        governor(governors(root, budget.cpus)),
        boost(turbo(root), (root / "sys/devices/system/cpu/intel_pstate/no_turbo").exists()),
        smt(budget, None if busy is None else {cpu: busy.get(cpu, 0.0) for cpu in others}),
        load_average(load and load[0], psutil.cpu_count() or 1),
        neighbours(seen.processes),
        spinning(None if busy is None else sum(busy.get(cpu, 0.0) for cpu in budget.cpus), os.environ),
        quota(cpu_quota(root), budget),
        steal(None if stolen is None else max((stolen.get(cpu, 0.0) for cpu in budget.cpus), default=0.0)),
        virtualised(cpuinfo.virtualised(root)),
        available(memory.available, memory.total) if memory else silent("memory"),
        swapping(swap.used) if swap else silent("swap"),
        locked(lock.holder()),
    )


def silent(name: str) -> Check:
    """Of a figure that is masked: a disturbance would not be seen."""
    return Check(name, "warn", "the system does not say (is /proc masked?)")


def cores(budget: Budget, told: bool = True) -> Check:
    """`told`: whether the system says which logical CPUs share a core."""
    text = f"{len(budget.cpus)} CPUs for every worker: {budget.why}"
    if not budget.pinned:
        return Check("cores", "warn", f"{text}; rows are marked as not pinned")
    if not told:
        return Check("cores", "warn", text, "let the container read /sys/devices/system/cpu")
    return Check("cores", "ok", text)


def core_kinds(budget: Budget, found: Sequence[kinds.Kind]) -> Check:
    """`found`: those of the machine, the fastest first."""
    name = "kinds of cores"
    if not found:
        return Check(name, "ok", "the system tells no kinds apart")
    have = ", ".join(f"{kind.cores} of {kind.name}" for kind in found)
    text = f"{len(found)} kinds ({have}); the budget is of {budget.kind or 'no kind that is known'}"
    if budget.kind == found[0].name:
        return Check(name, "ok", f"{text} alone")
    mend = f"taskset -c {ranges(found[0].cpus)} bakeoff run"
    return Check(name, "warn", f"{text}, and faster ones are not allowed", mend)


def governor(names: Sequence[str]) -> Check:
    if not names:
        return Check("governor", "ok", "the system shows no frequency governor")
    text = ", ".join(names)
    if set(names) == {"performance"}:
        return Check("governor", "ok", text)
    mend = "sudo cpupower frequency-set -g performance"
    return Check("governor", "warn", f"{text}: the clock follows the load", mend)


def boost(on: bool | None, intel: bool) -> Check:
    if not on:
        return Check("turbo", "ok", "off" if on is not None else "the system does not say")
    file, value = ("intel_pstate/no_turbo", 1) if intel else ("cpufreq/boost", 0)
    mend = f"echo {value} | sudo tee /sys/devices/system/cpu/{file}"
    return Check("turbo", "warn", "on: the clock depends on temperature and on what other cores do", mend)


def smt(budget: Budget, sibling_busy: Mapping[int, float] | None) -> Check:
    """`sibling_busy`: logical CPUs that share a core with the budget's but are not in it → share."""
    if sibling_busy is None:
        return silent("SMT siblings")
    if not sibling_busy:
        return Check("SMT siblings", "ok", "no CPU of the budget shares its core")
    busy = {cpu: share for cpu, share in sibling_busy.items() if share > NOTICEABLE}
    if not busy:
        return Check("SMT siblings", "ok", f"{len(sibling_busy)} share cores with the budget, all idle")
    worst = max(busy, key=lambda cpu: busy[cpu])
    text = f"{len(busy)} of {len(sibling_busy)} busy on the budget's cores, CPU {worst} at {busy[worst]:.0%}"
    return Check("SMT siblings", "warn", text, "echo off | sudo tee /sys/devices/system/cpu/smt/control")


def load_average(load: float | None, cpus: int) -> Check:
    if load is None:
        return silent("load")
    text = f"{load:.2f} over the last minute on {cpus} CPUs"
    if load < 0.25 * cpus:
        return Check("load", "ok", text)
    return Check("load", "warn", text, "top -o %CPU")


def neighbours(processes: Sequence[tuple[str, float]] | None) -> Check:
    if processes is None:
        return silent("other processes")
    if not processes:
        return Check("other processes", "ok", f"none takes over {NOTICEABLE:.0%} of a CPU")
    text = ", ".join(f"{name} {share:.0%}" for name, share in processes)
    heavy = sum(share for _, share in processes) > HEAVY
    return Check("other processes", "bad" if heavy else "warn", f"{text} of a CPU", "top -o %CPU")


def spinning(busy: float | None, environment: Mapping[str, str]) -> Check:
    """`busy`: what is taken of the budget's CPUs now, in CPUs."""
    if chosen := [name for name in SPIN_VARIABLES if name in environment]:
        text = ", ".join(f"{name}={_printable(environment[name])}" for name in chosen)
        what = f"{text} is set: OpenMP runtimes do not wait as they ship"
        return Check("spinning", "warn", what, f"unset {' '.join(chosen)}")
    if busy is None:
        return silent("spinning")
    if busy > NOTICEABLE:
        what = f"{busy:.2f} CPUs of the budget are busy: runtimes that spin for their threads suffer most"
        return Check("spinning", "warn", what, "bakeoff run --threads 1")
    return Check(
        "spinning", "ok", "runtimes wait for their threads as they ship; no neighbour on their cores"
    )


def quota(cpus: float | None, budget: Budget) -> Check:
    if cpus is None:
        return Check("cgroup quota", "ok", "none")
    text = f"{cpus:g} CPUs, the budget is {len(budget.cpus)}"
    if cpus < len(budget.cpus):
        return Check(
            "cgroup quota", "bad", f"{text}: workers are held back", "docker update --cpus 1 CONTAINER"
        )
    if cpus < len(budget.cpus) + 0.5:
        text += ", which leaves nothing for bakeoff itself"
        return Check("cgroup quota", "warn", text)
    return Check("cgroup quota", "ok", text)


def steal(share: float | None) -> Check:
    if share is None:
        return silent("steal")
    text = f"{share:.1%} of the budget's worst CPU over {SAMPLE_S:g} s"
    if share <= 0.01:
        return Check("steal", "ok", text)
    mend = "bakeoff run --profile publish"
    return Check("steal", "bad" if share > 0.10 else "warn", f"{text} went to other virtual machines", mend)


def virtualised(yes: bool | None) -> Check:
    if yes is None:
        return silent("virtualised")
    if not yes:
        return Check("virtualised", "ok", "no hypervisor seen")
    return Check("virtualised", "warn", "under a hypervisor: neighbours share caches and memory unseen")


def available(free: int, total: int) -> Check:
    """Bytes."""
    text = f"{memory_size(free)} of {memory_size(total)} available"
    if free >= 4 * GIB:
        return Check("memory", "ok", text)
    return Check("memory", "bad" if free < GIB else "warn", text, "ps aux --sort=-rss | head")


def swapping(used: int) -> Check:
    """Bytes."""
    if not used:
        return Check("swap", "ok", "not in use")
    return Check("swap", "warn", f"{memory_size(used)} in use", "vmstat 1 5")


def locked(holder: lock.Holder | None) -> Check:
    if holder is None:
        return Check("measurement lock", "ok", "free")
    mend = f"ps -fp {holder.pid}" if holder.pid else ""
    return Check("measurement lock", "warn", f"another measurement is running ({holder})", mend)
