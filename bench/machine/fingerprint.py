"""The facts of the machine that stand with a result."""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from bench.interfaces.errors import BakeoffError
from bench.machine import cpuinfo
from bench.machine.budget import _physical_cores, _total_memory, core_budget
from bench.machine.cgroups import cpu_quota, memory_limit
from bench.machine.cores import core_kinds, counted
from bench.machine.gpu import devices
from bench.machine.gpu.nvml import NoGpu
from bench.machine.topology import (
    CPUS,
    ROOT,
    allowed_cpus,
    caches,
    node_cpus,
    read_text,
    tells_cores,
    topology,
)


def require_supported_platform() -> None:
    """Raises BakeoffError on Windows."""
    if sys.platform in ("win32", "cygwin"):
        raise BakeoffError(
            "bakeoff measures on Linux, and on macOS without pinning; Windows is not supported",
            hint="run it under WSL 2: `wsl --install`",
        )


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
