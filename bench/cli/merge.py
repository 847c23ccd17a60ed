"""`bakeoff merge [LABEL=]STORE … --into PATH`: the stores of several machines in one."""

from __future__ import annotations

import argparse
import shlex
import sys

from bench.interfaces.errors import EXIT_OK
from bench.store.merge import Merged, merge, parse_source
from bench.text import strict_json
from bench.text.printable import printable


def command(options: argparse.Namespace) -> int:
    done = merge([parse_source(text) for text in options.sources], options.into)
    if options.json:
        runs = [
            {"source": str(one.source), "run": one.id, "machine": one.label, "new": not one.known}
            for one in done
        ]
        strict_json.say({"store": str(options.into), "runs": runs}, sys.stdout, indent=2)
        return EXIT_OK
    for one in done:
        print(printable(f"{one.source}: run {one.id} of {one.label}{' (was there)' if one.known else ''}"))
    print(printable(_next(done, shlex.quote(str(options.into)))))
    return EXIT_OK


def _next(done: list[Merged], store: str) -> str:
    machines = len({one.label for one in done})
    runs = (
        f"{len(done)} run{'' if len(done) == 1 else 's'} of {machines} machine{'' if machines == 1 else 's'}"
    )
    if machines < 2:
        return f"{runs} in {store}; give each machine a label of its own: bakeoff merge LABEL=STORE …"
    return f"{runs} in {store}; see them side by side: bakeoff report --store {store}"
