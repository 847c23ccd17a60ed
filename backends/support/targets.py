"""What several backends need: refusing a case in the same words, the CPU's flags, weighing a profile.

Standard library and NumPy alone. A backend outside this repository may use it as well.
"""

from __future__ import annotations

import functools
import importlib
import os
import platform
import shutil
from collections import Counter
from collections.abc import Collection, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeVar

import numpy as np

from backends.support.faults import broken as broken
from backends.support.faults import first_line as first_line
from backends.support.faults import refusals as refusals
from backends.support.faults import unfit as unfit
from bench.interfaces.backend import EMULATED, Backend, Fact, Support, Target
from bench.interfaces.errors import MEND, BackendUnavailable, ModelFileError, UnsupportedCase, did_you_mean
from bench.interfaces.precision import word
from bench.interfaces.tensors import Array, IOSpec, ModelFile
from bench.plugins.shadows import shadow

# How runtimes spell their element types → the precision of the arithmetic.
PRECISIONS = {
    **dict.fromkeys(("float64", "double", "f64"), "fp64"),
    **dict.fromkeys(("float32", "float", "f32"), "fp32"),
    **dict.fromkeys(("float16", "half", "f16"), "fp16"),
    **dict.fromkeys(("bfloat16", "bf16"), "bf16"),
    **dict.fromkeys(("int8", "uint8", "i8", "u8"), "int8"),
    **dict.fromkeys(("float8_e4m3fn", "float8e4m3fn", "f8e4m3fn", "f8e4m3"), "fp8"),
}
# Flags of /proc/cpuinfo that mean arithmetic in that type (x86-64 and aarch64).
CPU_FLAGS = {
    "bf16": frozenset({"avx512_bf16", "amx_bf16", "bf16"}),
    "fp16": frozenset({"avx512_fp16", "amx_fp16", "asimdhp"}),
}


def import_runtime(backend: Backend) -> None:
    """Imports the runtime's modules. Raises BackendUnavailable with the command that mends it, also where a
    file that is none of the runtime's goes by its name."""
    for module in backend.runtime:
        if hidden := shadow(module):
            raise BackendUnavailable(
                f"{backend.name}: {hidden[0]} would be imported as {module}, and hides {hidden[1]}",
                hint=f"rename {hidden[0]}, or take its folder off Python's path (PYTHONPATH, *.pth)",
            )
        try:
            found = importlib.import_module(module)
            if getattr(found, "__path__", None) is not None and found.__file__ is None:
                raise ImportError(f"{', '.join(found.__path__)} is a folder without a package")
        except (ImportError, OSError) as error:
            raise BackendUnavailable(
                f"{backend.name}: {module} cannot be imported ({first_line(error)})",
                hint=os.environ.get(MEND) or backend.install,
            ) from error


def given(backend: Backend, model: ModelFile | None) -> ModelFile:
    """The model file, of a backend that takes one. Raises ModelFileError where there is none."""
    if model is None:
        wanted = " or ".join(backend.formats)
        raise ModelFileError(f"{backend.name}: no model file was given", hint=f"prepare one of {wanted}")
    return model


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


def usable_cpus() -> int:
    """How many logical CPUs this process may use: the affinity where the system has one."""
    affinity = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 0
    return affinity or os.cpu_count() or 1


def tasks(name: str = "") -> int:
    """Threads of this process whose names begin so; 0 where the system does not list them."""
    return sum(path.read_text().startswith(name) for path in Path("/proc/self/task").glob("*/comm"))


def products_saturate() -> bool:
    """Whether this CPU adds pairs of 8-bit products in 16 bits, which full ranges overflow: an x86 without
    VNNI. Quantisers then take a bit from the weights ("reduce range"), or outputs are wrong."""
    return platform.machine() in ("x86_64", "AMD64") and not cpu_flags() & {"avx512_vnni", "avx_vnni"}


def require(backend: Backend, target: Target, devices: Mapping[str, Mapping[str, Support]]) -> Support:
    """How the target's precision is computed; `devices` is the table that `probe` answers.

    Raises UnsupportedCase where the variant, device or precision is not to be had, or only emulated and
    not asked for as such.
    """
    name, precision = backend.name, target.arithmetic
    if target.variant not in backend.variants:
        raise UnsupportedCase(
            f"{name} has no variant {target.variant!r}",
            hint=did_you_mean(target.variant, [variant for variant in backend.variants if variant]),
        )
    table = devices.get(target.device)
    if table is None:
        raise UnsupportedCase(
            f"{name} has no device {target.device!r} here",
            hint=f"--device {','.join(devices)}, or `bakeoff doctor` for why",
        )
    native = ",".join(p for p, support in table.items() if support.level == "native")
    support = table.get(word(precision))
    if support is None or support.level == "none":
        why = support.why if support else "it knows no such precision"
        raise UnsupportedCase(
            f"{name} does not compute {precision} on {target.device}: {why}", hint=f"--precision {native}"
        )
    if support.level == "emulated" and not target.emulation_allowed:
        raise UnsupportedCase(
            f"{name} only emulates {precision} on {target.device}: {support.why}",
            hint=f"--precision {precision}{EMULATED}",
        )
    return support


def since(
    least: tuple[int, int], capability: tuple[int, int], otherwise: Literal["emulated", "none"] = "none"
) -> Support:
    """Native on GPUs of that compute capability or a later one (CUDA C++ Programming Guide, 'Compute
    capabilities'); both are (major, minor)."""
    if capability >= least:
        return Support("native")
    wanted, has = (".".join(map(str, one)) for one in (least, capability))
    return Support(otherwise, f"native from compute capability {wanted}; this one has {has}")


def bf16_bits(array: Array) -> Array:
    """float32 → uint16 of the same shape, the upper half of each number's bits: rounded to the nearest, and
    to even where two are as near; what is no number stays none."""
    bits = np.ascontiguousarray(array, np.float32).view(np.uint32)
    rounded = (bits + 0x7FFF + ((bits >> 16) & 1)) >> 16
    return np.where(np.isnan(array), 0x7FC0, rounded.reshape(array.shape)).astype(np.uint16)


def settings(backend: Backend, target: Target, known: Collection[str]) -> dict[str, Any]:
    """The preset's settings with the target's own options over them. Raises UnsupportedCase for others."""
    preset = backend.presets.get(target.preset)
    if preset is None:
        raise UnsupportedCase(
            f"{backend.name} has no preset {target.preset!r}",
            hint=did_you_mean(target.preset, backend.presets),
        )
    for option in target.options:
        if option not in known:
            raise UnsupportedCase(
                f"{backend.name} takes no option {option!r}", hint=did_you_mean(option, known)
            )
    return {**preset.settings, **target.options}


def place(source: Path, target: Path) -> None:
    """The same file at another path: one copy of the weights on the disk serves programs of all shapes."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)


def untimed_inputs(io: IOSpec) -> dict[str, Array]:
    """Inputs for an untimed run that only shows what executes: ones (a valid token, an open mask)."""
    return {tensor.name: np.ones(tensor.shape, tensor.dtype) for tensor in io.inputs}


@dataclass(frozen=True, slots=True)
class Operation:
    """One executed operation of a profile: what it is, its arithmetic ('' for none), its time in ns, and
    whether it multiplies matrices (a convolution does)."""

    kind: str
    precision: str
    ns: float
    product: bool = False


PROFILED = 3  # untimed runs
K = TypeVar("K", bound=Hashable)


def quickest(runs: Iterable[Sequence[Operation]]) -> list[Operation]:
    """Each operation with the least time that it took in any of several runs of the same operations: what
    others stole in one of them has no say."""
    return [min(same, key=lambda operation: operation.ns) for same in zip(*runs, strict=True)]


def least(runs: Iterable[Mapping[K, float]]) -> dict[K, float]:
    """Of each thing that the first run names its least time in any of them."""
    first, *others = runs
    return {name: min(ns, *(run.get(name, ns) for run in others)) for name, ns in first.items()}


def weigh(operations: Iterable[Operation], source: str) -> tuple[Fact, dict[str, Any]]:
    """The precision in which the most time was spent, as an `executed` fact, and the shares behind it.

    Products of matrices decide where there are any: what a precision makes faster is them, until the sums and
    normalisations around them, which stay in floats, take longer. Operations without arithmetic of their own
    (shapes, masks, indices) have no say. An operation too short for the profile's clock counts as 1 ns.
    """
    kinds: Counter[str] = Counter()
    everything: Counter[str] = Counter()
    products: Counter[str] = Counter()
    for operation in operations:
        spent = max(1, round(operation.ns))
        kinds[operation.kind] += spent
        if operation.precision:
            everything[operation.precision] += spent
            if operation.product:
                products[operation.precision] += spent
    shares = {
        "time_by_precision": _shares(everything),
        "products_by_precision": _shares(products),
        "time_by_operation": _shares(kinds, most=8),
    }
    decisive = _shares(products or everything)
    if not decisive:
        return Fact("none", "none", f"{source}: no arithmetic was seen"), shares
    of = "the products' time" if products else "the time"
    detail = ", ".join(f"{name} {share:.1%} of {of}" for name, share in decisive.items())
    return Fact(next(iter(decisive)), "executed", f"{source}: {detail}"), shares


def _shares(spent: Counter[str], most: int | None = None) -> dict[str, float]:
    total = spent.total() or 1
    return {name: round(part / total, 4) for name, part in spent.most_common(most)}
