"""Everything that only a machine with a GPU can show, from a bare checkout: `make gpu`, `make gpu PART=k/n`.

It needs Python, PyTorch with CUDA and what bakeoff itself imports, and no network; `make gpu-wheels` fetches
at home what such a machine may lack, into `wheels/`. Runtimes that are not there make rows that say so. Every
part ends within eight
minutes, and leaves what it measured in one store, which is carried from part to part and home:

    parts 1 to n-1    the suite gpu-quick, a share each, the most telling groups first; then the clock's check
    part n            the contract of every backend on cuda:0, and PyTorch against a bare loop timed by CUDA
    events
"""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import subprocess
import sys
import time
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
SUITE = "gpu-quick"


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gpu", description=__doc__.splitlines()[0])
    parser.add_argument("--part", default="", metavar="K/N", help="this part alone; all of it, unless said")
    parser.add_argument("--store", type=Path, default=STORE, metavar="PATH", help="carried from part to part")
    options = parser.parse_args(arguments)
    number, _, count = (options.part or "0/1").partition("/")
    if lacking := _lacking(options.store.parent / "gpu-packages"):
        print(f"this Python ({sys.executable}) lacks {', '.join(lacking)}", file=sys.stderr)
        print("  with a network, at home: make gpu-wheels; then carry wheels/ here", file=sys.stderr)
        return 2
    k, n = int(number), int(count)
    begun = time.monotonic()
    codes = []
    if k == 0 or k < n or n == 1:
        share = ["--share", f"{k}/{n - 1}"] if k and n > 1 else []
        codes.append(_sweep(options.store, share, begun, bounded=bool(k)))
        codes.append(_run(["-m", "benchmarks", "clock", str(options.store)]))
    if k == n or k == 0:
        os.environ |= IN_ONE_PROCESS
        codes.append(_run(["-m", "pytest", "-q", "-m", "gpu", "tests/contract"]))
        codes.append(_run(["-m", "benchmarks", "parity", "--device", "cuda:0", "torch"]))
    print(
        f"\n{time.monotonic() - begun:.0f} s; what was measured is in {options.store}: carry it on, or home:"
    )
    print(f"  bakeoff report --store {options.store} -o results/gpu.html")
    return max(codes)


def _lacking(site: Path) -> list[str]:
    """What bakeoff itself imports and this Python has not, after the wheels that lie here are unpacked."""
    missing = [name for name in NEEDED if find_spec(name) is None]
    if missing and any(WHEELS.glob("*.whl")):
        command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-index", "--no-deps", "--upgrade"]
        wheels = [str(path) for path in sorted(WHEELS.glob("*.whl"))]
        subprocess.run([*command, "--target", str(site), *wheels], check=True)
        os.environ["PYTHONPATH"] = os.pathsep.join(
            filter(None, [str(site), os.environ.get("PYTHONPATH", "")])
        )
        sys.path.insert(0, str(site))
        missing = [name for name in NEEDED if find_spec(name) is None]
    return missing


def _sweep(store: Path, share: list[str], begun: float, *, bounded: bool) -> int:
    """Begins the suite's run in the store, or goes on with the one that is there. Interrupted, it keeps what
    it has.
    """
    where = ["--store", str(store)]
    command = ["-m", "bench", "run", *(["--resume"] if store.exists() else [SUITE]), *share, *where]
    return _run(command, PART_S - MARGIN_S - (time.monotonic() - begun) if bounded else None)


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
