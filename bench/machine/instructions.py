"""Arithmetic that this CPU has instructions for."""

from __future__ import annotations

import functools
import platform
from pathlib import Path

# Flags of /proc/cpuinfo that mean arithmetic in that type (x86-64 and aarch64).
CPU_FLAGS = {
    "bf16": frozenset({"avx512_bf16", "amx_bf16", "bf16"}),
    "fp16": frozenset({"avx512_fp16", "amx_fp16", "asimdhp"}),
}


@functools.cache
def cpu_flags(path: Path = Path("/proc/cpuinfo")) -> frozenset[str]:
    """Features that the first CPU names; empty where there is no such file."""
    try:
        lines = path.read_text().splitlines()
    except OSError:
        return frozenset()
    for line in lines:
        key, _, value = line.partition(":")
        if key.strip() in ("flags", "Features"):
            return frozenset(value.split())
    return frozenset()


def cpu_computes(precision: str) -> bool:
    """Whether this CPU has arithmetic of that precision."""
    return precision == "fp32" or not cpu_flags().isdisjoint(CPU_FLAGS.get(precision, frozenset()))


def products_saturate() -> bool:
    """Whether this CPU adds pairs of 8-bit products in 16 bits, which full ranges overflow: an x86 without
    VNNI. Quantisers then take a bit from the weights ("reduce range"), or outputs are wrong."""
    return platform.machine() in ("x86_64", "AMD64") and not cpu_flags() & {"avx512_vnni", "avx_vnni"}
