"""TVM on CUDA: the GPUs that it sees, or what is missing by name, and what it compiles for one.

Its wheel brings the CUDA runtime as a library of its own, which is left out in silence where the driver or
CUDA's runtime library is not found. Its kernels are CUDA C, which nvcc or NVRTC compiles in the build.
"""

from __future__ import annotations

import ctypes
import os
import re
import shutil
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.interfaces.backend import Support
from bench.plugins import runtimes

if TYPE_CHECKING:
    import tvm

RUNTIME = "libtvm_runtime_cuda.so"  # beside `libtvm_runtime.so`
NEEDED = re.compile(rb"libcudart\.so\.(\d+)")
COMPILE_MODE = "TVM_CUDA_COMPILE_MODE"  # `nvcc` or `nvrtc`, which is TVM's default
NO_COMPILER = "neither nvcc is on the PATH nor cuda-bindings installed, by which TVM compiles its kernels"
FLOATS = "its ONNX frontend keeps the file's fp32"


def gpus() -> tuple[list[tvm.runtime.Device], str]:
    """The GPUs that TVM sees, or none and why."""
    import tvm

    found: list[Any] = []
    while (device := tvm.cuda(len(found))).exist:
        found.append(device)
    return found, "" if found else _why_not()


def built_for() -> str:
    """The CUDA of TVM's runtime (`13`); '' of a build for CPUs alone."""
    path = _runtime()
    needed = NEEDED.search(path.read_bytes()) if path.is_file() else None
    return needed[1].decode() if needed else ""


def _runtime() -> Path:
    import tvm

    return Path(tvm.__file__).parent / "lib" / RUNTIME


def _why_not() -> str:
    if not _runtime().is_file():
        return "this build of TVM has no CUDA runtime"
    try:
        ctypes.CDLL(str(_runtime()))
    except OSError as error:
        return f"TVM's CUDA runtime does not load: {runtimes.first_line(error)}"
    return "TVM's CUDA runtime finds no GPU"


def compiler() -> str:
    """What compiles the kernels here: `nvcc`, `nvrtc` or ''."""
    if shutil.which("nvcc"):
        return "nvcc"
    try:
        return "nvrtc" if find_spec("cuda.bindings.nvrtc") else ""
    except ModuleNotFoundError:
        return ""


def table(rest: dict[str, Support]) -> dict[str, Support]:
    """What TVM's default schedules compute on a GPU; `rest`: precisions of integers."""
    fp32 = Support("native") if compiler() else Support("none", NO_COMPILER)
    none = {name: Support("none", FLOATS) for name in ("bf16", "fp16")}
    tf32 = Support("none", "its default schedules multiply fp32 without tensor cores")
    return {"fp32": fp32, "tf32": tf32, **none, **rest}


def machine(host: tvm.target.Target) -> tvm.target.Target:
    """The first GPU, and the CPU that starts its kernels."""
    import tvm

    os.environ.setdefault(COMPILE_MODE, compiler())
    return tvm.target.Target(tvm.target.Target.from_device(tvm.cuda(0)), host=host)
