"""`bakeoff run`: plan, prepare, measure, store, and say what came of it."""

from __future__ import annotations

import argparse
import sys

from bench.api import Run, failed
from bench.cli.sweep import require_no_sweep, suite_from
from bench.cli.watch import resume_command, watched
from bench.errors import EXIT_FAILED, EXIT_OK


def command(options: argparse.Namespace) -> int:
    if options.resume is not None:
        require_no_sweep(options)
    done = watched(suite_from(options), options, resume=options.resume, rerun=options.rerun)
    return _conclude(done, options)


def _conclude(done: Run, options: argparse.Namespace) -> int:
    """The table, the report, the exit code."""
    found = done.results()
    if not options.json:
        from bench.cli.output import console
        from reports.text import render

        console().print(render(found))
    if options.report:
        from reports.html import write

        write(found, options.report)
        print(f"report: {options.report}", file=sys.stderr if options.json else sys.stdout)
    broken = failed(found)
    if broken:
        print(f"bakeoff: {len(broken)} of the cases failed: {'; '.join(broken)}", file=sys.stderr)
        print(f"  to try them again: {resume_command(options, done.id)}", file=sys.stderr)
    return EXIT_FAILED if broken else EXIT_OK
