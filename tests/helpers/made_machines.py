"""Machines that are not at hand, as trees of files like /sys and /proc."""

from __future__ import annotations

from pathlib import Path


def write(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text + "\n")
    return root


def fake(
    root: Path, cores: list[tuple[int, ...]], nodes: list[str], online: str, memory_kb: int = 8_000_000
) -> Path:
    """`cores`: the logical CPUs of each physical core; `nodes`: each NUMA node's CPU list."""
    files = {
        "sys/devices/system/cpu/online": online,
        "proc/meminfo": f"MemTotal:       {memory_kb} kB\nMemFree: 1 kB",
    }
    for number, core in enumerate(cores):
        listed = ",".join(map(str, core))
        for cpu in core:
            folder = f"sys/devices/system/cpu/cpu{cpu}/topology"
            files[f"{folder}/core_cpus_list"] = listed
            files[f"{folder}/core_id"] = str(number % 2)  # unique in a package at most
            files[f"{folder}/physical_package_id"] = str(number // 2)
    for number, cpus in enumerate(nodes):
        files[f"sys/devices/system/node/node{number}/cpulist"] = cpus
        files[f"sys/devices/system/node/node{number}/meminfo"] = (
            f"Node {number} MemTotal:  {memory_kb // len(nodes)} kB"
        )
    return write(root, files)


def hybrid(root: Path) -> Path:
    """Intel: 6 fast cores in pairs (CPUs 0-11), 8 slow ones (12-19), one NUMA node."""
    cores = [(2 * i, 2 * i + 1) for i in range(6)] + [(cpu,) for cpu in range(12, 20)]
    fake(root, cores, ["0-19"], "0-19")
    return write(root, {"sys/devices/cpu_core/cpus": "0-11", "sys/devices/cpu_atom/cpus": "12-19"})


def capacities(root: Path, *found: int, online: str = "") -> Path:
    """Arm: a core a CPU, each with its capacity."""
    fake(
        root, [(cpu,) for cpu in range(len(found))], [f"0-{len(found) - 1}"], online or f"0-{len(found) - 1}"
    )
    return write(
        root,
        {f"sys/devices/system/cpu/cpu{cpu}/cpu_capacity": str(one) for cpu, one in enumerate(found)},
    )


def frequencies(root: Path, *megahertz: int) -> Path:
    """A core a CPU, each with the highest clock that it may have."""
    last = len(megahertz) - 1
    fake(root, [(cpu,) for cpu in range(last + 1)], [f"0-{last}"], f"0-{last}")
    folder = "sys/devices/system/cpu/cpu{}/cpufreq/cpuinfo_max_freq"
    return write(root, {folder.format(cpu): str(1000 * one) for cpu, one in enumerate(megahertz)})
