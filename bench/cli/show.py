"""`bakeoff show [RUN]`: a run as a table in the terminal."""

from __future__ import annotations

import argparse
import sys

from bench.api import open_run
from bench.interfaces.errors import EXIT_OK


def command(options: argparse.Namespace) -> int:
    results = open_run(options.run, options.store).results()
    if options.json:
        from reports.exporters.json import text

        print(text(results, encoding=getattr(sys.stdout, "encoding", None)))
        return EXIT_OK
    from bench.cli.hints import as_typed
    from bench.cli.output import console
    from reports.terminal.run import render

    console().print(render(results, lambda text: as_typed(text, options)))
    return EXIT_OK
