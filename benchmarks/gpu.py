"""Everything that only a machine with a GPU can show, from a bare checkout: `make gpu`, `make gpu PART=k/n`.

It needs Python, PyTorch with CUDA and what bakeoff itself imports, and no network; `make gpu-wheels` fetches
at home what such a machine may lack, into `wheels/`. Runtimes that are not there make rows that say so. Every
part ends within eight minutes, and leaves what it measured in one store, carried from part to part and home:

| part | what |
| --- | --- |
| 1 to n-2 | the suite gpu-quick, a share each, the most telling groups first; then the clock's check |
| n-1 | the suites gpu-modes and gpu-precisions |
| n | the contract of every backend on cuda:0, and PyTorch against a bare loop timed by CUDA events |

Of two parts the second holds the last two rows.
"""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
WHEELS = ROOT / "wheels"
STORE = Path("results/gpu.sqlite")
NEEDED = (
    "numpy",
    "psutil",
    "pandas",
    "pydantic",
    "yaml",
    "platformdirs",
    "rich",
    "scipy",
    "packaging",
    "pynvml",
)
PART_S = 480.0
MARGIN_S = 20.0
# What a worker of each runtime would have been started with: the contract holds them all in one process.
IN_ONE_PROCESS = {"PJRT_NPROC": "1", "XLA_PYTHON_CLIENT_PREALLOCATE": "false", "OMP_NUM_THREADS": "1"}
SUITE, BESIDES = "gpu-quick", ("gpu-modes", "gpu-precisions")


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gpu", description=__doc__.splitlines()[0])
    parser.add_argument("--part", default="", metavar="K/N", help="this part alone; all of it, unless said")
    parser.add_argument("--store", type=Path, default=STORE, metavar="PATH", help="carried from part to part")
    options = parser.parse_args(arguments)
    k, n = _part(options.part)
    if lacking := _lacking(options.store.parent / "gpu-packages"):
        print(f"this Python ({sys.executable}) lacks {', '.join(lacking)}", file=sys.stderr)
        print("  with a network, at home: make gpu-wheels; then carry wheels/ here", file=sys.stderr)
        return 2
    codes = [_run(*step) for step in _steps(k, n, options.store)]
    print(f"\nwhat was measured is in {options.store}: carry it on, or home, and there:")
    print(f"  bakeoff report --store {options.store} -o results/gpu.html")
    return max(codes)


def _part(text: str) -> tuple[int, int]:
    """`2/4`; (0, 1) for all of it."""
    number, _, count = (text or "1/1").partition("/")
    k, n = int(number), int(count)
    if not 1 <= k <= n:
        raise SystemExit(f"{text!r} is no part: write it like 1/4")
    return (k, n) if n > 1 else (0, 1)


def _lacking(site: Path) -> list[str]:
    """What bakeoff itself imports and this Python has not, once the wheels that lie here are unpacked."""
    if wheels := [str(path) for path in sorted(WHEELS.glob("*.whl"))]:
        command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-index", "--no-deps", "--upgrade"]
        subprocess.run([*command, "--target", str(site.resolve()), *wheels], check=True)
        paths = filter(None, [os.environ.get("PYTHONPATH", ""), str(site.resolve())])
        os.environ["PYTHONPATH"] = os.pathsep.join(paths)
        sys.path.append(str(site.resolve()))
    return [name for name in NEEDED if find_spec(name) is None]


def _steps(k: int, n: int, store: Path) -> Iterator[tuple[list[str], float | None]]:
    """The commands of part `k` of `n` (0: of all), each with the seconds that are left of its part."""
    begun, where = time.monotonic(), ["--store", str(store)]
    shares = max(1, n - 2)

    def left() -> float | None:
        return max(1.0, PART_S - MARGIN_S - (time.monotonic() - begun)) if k else None

    if k <= shares:
        share = ["--share", f"{k}/{shares}"] if k else []
        going_on = _run_of(SUITE, store)
        what = ["--resume", going_on] if going_on else [SUITE]
        yield ["-m", "bench", "run", *what, *share, *where], left()
        yield ["-m", "benchmarks", "clock", str(store)], left()
    if k in (0, shares + 1):
        for suite in BESIDES:
            yield ["-m", "bench", "run", suite, *where], left()
    if k in (0, n):
        os.environ.update(IN_ONE_PROCESS)
        yield ["-m", "pytest", "-q", "-m", "gpu", "tests/contract"], left()
        yield ["-m", "benchmarks", "parity", "--device", "cuda:0", "torch"], left()


def _run_of(suite: str, store: Path) -> str:
    """The id of the run of that suite that an earlier part began, or ''."""
    from bench.store.sqlite import Store

    if not store.exists():
        return ""
    with Store.open(store) as opened:
        return next((run.id for run in reversed(opened.runs()) if run.name == suite), "")


def _run(arguments: list[str], limit_s: float | None = None) -> int:
    print(f"\n$ {shutil.which('python3') and 'python3'} {' '.join(arguments)}", flush=True)
    process = subprocess.Popen([sys.executable, *arguments], cwd=ROOT)
    try:
        return process.wait(limit_s)
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGTERM)
        return process.wait()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
