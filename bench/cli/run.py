"""`bakeoff run`: plan, prepare, measure, store, and say what came of it."""

from __future__ import annotations

import argparse
import shlex
import sys
from pathlib import Path

from bench.api import Run, failed
from bench.cli.hints import as_typed
from bench.cli.sweep import require_no_sweep, suite_from
from bench.cli.watch import resume_command, watched
from bench.compare.results import Results
from bench.files.places import STDOUT, require_place
from bench.interfaces.block import MEASURED
from bench.interfaces.errors import EXIT_FAILED, EXIT_NOTHING, EXIT_OK, BakeoffError, UsageError


def command(options: argparse.Namespace) -> int:
    if options.resume is not None:
        require_no_sweep(options)
    if options.report:
        _require_report(options.report)
    done = watched(suite_from(options), options, resume=options.resume, rerun=options.rerun)
    return _conclude(done, options)


def _require_report(path: Path) -> None:
    if str(path) == STDOUT:
        raise UsageError(
            "a run shows its progress on standard output", hint="when it is done: bakeoff report -o -"
        )
    require_place(path, "--report")


def _conclude(done: Run, options: argparse.Namespace) -> int:
    """The table, the report, what is missing of what was asked for, and the exit code."""
    found = done.results()
    if not options.json:
        from bench.cli.output import console
        from reports.terminal.run import render

        console().print(render(found, lambda text: as_typed(text, options)))
    if options.report:
        _report(done, found, options)
    if missing := _unmeasured(found):
        print(f"bakeoff: {missing}", file=sys.stderr)
        print(f"  to measure them: {resume_command(options, done.id)}", file=sys.stderr)
    broken = failed(found)
    if broken:
        print(f"bakeoff: {len(broken)} of the cases failed: {'; '.join(broken)}", file=sys.stderr)
        print(f"  to try them again: {resume_command(options, done.id)}", file=sys.stderr)
    if not any(row.status in MEASURED for row in found.rows):
        print("bakeoff: nothing was measured", file=sys.stderr)
        return EXIT_NOTHING
    return EXIT_FAILED if broken else EXIT_OK


def _report(done: Run, found: Results, options: argparse.Namespace) -> None:
    """Writes the report. Raises BakeoffError with the command that writes it from the store."""
    from reports.html.page import write

    try:
        write(found, options.report)
    except BakeoffError as error:
        again = shlex.join(["bakeoff", "report", done.id, "-o", str(options.report)])
        hint = f"everything measured is kept; mend that, then: {again}"
        raise BakeoffError(error.message, hint=hint) from error
    print(f"report: {options.report}", file=sys.stderr if options.json else sys.stdout)


def _unmeasured(found: Results) -> str:
    """How many cases no part of the run came to, other than those of a share; '' for none."""
    pending = [row.label for row in found.rows if row.status == "pending"]
    if not pending or found.run.state != "finished":
        return ""
    return f"{len(pending)} of the {len(found.rows)} cases were not measured: the budget ended before"
