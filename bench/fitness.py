"""Whether the machine is fit to measure: read-only checks, each with its number and what mends it.

Every check is a function of plain values; `sample` and `checks` gather them.
"""

from __future__ import annotations

import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import psutil

from bench import cpuinfo, lock
from bench.limits import cpu_quota
from bench.machine import Budget, governors, turbo
from bench.topology import ROOT, siblings

State = Literal["ok", "warn", "bad"]
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
    """What the machine did for a moment; shares are of one CPU.

    Attributes:
        busy, steal: logical CPU → share of the time.
        processes: (name, share) of the busiest processes other than our own, the busiest first.
    """

    busy: Mapping[int, float]
    steal: Mapping[int, float]
    processes: Sequence[tuple[str, float]]


def sample(seconds: float = SAMPLE_S) -> Sample:
    """Watches for `seconds`."""
    start, before, processes = time.perf_counter(), psutil.cpu_times(percpu=True), _process_times()
    time.sleep(seconds)
    after, later = psutil.cpu_times(percpu=True), _process_times()
    elapsed = time.perf_counter() - start
    busy, steal = {}, {}
    for cpu, (old, new) in enumerate(zip(before, after, strict=False)):
        idle = new.idle - old.idle + getattr(new, "iowait", 0.0) - getattr(old, "iowait", 0.0)
        steal[cpu] = max(0.0, getattr(new, "steal", 0.0) - getattr(old, "steal", 0.0)) / elapsed
        busy[cpu] = min(1.0, max(0.0, 1 - idle / elapsed - steal[cpu]))
    shares = [
        (name, (used - processes[pid][1]) / elapsed)
        for pid, (name, used) in later.items()
        if pid in processes
    ]
    loud = sorted((one for one in shares if one[1] > NOTICEABLE), key=lambda one: -one[1])
    return Sample(busy, steal, loud[:3])


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
    memory, swap = psutil.virtual_memory(), psutil.swap_memory()
    others = {s for cpu in budget.cpus for s in siblings(root, cpu)} - set(budget.cpus)
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else 0.0
    return (
        cores(budget),
        governor(governors(root, budget.cpus)),
        boost(turbo(root), (root / "sys/devices/system/cpu/intel_pstate/no_turbo").exists()),
        smt(budget, {cpu: seen.busy.get(cpu, 0.0) for cpu in others}),
        load_average(load, psutil.cpu_count() or 1),
        neighbours(seen.processes),
        spinning(sum(seen.busy.get(cpu, 0.0) for cpu in budget.cpus), os.environ),
        quota(cpu_quota(root), budget),
        steal(max((seen.steal.get(cpu, 0.0) for cpu in budget.cpus), default=0.0)),
        virtualised(cpuinfo.virtualised(root)),
        available(memory.available, memory.total),
        swapping(swap.used),
        locked(lock.holder()),
    )


def cores(budget: Budget) -> Check:
    text = f"{len(budget.cpus)} CPUs for every worker: {budget.why}"
    if not budget.pinned:
        return Check("cores", "warn", f"{text}; rows are marked as not pinned")
    return Check("cores", "ok", text)


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


def smt(budget: Budget, sibling_busy: Mapping[int, float]) -> Check:
    """`sibling_busy`: logical CPUs that share a core with the budget's but are not in it → share."""
    if not sibling_busy:
        return Check("SMT siblings", "ok", "no CPU of the budget shares its core")
    busy = {cpu: share for cpu, share in sibling_busy.items() if share > NOTICEABLE}
    if not busy:
        return Check("SMT siblings", "ok", f"{len(sibling_busy)} share cores with the budget, all idle")
    worst = max(busy, key=lambda cpu: busy[cpu])
    text = f"{len(busy)} of {len(sibling_busy)} busy on the budget's cores, CPU {worst} at {busy[worst]:.0%}"
    return Check("SMT siblings", "warn", text, "echo off | sudo tee /sys/devices/system/cpu/smt/control")


def load_average(load: float, cpus: int) -> Check:
    text = f"{load:.2f} over the last minute on {cpus} CPUs"
    if load < 0.25 * cpus:
        return Check("load", "ok", text)
    return Check("load", "warn", text, "top -o %CPU")


def neighbours(processes: Sequence[tuple[str, float]]) -> Check:
    if not processes:
        return Check("other processes", "ok", f"none takes over {NOTICEABLE:.0%} of a CPU")
    text = ", ".join(f"{name} {share:.0%}" for name, share in processes)
    heavy = sum(share for _, share in processes) > HEAVY
    return Check("other processes", "bad" if heavy else "warn", f"{text} of a CPU", "top -o %CPU")


def spinning(busy: float, environment: Mapping[str, str]) -> Check:
    """`busy`: what is taken of the budget's CPUs now, in CPUs."""
    if chosen := [name for name in SPIN_VARIABLES if name in environment]:
        text = ", ".join(f"{name}={_printable(environment[name])}" for name in chosen)
        what = f"{text} is set: OpenMP runtimes do not wait as they ship"
        return Check("spinning", "warn", what, f"unset {' '.join(chosen)}")
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


def steal(share: float) -> Check:
    text = f"{share:.1%} of the budget's worst CPU over {SAMPLE_S:g} s"
    if share <= 0.01:
        return Check("steal", "ok", text)
    mend = "bakeoff run --profile publish"
    return Check("steal", "bad" if share > 0.10 else "warn", f"{text} went to other virtual machines", mend)


def virtualised(yes: bool) -> Check:
    if not yes:
        return Check("virtualised", "ok", "no hypervisor seen")
    return Check("virtualised", "warn", "under a hypervisor: neighbours share caches and memory unseen")


def available(free: int, total: int) -> Check:
    """Bytes."""
    text = f"{free / GIB:.1f} of {total / GIB:.1f} GiB available"
    if free >= 4 * GIB:
        return Check("memory", "ok", text)
    return Check("memory", "bad" if free < GIB else "warn", text, "ps aux --sort=-rss | head")


def swapping(used: int) -> Check:
    """Bytes."""
    if not used:
        return Check("swap", "ok", "not in use")
    return Check("swap", "warn", f"{used / GIB:.2f} GiB in use", "vmstat 1 5")


def locked(holder: lock.Holder | None) -> Check:
    if holder is None:
        return Check("measurement lock", "ok", "free")
    mend = f"ps -fp {holder.pid}" if holder.pid else ""
    return Check("measurement lock", "warn", f"another measurement is running ({holder})", mend)
