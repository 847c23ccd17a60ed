"""The machine: the cores that every backend gets alike, and the facts that stand with a result."""

from __future__ import annotations

import math
import os
import platform
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from bench import cpuinfo
from bench.errors import BakeoffError
from bench.gpu import devices
from bench.gpu.nvml import NoGpu
from bench.limits import cpu_quota, memory_limit
from bench.topology import CPUS, NODES, ROOT, Cpu, allowed_cpus, caches, node_cpus, read_text, topology


@dataclass(frozen=True, slots=True)
class Budget:
    """What every worker gets.

    Attributes:
        cpus: one logical CPU per physical core, ascending.
        why: how they were chosen, in one sentence.
        memory_bytes: of the node that they belong to, or the control group's limit if that is less.
        node: their NUMA node.
        pinned: whether the system can hold a process to them (macOS cannot).
    """

    cpus: tuple[int, ...]
    why: str
    memory_bytes: int
    node: int = 0
    pinned: bool = True


def require_supported_platform() -> None:
    """Raises BakeoffError on Windows."""
    if sys.platform in ("win32", "cygwin"):
        raise BakeoffError(
            "bakeoff measures on Linux, and on macOS without pinning; Windows is not supported",
            hint="run it under WSL 2: `wsl --install`",
        )


def core_budget(root: Path = ROOT, affinity: Iterable[int] | None = None) -> Budget:
    """One logical CPU per physical core of one NUMA node, within affinity and quota, at least one.

    The node is the one with the most allowed cores, the first of equals. `affinity` is this process's own
    unless given; cpusets are part of it.
    """
    cpus = topology(root)
    if not cpus:
        return _unpinned(root)
    allowed = set(allowed_cpus() if affinity is None else affinity)
    cores = _cores_by_node([cpu for cpu in cpus if cpu.number in allowed])
    if not cores:
        raise BakeoffError(
            f"none of the CPUs that this process may use is online ({_ranges(sorted(allowed))})",
            hint="start it under `taskset -c` with CPUs that are",
        )
    node = max(cores, key=lambda number: (len(cores[number]), -number))
    chosen = cores[node]
    why = f"one logical CPU per physical core of NUMA node {node}"
    if len(node_cpus(root)) > 1:
        why += f" ({len(cores[node])} of {sum(map(len, cores.values()))} allowed cores)"
    if len(allowed & {cpu.number for cpu in cpus}) < len(cpus):
        why += f", within the affinity {_ranges(sorted(allowed))}"
    quota = cpu_quota(root)
    if quota is not None and math.floor(quota) < len(chosen):
        chosen = chosen[: max(1, math.floor(quota))]
        why += f", within the control group's quota of {quota:g} CPUs"
    return Budget(tuple(chosen), why, _memory(root, node), node)


def _cores_by_node(cpus: list[Cpu]) -> dict[int, list[int]]:
    """NUMA node → the lowest allowed logical CPU of each of its cores, ascending."""
    cores: dict[int, dict[int, int]] = {}
    for cpu in sorted(cpus, key=lambda cpu: cpu.number):
        cores.setdefault(cpu.node, {}).setdefault(cpu.core, cpu.number)
    return {node: sorted(first.values()) for node, first in cores.items()}


def _unpinned(root: Path) -> Budget:
    count = psutil.cpu_count(logical=False) or os.cpu_count() or 1
    why = f"{count} physical cores; {platform.system()} does not pin processes"
    return Budget(tuple(range(count)), why, _memory(root, 0), pinned=False)


def _memory(root: Path, node: int) -> int:
    """Bytes that processes on `node` may use. With one node the node's own figure is not asked: it misses
    memory that a hypervisor has plugged in later."""
    sizes = [memory_limit(root), _meminfo(root / "proc/meminfo")]
    if len(node_cpus(root)) > 1:
        sizes.append(_meminfo(root / NODES / f"node{node}" / "meminfo"))
    return min((size for size in sizes if size), default=int(psutil.virtual_memory().total))


def _meminfo(path: Path) -> int | None:
    for line in read_text(path).splitlines():
        key, _, value = line.partition(":")
        if key.endswith("MemTotal"):
            return int(value.split()[0]) * 1024
    return None


def _ranges(numbers: Iterable[int]) -> str:
    """(0, 1, 2, 8) → `0-2,8`."""
    runs: list[list[int]] = []
    for number in numbers:
        if runs and runs[-1][-1] == number - 1:
            runs[-1] = [runs[-1][0], number]
        else:
            runs.append([number])
    return ",".join("-".join(map(str, run)) for run in runs)


def governors(root: Path = ROOT, cpus: Iterable[int] = (0,)) -> tuple[str, ...]:
    """The frequency governors of these CPUs, each once; () where the system shows none."""
    found = {read_text(root / CPUS / f"cpu{cpu}" / "cpufreq/scaling_governor") for cpu in cpus}
    return tuple(sorted(found - {""}))


def turbo(root: Path = ROOT) -> bool | None:
    """Whether the CPU may go over its base clock; None where the system does not say."""
    off = read_text(root / CPUS / "intel_pstate/no_turbo")
    if off:
        return off == "0"
    boost = read_text(root / CPUS / "cpufreq/boost")
    return boost == "1" if boost else None


def smt(root: Path = ROOT) -> bool | None:
    """Whether physical cores run several threads; None where the system does not say."""
    cpus = topology(root)
    return len({cpu.core for cpu in cpus}) < len(cpus) if cpus else None


def _gpus() -> dict[str, Any]:
    """The GPUs that CUDA shows, and what serves them; nothing where there are none. No UUID: it is a serial
    number."""
    driver = devices.found()
    if isinstance(driver, NoGpu):
        return {}
    shown = [
        {
            "name": gpu.name,
            "compute_capability": gpu.capability or None,
            "memory_bytes": gpu.memory_bytes,
            "power_limit_w": gpu.power_limit_w,
            "sm_mhz": gpu.sm_mhz,
            "instances": len(gpu.instances) or None,
        }
        for device, gpu in devices.gpus().items()
        if device.count(":") == 1
    ]
    return {"gpus": shown, "gpu_driver": driver.version, "gpu_cuda": driver.cuda}


def fingerprint(root: Path = ROOT, affinity: Iterable[int] | None = None) -> dict[str, Any]:
    """Facts that explain a number, as JSON-able data: CPU, memory, limits, system. No names, no paths.

    Bytes are bytes, `cpu_quota` is in CPUs, None stands for what the system does not say.
    """
    allowed = tuple(allowed_cpus() if affinity is None else affinity)
    cpus, budget = topology(root), core_budget(root, allowed)
    return {
        "cpu": cpuinfo.model(root),
        "cpu_id": cpuinfo.identity(root) or None,
        "architecture": platform.machine(),
        "flags": list(cpuinfo.flags(root)),
        "packages": len({cpu.package for cpu in cpus}) or None,
        "cores": len({cpu.core for cpu in cpus}) or psutil.cpu_count(logical=False),
        "threads": len(cpus) or os.cpu_count(),
        "nodes": len(node_cpus(root)) or 1,
        "caches": caches(root, cpus[0].number) if cpus else [],
        "smt": smt(root),
        "governor": ", ".join(governors(root, budget.cpus)) or None,
        "turbo": turbo(root),
        "memory_bytes": _meminfo(root / "proc/meminfo") or int(psutil.virtual_memory().total),
        "memory_limit_bytes": memory_limit(root),
        "cpu_quota": cpu_quota(root),
        "allowed_cpus": len(allowed) or None,
        "budget": {"cpus": list(budget.cpus), "why": budget.why, "memory_bytes": budget.memory_bytes},
        "pinned": budget.pinned,
        **_gpus(),
        "virtualised": cpuinfo.virtualised(root),
        "system": platform.system(),
        "kernel": platform.release(),
        "libc": " ".join(platform.libc_ver()).strip() or None,
        "python": f"{platform.python_implementation()} {platform.python_version()}",
    }
