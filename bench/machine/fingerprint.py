"""The machine: the cores that every backend gets alike, and the facts that stand with a result."""

from __future__ import annotations

import math
import os
import platform
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from bench.interfaces.errors import BakeoffError
from bench.machine import cpuinfo
from bench.machine.cgroups import cpu_quota, memory_limit
from bench.machine.cores import Kind, core_kinds, counted
from bench.machine.gpu import devices
from bench.machine.gpu.nvml import NoGpu
from bench.machine.topology import (
    CPUS,
    NODES,
    ROOT,
    Cpu,
    allowed_cpus,
    caches,
    node_cpus,
    ranges,
    read_text,
    tells_cores,
    topology,
)
from bench.text.numbers import count


@dataclass(frozen=True, slots=True)
class Budget:
    """What every worker gets.

    Attributes:
        cpus: one logical CPU per physical core, ascending.
        why: how they were chosen, in one sentence.
        memory_bytes: of the node that they belong to, or the control group's limit if that is less.
        node: their NUMA node.
        pinned: whether the system can hold a process to them (macOS cannot).
        kind: of cores, the name of theirs in `bench.machine.cores`; '' where the system tells of one kind
            alone.
    """

    cpus: tuple[int, ...]
    why: str
    memory_bytes: int
    node: int = 0
    pinned: bool = True
    kind: str = ""


def require_supported_platform() -> None:
    """Raises BakeoffError on Windows."""
    if sys.platform in ("win32", "cygwin"):
        raise BakeoffError(
            "bakeoff measures on Linux, and on macOS without pinning; Windows is not supported",
            hint="run it under WSL 2: `wsl --install`",
        )


def core_budget(root: Path = ROOT, affinity: Iterable[int] | None = None) -> Budget:
    """One logical CPU per physical core of one kind on one NUMA node, within affinity and quota.

    The kind is the fastest of which a core is allowed; the node is the one with the most allowed cores of it,
    the first of equals. `affinity` is this process's own unless given; cpusets are part of it. What the
    system does not tell is named in `why`, and what it does tell holds all the same.
    """
    allowed = set(allowed_cpus() if affinity is None else affinity)
    if not allowed:
        return _unpinned(root)
    shown = topology(root)
    within = [cpu for cpu in shown if cpu.number in allowed]
    # An affinity holds CPUs that run, and nothing else: a /sys that lists none of them is another's view.
    usable = within or [Cpu(number, number, 0, 0) for number in sorted(allowed)]
    kinds = core_kinds(root, shown) if within else ()
    kind = next((one for one in kinds if any(cpu.number in one.cpus for cpu in usable)), None)
    cores = _cores_by_node([cpu for cpu in usable if kind is None or cpu.number in kind.cpus])
    node = max(cores, key=lambda number: (len(cores[number]), -number))
    chosen = cores[node]
    nodes = node_cpus(root)
    why = _how_chosen(root, bool(within)) + (f" of NUMA node {node}" if nodes else "")
    if len(nodes) > 1:
        why += f" ({len(chosen)} of {sum(map(len, cores.values()))} allowed cores)"
    if kind is not None:
        why += _of_kind(kind, kinds, usable, len(chosen))
    if len(within) < len(shown) or not shown:
        why += f", within the affinity {ranges(sorted(allowed))}"
    chosen, said = _within_quota(root, chosen)
    return Budget(tuple(chosen), why + said, _memory(root, node), node, kind=kind.name if kind else "")


def _how_chosen(root: Path, listed: bool) -> str:
    if listed and tells_cores(root):
        return "one logical CPU per physical core"
    where = "/sys cannot be read" if not (root / CPUS).exists() else "/sys does not tell"
    return f"each logical CPU, though some may be siblings on one core ({where})"


def _of_kind(kind: Kind, kinds: Sequence[Kind], usable: Sequence[Cpu], cores: int) -> str:
    """How the kind stands among those of the machine, as the end of a sentence."""
    have = f"{count(cores, 'core')} of {kind.name}"
    allowed = {one.name: {cpu.core for cpu in usable if cpu.number in one.cpus} for one in kinds}
    left = [f"{len(own)} of {name}" for name, own in allowed.items() if own and name != kind.name]
    faster = [f"{one.cores} of {one.name}" for one in kinds[: kinds.index(kind)]]
    without = f", without {' and '.join(left)}" if left else ""
    if faster:
        return f", {have}, a slower kind: {' and '.join(faster)} are outside the affinity{without}"
    return f", of the fastest kind alone: {have}{without}"


def _within_quota(root: Path, cpus: list[int]) -> tuple[list[int], str]:
    """As many as the control group's quota lets run at once, at least one, and the end of a sentence."""
    quota = cpu_quota(root)
    if quota is None or math.floor(quota) >= len(cpus):
        return cpus, ""
    return cpus[: max(1, math.floor(quota))], f", within the control group's quota of {quota:g} CPUs"


def _cores_by_node(cpus: list[Cpu]) -> dict[int, list[int]]:
    """NUMA node → the lowest allowed logical CPU of each of its cores, ascending."""
    cores: dict[int, dict[int, int]] = {}
    for cpu in sorted(cpus, key=lambda cpu: cpu.number):
        cores.setdefault(cpu.node, {}).setdefault(cpu.core, cpu.number)
    return {node: sorted(first.values()) for node, first in cores.items()}


def _unpinned(root: Path) -> Budget:
    physical = _physical_cores() or os.cpu_count() or 1
    cpus, said = _within_quota(root, list(range(physical)))
    why = f"{physical} physical cores; {platform.system()} does not pin processes{said}"
    return Budget(tuple(cpus), why, _memory(root, 0), pinned=False)


def _physical_cores() -> int | None:
    try:
        return psutil.cpu_count(logical=False)
    except OSError:  # /proc is masked
        return None


def _memory(root: Path, node: int) -> int:
    """Bytes that processes on `node` may use. With one node the node's own figure is not asked: it misses
    memory that a hypervisor has plugged in later."""
    sizes = [memory_limit(root)]
    if len(node_cpus(root)) > 1:
        sizes.append(_meminfo(root / NODES / f"node{node}" / "meminfo"))
    return min(size for size in (*sizes, _total_memory(root)) if size)


def _total_memory(root: Path) -> int:
    """Bytes of the machine; from the C library where /proc is masked."""
    if found := _meminfo(root / "proc/meminfo"):
        return found
    try:
        return int(psutil.virtual_memory().total)
    except OSError:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def _meminfo(path: Path) -> int | None:
    for line in read_text(path).splitlines():
        key, _, value = line.partition(":")
        if key.endswith("MemTotal"):
            return int(value.split()[0]) * 1024
    return None


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
    return len({cpu.core for cpu in cpus}) < len(cpus) if cpus and tells_cores(root) else None


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
    first = budget.cpus[0]  # of cores of several kinds, the budget's own are described
    told = len({cpu.core for cpu in cpus}) if tells_cores(root) else None
    return {
        "cpu": cpuinfo.model(root, first),
        "cpu_id": cpuinfo.identity(root, first) or None,
        "architecture": platform.machine(),
        "flags": list(cpuinfo.flags(root, first)) if cpuinfo.all_flags(root, first) or not allowed else None,
        "packages": len({cpu.package for cpu in cpus}) if told else None,
        "cores": told or (None if allowed else _physical_cores()),
        "core_kinds": counted(core_kinds(root, cpus)) or None,
        "threads": len(cpus) or os.cpu_count(),
        "nodes": len(node_cpus(root)) or (1 if not allowed or (root / CPUS).exists() else None),
        "caches": caches(root, first),
        "smt": smt(root),
        "governor": ", ".join(governors(root, budget.cpus)) or None,
        "turbo": turbo(root),
        "memory_bytes": _total_memory(root),
        "memory_limit_bytes": memory_limit(root),
        "cpu_quota": cpu_quota(root),
        "allowed_cpus": len(allowed) or None,
        "budget": {
            "cpus": list(budget.cpus),
            "kind": budget.kind or None,
            "why": budget.why,
            "memory_bytes": budget.memory_bytes,
        },
        "pinned": budget.pinned,
        **_gpus(),
        "virtualised": cpuinfo.virtualised(root),
        "system": platform.system(),
        "kernel": platform.release(),
        "libc": " ".join(platform.libc_ver()).strip() or None,
        "python": f"{platform.python_implementation()} {platform.python_version()}",
    }
