"""`bakeoff run`: plan, prepare, measure, store, and say what came of it."""

from __future__ import annotations

import argparse
import shlex
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

from bench.api import Run, run
from bench.cli.sweep import require_no_sweep, suite_from
from bench.errors import EXIT_FAILED, EXIT_INTERRUPTED, EXIT_OK, BakeoffError


def command(options: argparse.Namespace) -> int:
    if options.resume is not None:
        require_no_sweep(options)
    suite = suite_from(options)
    seen: dict[str, Any] = {}
    try:
        with _terminated_like_interrupted(), _progress(options) as show:

            def listener(event: str, facts: Any) -> None:
                if event == "run":
                    seen["run"] = facts["run"].id
                show(event, facts)

            done = run(
                suite,
                store=options.store,
                resume=options.resume,
                rerun=options.rerun,
                command=options.typed,
                wait=not options.no_wait,
                listener=listener,
            )
    except KeyboardInterrupt:
        if options.debug:
            raise
        print("\nbakeoff: interrupted; everything measured is kept", file=sys.stderr)
        if "run" in seen:
            print(f"  to go on: {_resume_command(options, seen['run'])}", file=sys.stderr)
        return EXIT_INTERRUPTED
    return _conclude(done, options)


def _conclude(done: Run, options: argparse.Namespace) -> int:
    """The table, the report, the exit code."""
    if not options.json:
        from bench.cli.output import console
        from reports.text import render

        console().print(render(done.results()))
    if options.report:
        from reports.html import write

        write(done.results(), options.report)
        print(f"report: {options.report}", file=sys.stderr if options.json else sys.stdout)
    failed = done.failed()
    if failed:
        print(f"bakeoff: {len(failed)} of the cases failed: {'; '.join(failed)}", file=sys.stderr)
        print(f"  to try them again: {_resume_command(options, done.id)}", file=sys.stderr)
    return EXIT_FAILED if failed else EXIT_OK


def _resume_command(options: argparse.Namespace, run_id: str) -> str:
    from bench.cli.parser import STORE

    store = [] if options.store == STORE else ["--store", str(options.store)]
    return shlex.join(["bakeoff", "run", "--resume", run_id, *store])


@contextmanager
def _progress(options: argparse.Namespace) -> Iterator[Any]:
    from bench.cli.output import console

    screen = console()
    if options.json:
        from bench.progress.jsonl import JsonProgress as Chosen

        with Chosen(sys.stdout) as show:
            yield show
    elif screen.is_terminal and not screen.is_dumb_terminal:
        from bench.progress.live import LiveProgress

        with LiveProgress(screen) as live:
            yield live
    else:
        from bench.progress.plain import PlainProgress

        with PlainProgress(sys.stdout) as plain:
            yield plain


@contextmanager
def _terminated_like_interrupted() -> Iterator[None]:
    """SIGTERM and SIGHUP keep what is measured, as Ctrl-C does."""

    def interrupt(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    try:
        before = {n: signal.signal(n, interrupt) for n in (signal.SIGTERM, signal.SIGHUP)}
    except ValueError as error:  # not the main thread: somebody calls main() from a program of theirs
        raise BakeoffError("the command line runs in the main thread", hint="call bench.run()") from error
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
