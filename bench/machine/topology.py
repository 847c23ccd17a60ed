"""Logical CPUs with their core, package and NUMA node, from /sys and /proc. Standard library alone.

Every function takes the root of the file tree, so that tests feed machines that are not at hand.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

ROOT = Path("/")
CPUS = Path("sys/devices/system/cpu")
NODES = Path("sys/devices/system/node")


@dataclass(frozen=True, slots=True)
class Cpu:
    """An online logical CPU; `core` is the lowest logical CPU of its physical core: no two cores share it."""

    number: int
    core: int
    package: int
    node: int


def read_text(path: Path) -> str:
    """The file's text without surrounding space, empty where it cannot be read."""
    try:
        return path.read_text(errors="replace").strip()
    except OSError:
        return ""


def read_int(path: Path) -> int | None:
    """The file's number, None where there is none."""
    try:
        return int(read_text(path))
    except ValueError:
        return None


def cpu_list(text: str) -> tuple[int, ...]:
    """The kernel's list format: `0-3,8` → (0, 1, 2, 3, 8); what is no list gives ()."""
    numbers: set[int] = set()
    for part in filter(None, text.replace("\n", ",").split(",")):
        first, _, last = part.strip().partition("-")
        try:
            numbers.update(range(int(first), int(last or first) + 1))
        except ValueError:
            return ()
    return tuple(sorted(numbers))


def ranges(numbers: Iterable[int]) -> str:
    """The other way round: (0, 1, 2, 8) → `0-2,8`."""
    runs: list[list[int]] = []
    for number in numbers:
        if runs and runs[-1][-1] == number - 1:
            runs[-1] = [runs[-1][0], number]
        else:
            runs.append([number])
    return ",".join("-".join(map(str, run)) for run in runs)


def topology(root: Path = ROOT) -> tuple[Cpu, ...]:
    """All online logical CPUs, ascending, from /sys, or from /proc/cpuinfo as far as /sys does not tell.

    A CPU of which nothing tells the core stands for a core of its own (`tells_cores`). Empty where there is
    neither (macOS).
    """
    listed = _listed_cores(root)
    first: dict[str, int] = {}
    for cpu, name in sorted(listed.items()):
        first.setdefault(name or f"cpu {cpu}", cpu)
    nodes = {cpu: node for node, cpus in node_cpus(root).items() for cpu in cpus}

    def core(cpu: int) -> int:
        told = _sibling_list(root, cpu)
        return told[0] if told else first.get(listed.get(cpu, ""), cpu)

    def package(cpu: int) -> int:
        told = read_int(root / CPUS / f"cpu{cpu}" / "topology" / "physical_package_id")
        word = listed.get(cpu, "").partition(" ")[0]
        return told if told is not None and told >= 0 else int(word) if word.isdigit() else 0

    online = _online(root) or tuple(sorted(listed))
    return tuple(Cpu(cpu, core(cpu), package(cpu), nodes.get(cpu, 0)) for cpu in online)


def tells_cores(root: Path = ROOT) -> bool:
    """Whether the system says which logical CPUs share a core."""
    return any(_sibling_list(root, cpu) for cpu in _online(root)) or any(_listed_cores(root).values())


def _online(root: Path) -> tuple[int, ...]:
    """By /sys: the kernel's list, else the folders that do not say that theirs is offline."""
    folder = root / CPUS
    return cpu_list(read_text(folder / "online")) or tuple(
        sorted(
            int(path.name[3:])
            for path in folder.glob("cpu[0-9]*")
            if path.name[3:].isdigit() and read_text(path / "online") != "0"
        )
    )


def _listed_cores(root: Path) -> dict[int, str]:
    """The CPUs of /proc/cpuinfo, all online → package and core in words; '' where it says none (Arm)."""
    found: dict[int, str] = {}
    for entry in read_text(root / "proc/cpuinfo").split("\n\n"):
        pairs = (line.partition(":") for line in entry.splitlines())
        facts = {key.strip(): value.strip() for key, _, value in pairs}
        if facts.get("processor", "").isdigit():
            core = facts.get("core id", "")
            found[int(facts["processor"])] = core and f"{facts.get('physical id', '')} {core}"
    return found


def node_cpus(root: Path = ROOT) -> dict[int, tuple[int, ...]]:
    """NUMA node → its logical CPUs; nodes of memory alone are left out."""
    found = {
        int(path.name[4:]): cpu_list(read_text(path / "cpulist"))
        for path in (root / NODES).glob("node[0-9]*")
        if path.name[4:].isdigit()
    }
    return {node: cpus for node, cpus in sorted(found.items()) if cpus}


def siblings(root: Path, cpu: int) -> tuple[int, ...]:
    """The logical CPUs that share its physical core, itself included."""
    if found := _sibling_list(root, cpu):
        return found
    listed = _listed_cores(root)
    core = listed.get(cpu, "")
    return tuple(one for one, other in sorted(listed.items()) if other == core) if core else (cpu,)


def _sibling_list(root: Path, cpu: int) -> tuple[int, ...]:
    """As /sys gives it; () where it does not."""
    folder = root / CPUS / f"cpu{cpu}" / "topology"
    lists = (cpu_list(read_text(folder / name)) for name in ("core_cpus_list", "thread_siblings_list"))
    return next(filter(None, lists), ())  # the second until Linux 5.3


def allowed_cpus() -> tuple[int, ...]:
    """The affinity of this process, which cpusets (cgroup v1 and v2) bound already; () on macOS."""
    if not hasattr(os, "sched_getaffinity"):
        return ()
    return tuple(sorted(os.sched_getaffinity(0)))


def usable_cpus() -> int:
    """How many logical CPUs this process may use; a machine's own number is no bound under affinity."""
    return len(allowed_cpus()) or os.cpu_count() or 1


def caches(root: Path = ROOT, cpu: int = 0) -> list[dict[str, int | str]]:
    """Of one CPU: level, type, bytes and how many logical CPUs share it, from the nearest on."""
    found: list[dict[str, int | str]] = []
    for folder in sorted((root / CPUS / f"cpu{cpu}" / "cache").glob("index[0-9]*")):
        size = read_text(folder / "size")
        unit = {"K": 1024, "M": 1024**2}.get(size[-1:], 1)
        level, digits = read_int(folder / "level"), size.rstrip("KM")
        if level is not None and digits.isdigit():
            shared = len(cpu_list(read_text(folder / "shared_cpu_list"))) or 1
            kind = read_text(folder / "type").lower()
            found.append({"level": level, "type": kind, "bytes": int(digits) * unit, "shared_by": shared})
    return found
