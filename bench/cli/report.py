"""`bakeoff report [RUN] -o FILE`: one offline HTML file."""

from __future__ import annotations

import argparse

from bench.api import open_run
from bench.errors import EXIT_OK


def command(options: argparse.Namespace) -> int:
    from reports.html import write

    run = open_run(options.run, options.store)
    write(run.results(), options.output, run.on_other_machines())
    print(f"report: {options.output}")
    return EXIT_OK
