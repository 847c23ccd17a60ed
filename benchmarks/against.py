"""`bakeoff --help` and a worker's start, of this checkout over another one, in alternating pairs.

    python -m benchmarks against FOLDER

FOLDER is the root of another checkout (`git worktree add FOLDER COMMIT`). Both run under this interpreter.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from pathlib import Path
from statistics import median, quantiles

ROOT = Path(__file__).resolve().parents[1]
PAIRS = 30
COMMANDS = {
    "bakeoff --help": ("-m", "bench", "--help"),
    "a worker that answers a probe": ("-m", "bench.worker", "--probe", "null"),
}


def main(flags: list[str]) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks against")
    parser.add_argument("folder", type=Path, help="root of the other checkout")
    parser.add_argument("--pairs", type=int, default=PAIRS, help=f"of each command ({PAIRS})")
    options = parser.parse_args(flags)
    for name, arguments in COMMANDS.items():
        pairs = []
        for number in range(options.pairs + 1):
            order = (ROOT, options.folder) if number % 2 else (options.folder, ROOT)
            taken = {folder: seconds(folder, arguments) for folder in order}
            pairs.append((taken[ROOT], taken[options.folder]))
        here, there = (median(side) for side in zip(*pairs[1:], strict=True))
        ratios = [own / other for own, other in pairs[1:]]
        low, middle, high = quantiles(ratios, n=4)
        print(
            f"  {name}: {here * 1e3:.0f} ms over {there * 1e3:.0f} ms;"
            f" ratio {middle:.3f}, quartiles {low:.3f} to {high:.3f}, {len(ratios)} pairs"
        )


def seconds(folder: Path, arguments: tuple[str, ...]) -> float:
    """Of one process, from its start to its end, which imports bakeoff from that folder."""
    environment = {**os.environ, "PYTHONPATH": str(folder)}
    start = time.perf_counter()
    subprocess.run(
        [sys.executable, "-P", *arguments], check=True, capture_output=True, env=environment, cwd=folder
    )
    return time.perf_counter() - start
