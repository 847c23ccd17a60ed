"""The CPU's model and the instruction sets that matter for inference. Standard library alone."""

from __future__ import annotations

import platform
import subprocess
from pathlib import Path

from bench.machine.topology import ROOT, read_text

# Vector and matrix instructions that a runtime chooses its kernels by, as Linux writes them.
MATTERS = {
    "x86_64": "sse4_2 avx f16c fma avx2 avx_vnni avx_vnni_int8 avx_ne_convert"
    " avx512f avx512bw avx512vl avx512_vnni avx512_bf16 avx512_fp16"
    " amx_tile amx_int8 amx_bf16 amx_fp16 avx10_1 avx10_2",
    "aarch64": "asimd asimdhp asimddp asimdfhm bf16 i8mm sve sve2 svebf16 svei8mm sme sme2",
}
# /proc/cpuinfo of aarch64 gives numbers alone; names as in util-linux, sys-utils/lscpu-arm.c.
ARM_PARTS = {
    ("0x41", "0xd03"): "Cortex-A53",
    ("0x41", "0xd05"): "Cortex-A55",
    ("0x41", "0xd08"): "Cortex-A72",
    ("0x41", "0xd0a"): "Cortex-A75",
    ("0x41", "0xd0b"): "Cortex-A76",
    ("0x41", "0xd0c"): "Neoverse-N1",
    ("0x41", "0xd40"): "Neoverse-V1",
    ("0x41", "0xd41"): "Cortex-A78",
    ("0x41", "0xd44"): "Cortex-X1",
    ("0x41", "0xd49"): "Neoverse-N2",
    ("0x41", "0xd4f"): "Neoverse-V2",
    ("0x41", "0xd84"): "Neoverse-V3",
    ("0x41", "0xd8e"): "Neoverse-N3",
}


def cpuinfo(root: Path = ROOT, cpu: int | None = None) -> dict[str, str]:
    """A processor's entry of /proc/cpuinfo, the first where that one is not listed; empty on macOS.

    Cores of several kinds have entries that differ, and the first is often a slow one's (Arm).
    """
    entries: list[dict[str, str]] = []
    for entry in read_text(root / "proc/cpuinfo").split("\n\n"):
        pairs = (line.partition(":") for line in entry.splitlines() if ":" in line)
        facts: dict[str, str] = {}
        for key, _, value in pairs:
            facts.setdefault(key.strip(), value.strip())
        if facts.keys() - {"processor"}:
            entries.append(facts)
    own = (facts for facts in entries if cpu is not None and facts.get("processor") == str(cpu))
    return next(own, entries[0] if entries else {})


def model(root: Path = ROOT, cpu: int | None = None) -> str:
    facts = cpuinfo(root, cpu)
    if name := facts.get("model name"):
        return name
    implementer, part = facts.get("CPU implementer", ""), facts.get("CPU part", "")
    if part:
        return ARM_PARTS.get((implementer, part), f"implementer {implementer} part {part}")
    return sysctl("machdep.cpu.brand_string") or platform.processor() or platform.machine()


def identity(root: Path = ROOT, cpu: int | None = None) -> str:
    """What tells microarchitectures of one marketing name apart: `family 25 model 1 stepping 1`."""
    facts = cpuinfo(root, cpu)
    keys = {"cpu family": "family", "model": "model", "stepping": "stepping", "CPU variant": "variant"}
    return " ".join(f"{word} {facts[key]}" for key, word in keys.items() if key in facts)


def all_flags(root: Path = ROOT, cpu: int | None = None) -> frozenset[str]:
    facts = cpuinfo(root, cpu)
    return frozenset((facts.get("flags") or facts.get("Features") or "").split())


def flags(root: Path = ROOT, cpu: int | None = None) -> tuple[str, ...]:
    """The instruction sets of `MATTERS` that this CPU has, in that order."""
    have = all_flags(root, cpu)
    if not have and platform.system() == "Darwin":
        have = frozenset(
            name
            for name, key in {"asimd": "AdvSIMD", "bf16": "arm.FEAT_BF16", "i8mm": "arm.FEAT_I8MM"}.items()
            if sysctl(f"hw.optional.{key}") == "1"
        )
    return tuple(name for names in MATTERS.values() for name in names.split() if name in have)


def virtualised(root: Path = ROOT) -> bool | None:
    """Whether a hypervisor is beneath: x86's CPUID bit, or what the firmware calls itself. None where neither
    can be read."""
    known = all_flags(root)
    if "hypervisor" in known or (root / "sys/hypervisor/type").exists():
        return True
    product = read_text(root / "sys/class/dmi/id/product_name").lower()
    if not known and not product:
        return None
    return any(word in product for word in ("kvm", "virtual", "vmware", "qemu"))


def sysctl(key: str) -> str:
    """macOS's answer, empty anywhere else."""
    if platform.system() != "Darwin":
        return ""
    try:
        command = ["/usr/sbin/sysctl", "-n", key]
        return subprocess.run(command, capture_output=True, text=True, timeout=5).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return ""
