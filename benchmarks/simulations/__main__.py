"""Runs the simulations that were named, or all: `python -m benchmarks.simulations [NAME …]`."""

from __future__ import annotations

import sys
from importlib import import_module

from bench.cli import streams
from bench.interfaces.errors import did_you_mean
from benchmarks.simulations import NAMES


def main(names: list[str]) -> int:
    streams.settle()
    for name in names:
        if name not in NAMES:
            print(f"no simulation is named {name!r}; {did_you_mean(name, NAMES)}", file=sys.stderr)
            return 2
    for name in names or NAMES:
        module = import_module(f"benchmarks.simulations.{name}")
        print(f"{name}: {(module.__doc__ or '').splitlines()[0]}", flush=True)
        print(f"{module.simulate()}\n", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
