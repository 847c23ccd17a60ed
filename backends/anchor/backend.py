"""A fixed piece of work, by which runs of different days and machines are compared.

One sample is a product of two 384 × 384 fp32 matrices and a copy of 4 MiB to other memory, on one thread:
the first follows the core's speed, the second the memory's.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, cast

import numpy as np

from backends.support import targets
from bench.interfaces.backend import (
    Actual,
    BaseBackend,
    BaseSession,
    Capabilities,
    Fact,
    Preset,
    Role,
    Support,
    Target,
)
from bench.interfaces.errors import UnsupportedCase
from bench.interfaces.tensors import Array, IOSpec, ModelFile

SIDE = 384
COPIED_BYTES = 4 * 2**20
SEED = 0
DEVICES = {"cpu": {"fp32": Support("native")}}
THREAD_VARIABLES = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "BLIS_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
)


class AnchorSession(BaseSession):
    def __init__(self) -> None:
        generator = np.random.default_rng(SEED)
        self._left = generator.standard_normal((SIDE, SIDE), dtype=np.float32)
        self._right = generator.standard_normal((SIDE, SIDE), dtype=np.float32)
        self._product = np.empty((SIDE, SIDE), dtype=np.float32)
        self._source = generator.integers(0, 256, COPIED_BYTES, dtype=np.uint8)
        self._sink = np.empty_like(self._source)

    def stage(self, inputs: Mapping[str, Array], onto: Any = None) -> None:
        return None

    def run(self, staged: None) -> None:
        np.matmul(self._left, self._right, out=self._product)
        np.copyto(self._sink, self._source)

    def fetch(self, outputs: None) -> dict[str, Array]:
        return {}

    def actual(self) -> Actual:
        ask = openblas("get_num_threads")
        threads = ask() if ask else 0
        return Actual(
            precision=Fact(
                str(np.result_type(self._product)).replace("float", "fp"), "reported", "NumPy dtype"
            ),
            device=Fact("cpu", "reported", "NumPy has no other"),
            provider=Fact("numpy", "reported", f"NumPy {np.__version__} and its BLAS"),
            threads=Fact(str(threads), "reported", "OpenBLAS")
            if threads
            else Fact("1", "inferred", f"{', '.join(THREAD_VARIABLES)} are set to 1"),
        )


class AnchorBackend(BaseBackend):
    name = "anchor"
    summary = "A fixed NumPy matrix product and copy: by it runs of different days are compared."
    install = "pip install bakeoff"
    role: Role = "anchor"
    presets: Mapping[str, Preset] = {"stock": Preset({}, "the work is fixed by this file")}

    def environment(self, target: Target) -> Mapping[str, str]:
        return dict.fromkeys(THREAD_VARIABLES, "1")

    def probe(self) -> Capabilities:
        return Capabilities(np.__version__, DEVICES)

    def load(self, model: ModelFile | None, target: Target, io: IOSpec) -> AnchorSession:
        targets.require(self, target, DEVICES)
        targets.settings(self, target)
        if target.threads != 1:
            raise UnsupportedCase(f"the anchor runs on one thread, not {target.threads}", hint="--threads 1")
        return AnchorSession()


def openblas(function: str) -> Callable[..., int] | None:
    """`get_num_threads` or `set_num_threads` of the OpenBLAS that NumPy brings; None where there is none."""
    try:
        mapped = Path("/proc/self/maps").read_text()
    except OSError:
        return None
    for path in {line.split()[-1] for line in mapped.splitlines() if "openblas" in line}:
        library = ctypes.CDLL(path)
        for prefix in ("scipy_", ""):
            for suffix in ("64_", ""):
                found = getattr(library, f"{prefix}openblas_{function}{suffix}", None)
                if found is not None:
                    return cast(Callable[..., int], found)
    return None


BACKEND = AnchorBackend()
