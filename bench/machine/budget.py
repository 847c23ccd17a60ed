"""What cases may use of the machine: cores of one kind on one node, within affinity and quota, and memory."""

from __future__ import annotations

import math
import os
import platform
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

from bench.machine.cgroups import cpu_quota, memory_limit
from bench.machine.cores import Kind, core_kinds
from bench.machine.topology import (
    CPUS,
    NODES,
    ROOT,
    Cpu,
    allowed_cpus,
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
