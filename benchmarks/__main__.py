"""Runs the benchmarks that were named, or all: `python -m benchmarks [overhead|help|startup|turn]`.

The long ones run only where they are named, one at a time, and take flags of their own:
`python -m benchmarks parity|slowdown|pairing|decoding|clock|against [--help]`.
"""

from __future__ import annotations

import sys
from importlib import import_module

from bench.api import own_version
from bench.cli import streams
from bench.interfaces.errors import did_you_mean
from bench.machine import fingerprint
from bench.processes.process import guard

NAMES = ("overhead", "help", "startup", "turn")
LONG = ("parity", "slowdown", "pairing", "decoding", "clock", "against")


def main(arguments: list[str]) -> int:
    streams.settle()
    long = bool(arguments) and arguments[0] in LONG
    names, flags = (arguments[:1], arguments[1:]) if long else (arguments, [])
    for name in names:
        if name not in (*NAMES, *LONG):
            print(f"no benchmark is named {name!r}; {did_you_mean(name, (*NAMES, *LONG))}", file=sys.stderr)
            return 2
    if not long and set(names) & set(LONG):
        print(f"{' and '.join(LONG)} run alone, each with flags of its own", file=sys.stderr)
        return 2
    facts = fingerprint.fingerprint()
    print(f"bakeoff {own_version()}, Python {sys.version.split()[0]}, {facts['cpu']}, {facts['kernel']}")
    with guard():
        for name in names or NAMES:
            module = import_module(f"benchmarks.{name}")
            print(f"\n{name}: {(module.__doc__ or '').splitlines()[0]}", flush=True)
            module.main(*([flags] if long else []))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
