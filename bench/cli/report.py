"""`bakeoff report [RUN] -o FILE`: one offline HTML file."""

from __future__ import annotations

import argparse

from bench.api import open_run
from bench.cli.output import require_rows, written
from bench.interfaces.errors import EXIT_OK


def command(options: argparse.Namespace) -> int:
    from reports.html.page import write

    run = open_run(options.run, options.store)
    found = require_rows(run.beside_others())
    if written(options.output, lambda path: write(found, path)):
        print(f"report: {options.output}")
    return EXIT_OK
