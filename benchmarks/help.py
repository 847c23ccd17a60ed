"""How long `bakeoff --help` takes as a whole process, and what it imports."""

from __future__ import annotations

import subprocess
import sys
import time
from statistics import median

RUNS = 15
HEAVY = ("numpy", "pandas", "plotly", "pydantic", "rich", "scipy", "torch", "onnxruntime", "openvino")


def main() -> None:
    command = [sys.executable, "-m", "bench", "--help"]
    taken = []
    for _ in range(RUNS + 1):
        start = time.perf_counter()
        subprocess.run(command, check=True, capture_output=True)
        taken.append(time.perf_counter() - start)
    listing = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "bench", "--help"], capture_output=True, text=True
    ).stderr
    imported = {line.rpartition("|")[2].strip() for line in listing.splitlines()}
    heavy = sorted(imported & set(HEAVY)) or "none"
    print(f"  median {median(taken[1:]) * 1e3:.0f} ms of {RUNS} (goal: under 200)")
    print(f"  imported of {', '.join(HEAVY)}: {heavy}")
