"""What CTranslate2 ran: the matrix products that its library for them names, in a process of their own.

oneDNN and MKL print each product with its types and time if they are told so before they are loaded, and then
for good: a session that is timed cannot ask for it.

    python -P -m backends.ctranslate2.profile MODEL COMPUTE_TYPE THREADS BATCH LENGTH
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from backends.ctranslate2 import model as ctranslate2_model
from backends.support import onednn
from backends.support.profiles import PROFILED, Operation, quickest

ROOT = Path(__file__).parents[2]
SPOKEN = {"DNNL_VERBOSE": "1", "MKL_VERBOSE": "1"}
LIMIT_S = 300.0
MARK = "bakeoff: a run"
# MKL_VERBOSE GEMM_S8U8S32_COMPUTE(P,N, …) 56.09us CNR:OFF Dyn:1 FastMM:1 TID:0  NThr:2
MKL = re.compile(r"^MKL_VERBOSE (\w+)\(.*\) ([\d.]+)(ns|us|ms|s) .*NThr:(\d+)")
MKL_TYPES = {"S8U8S32": "int8", "BF16BF16F32": "bf16", "F16F16F32": "fp16", "SGEMM": "fp32"}
UNITS = {"ns": 1.0, "us": 1e3, "ms": 1e6, "s": 1e9}


@dataclass(frozen=True, slots=True)
class Spoken:
    """What the library said: its name, products with their least times, threads (0: it did not say)."""

    library: str
    products: tuple[Operation, ...]
    threads: int


def executed(path: Path, compute: str, threads: int, shape: tuple[int, ...]) -> Spoken:
    """Each product with the least time of several untimed runs on ones; none where a library says nothing."""
    command = [sys.executable, "-P", "-m", __name__, str(path), compute, str(threads), *map(str, shape)]
    variables = {**os.environ, **SPOKEN, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, check=True, timeout=LIMIT_S, capture_output=True, text=True, env=variables)
    return heard(done.stdout)


def heard(text: str) -> Spoken:
    """What was printed, without what came before the first mark: loading, and a run that is not counted."""
    _, *runs = text.split(MARK)
    found = [[product for line in run.splitlines() if (product := _product(line))] for run in runs[:-1]]
    library = "oneDNN" if "onednn_verbose,exec" in text else "MKL" if "MKL_VERBOSE " in text else ""
    threads = max(map(_threads, text.splitlines()), default=0)
    return Spoken(library, tuple(quickest(found)) if found else (), threads)


def _product(line: str) -> Operation | None:
    if found := MKL.match(line):
        name, time, unit, _ = found.groups()
        precision = next((kind for word, kind in MKL_TYPES.items() if word in name), "")
        if precision and not name.endswith(("_PACK", "_GET_SIZE")):
            return Operation(name.lower(), precision, float(time) * UNITS[unit], True)
    return onednn.product(line)


def _threads(line: str) -> int:
    found = MKL.match(line)
    return int(found[4]) if found else onednn.threads(line)


def main(arguments: list[str]) -> None:
    path, compute, threads, batch, length = arguments
    model = ctranslate2_model.opened(Path(path), compute, int(threads))
    fed = ctranslate2_model.feed(
        np.ones((int(batch), int(length)), np.int32), np.full(int(batch), int(length), np.int32)
    )
    for _ in range(1 + PROFILED):
        model.forward_batch(*fed)
        os.write(1, f"\n{MARK}\n".encode())


if __name__ == "__main__":
    main(sys.argv[1:])
