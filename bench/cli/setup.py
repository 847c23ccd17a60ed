"""`bakeoff setup NAME…|--all-cpu|--suite SUITE`: gets what backends need, and says before what it takes."""

from __future__ import annotations

import argparse
import sys

from bench.cli.output import console
from bench.environments.install import create
from bench.environments.setup import Part, parts, runtimes
from bench.interfaces.errors import EXIT_FAILED, EXIT_NOTHING, EXIT_OK, BackendUnavailable, UsageError
from bench.text.numbers import file_size, rounded_time


def command(options: argparse.Namespace) -> int:
    found = parts(_specs(options))
    missing = [part for part in found if not part.here]
    _tell(found)
    if not missing:
        print("nothing to install")
        return EXIT_OK
    size = sum(part.needs.bytes for part in missing)
    print(f"to install: {len(missing)}" + (f", about {file_size(size)} in all" if size else ""), flush=True)
    if options.dry_run:
        return EXIT_OK
    return _install(missing, options.debug)


def _install(missing: list[Part], debug: bool) -> int:
    failed, seconds = [], 0.0
    for number, part in enumerate(missing, 1):
        spec = part.needs.spec
        try:
            made = create(spec, progress=lambda line: print(line, flush=True))
        except BackendUnavailable as error:  # the others are worth having
            if debug:
                raise
            print(f"bakeoff: {error}", file=sys.stderr)
            failed.append(spec)
            continue
        seconds += float(made.facts["seconds"])
        print(f"{spec}: ready ({number} of {len(missing)})", flush=True)
    done = len(missing) - len(failed)
    print(f"{done} of {len(missing)} installed in {rounded_time(seconds)}")
    if failed:
        print(f"  not installed: {', '.join(failed)}; their rows will be `missing`, with the reason")
    if failed:
        return EXIT_FAILED if done else EXIT_NOTHING
    return EXIT_OK


def _specs(options: argparse.Namespace) -> list[str]:
    from bench.suite.suite import load_suite

    specs = list(options.names)
    if options.all_cpu:
        specs += runtimes()
    if options.suite:
        specs += [entry.spec for entry in load_suite(options.suite).backends]
    if not specs:
        raise UsageError("nothing was named", hint="bakeoff setup NAME…, --suite SUITE, or --all-cpu")
    return specs


def _tell(found: list[Part]) -> None:
    from rich import box
    from rich.table import Table

    from bench.environments.locate import home

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for column in ("environment", "state", "size", "requirements"):
        table.add_column(column, justify="right" if column == "size" else "left")
    for part in found:
        state = "to install"
        if part.python is not None:
            state = "here" if part.python != home() else "here, beside bakeoff"
        size = f"about {file_size(part.needs.bytes)}" if part.needs.bytes and not part.here else ""
        table.add_row(part.needs.spec, state, size, ", ".join(part.needs.lines))
    console().print(table)
