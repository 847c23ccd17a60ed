"""A run that somebody watches: progress while it goes on, and what to type when it was interrupted."""

from __future__ import annotations

import argparse
import os
import shlex
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import TYPE_CHECKING, Any

from bench.api import Run, run
from bench.interfaces.errors import EXIT_INTERRUPTED, BakeoffError
from bench.measure.run import Rerun
from bench.plan.shards import parse_share
from bench.suite.suite import Suite

if TYPE_CHECKING:
    from rich.console import Console


class Interrupted(BakeoffError):
    """Ctrl-C or a signal; everything measured is kept."""

    exit_code = EXIT_INTERRUPTED


def watched(
    suite: Suite,
    options: argparse.Namespace,
    *,
    resume: str | None = None,
    rerun: Rerun = "onfail",
    whole: bool = False,
) -> Run:
    """Runs a suite with the progress that suits where the output goes.

    With `options.json` progress is JSON lines, or on standard error where `options.document` says that
    standard output is for one document.

    Raises:
        Interrupted: with the command that goes on.
    """
    seen: dict[str, str] = {}
    try:
        with _terminated_like_interrupted(), _progress(options) as show:

            def listener(event: str, facts: Any) -> None:
                if event == "run":
                    seen["run"] = facts["run"].id
                show(event, facts)

            return run(
                suite,
                store=options.store,
                resume=resume,
                rerun=rerun,
                command=options.typed,
                wait=not options.no_wait,
                listener=listener,
                share=parse_share(options.share) if getattr(options, "share", None) else None,
                whole=whole,
            )
    except KeyboardInterrupt:
        if options.debug:
            raise
        hint = f"to go on: {resume_command(options, seen['run'])}" if "run" in seen else ""
        print(file=sys.stderr)  # below the ^C
        raise Interrupted("interrupted; everything measured is kept", hint=hint) from None


def resume_command(options: argparse.Namespace, run_id: str) -> str:
    """The command that goes on with a run, with the flags of the one that was typed."""
    from bench.cli.parser import STORE

    store = [] if options.store == STORE else ["--store", str(options.store)]
    kept = {"--share": getattr(options, "share", None), "--report": getattr(options, "report", None)}
    flags = [word for flag, value in kept.items() if value for word in (flag, str(value))]
    return shlex.join(["bakeoff", "run", "--resume", run_id, *flags, *store])


@contextmanager
def _progress(options: argparse.Namespace) -> Iterator[Any]:
    from bench.cli.output import console

    screen = console()
    document = getattr(options, "document", False)
    if options.json and not document:
        from bench.progress.jsonl import JsonProgress as Chosen

        with Chosen(sys.stdout) as show:
            yield show
    elif screen.is_terminal and not screen.is_dumb_terminal and not options.json:
        from bench.progress.live import LiveProgress

        with LiveProgress(screen) as live, shown_while_stopped(screen):
            yield live
    else:
        from bench.progress.plain import PlainProgress

        with PlainProgress(sys.stderr if options.json else sys.stdout) as plain:
            yield plain


@contextmanager
def _terminated_like_interrupted() -> Iterator[None]:
    """SIGTERM and SIGHUP keep what is measured, as Ctrl-C does; under `nohup` SIGHUP stays ignored."""

    def interrupt(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    heard = [n for n in (signal.SIGTERM, signal.SIGHUP) if signal.getsignal(n) is not signal.SIG_IGN]
    try:
        before = {n: signal.signal(n, interrupt) for n in heard}
    except ValueError as error:  # not the main thread: somebody calls main() from a program of theirs
        raise BakeoffError("the command line runs in the main thread", hint="call bench.run()") from error
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def shown_while_stopped(screen: Console) -> Iterator[None]:
    """Ctrl-Z gives the terminal its cursor back, `fg` takes it again. Idle workers are stopped anyway."""
    if signal.getsignal(signal.SIGTSTP) is signal.SIG_IGN:  # a shell without job control
        yield
        return

    def stop(number: int, frame: FrameType | None) -> None:
        screen.show_cursor(True)
        signal.signal(signal.SIGTSTP, signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGTSTP)  # comes back when somebody continues us
        signal.signal(signal.SIGTSTP, stop)
        screen.show_cursor(False)

    before = signal.signal(signal.SIGTSTP, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTSTP, before)
