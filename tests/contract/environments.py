"""Makes the environments that the contract runs in, each with pytest, and those of the tools behind them:

python -m tests.contract.environments          those that every change is tested in
python -m tests.contract.environments --all    those of every runtime that has no place beside bakeoff
"""

from __future__ import annotations

import sys

from bench.environments.install import create
from bench.environments.locate import home
from bench.environments.setup import parts, runtimes

EVERY_CHANGE = ("ctranslate2", "litert", "tvm", "xla")


def main(arguments: list[str]) -> None:
    names = runtimes() if "--all" in arguments else list(EVERY_CHANGE)
    for part in parts(names):
        if part.python != home():
            extra = ["pytest"] if part.needs.name in names else []
            made = create(part.needs.spec, extra=extra, progress=lambda line: print(line, flush=True))
            print(f"{made.spec}: ready, made in {made.facts['seconds']:.0f} s", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
