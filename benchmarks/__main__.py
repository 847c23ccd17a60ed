"""Runs the benchmarks that were named, or all: `python -m benchmarks [overhead|startup|help|turn|parity]`."""

from __future__ import annotations

import sys
from importlib import import_module

from bench import machine
from bench.api import own_version
from bench.errors import did_you_mean
from bench.processes import guard

NAMES = ("overhead", "help", "startup", "turn", "parity")


def main(names: list[str]) -> int:
    for name in names:
        if name not in NAMES:
            print(f"no benchmark is named {name!r}; {did_you_mean(name, NAMES)}", file=sys.stderr)
            return 2
    facts = machine.fingerprint()
    print(f"bakeoff {own_version()}, Python {sys.version.split()[0]}, {facts['cpu']}, {facts['kernel']}")
    with guard():
        for name in names or NAMES:
            module = import_module(f"benchmarks.{name}")
            print(f"\n{name}: {(module.__doc__ or '').splitlines()[0]}", flush=True)
            module.main()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
