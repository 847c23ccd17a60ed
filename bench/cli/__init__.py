"""The command line. Each command is a file of this folder, imported when it is called and not before."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from bench.interfaces.errors import (
    EXIT_FAILED,
    EXIT_GATE,
    EXIT_INTERRUPTED,
    EXIT_NOTHING,
    EXIT_OK,
    BakeoffError,
)
from bench.text.printable import printable


def main(arguments: Sequence[str] | None = None) -> int:
    """Parses and runs; returns the exit code. No traceback is shown unless `--debug` asks for it."""
    from bench.cli import streams

    streams.settle()
    code = _call(list(sys.argv[1:] if arguments is None else arguments))
    lost = streams.why_lost(sys.stdout)
    if not lost:
        return code
    print(f"bakeoff: standard output could not be written whole: {lost}", file=sys.stderr)
    print("  free some space and repeat the command; what was measured is kept", file=sys.stderr)
    return EXIT_NOTHING if code in (EXIT_OK, EXIT_GATE, EXIT_FAILED) else code


def _call(typed: list[str]) -> int:
    debug, options = "--debug" in typed, None
    try:
        from bench.cli.parser import parse

        options = parse(typed)
        code: int = options.command(options)
        return code
    except BakeoffError as error:
        if debug:
            raise
        from bench.cli.hints import as_typed

        print(f"bakeoff: {printable(as_typed(str(error), options))}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        if debug:
            raise
        print("\nbakeoff: interrupted", file=sys.stderr)
        return EXIT_INTERRUPTED
    except Exception as error:
        if debug:
            raise
        print(_end(error), file=sys.stderr)
        return EXIT_NOTHING


def _end(error: Exception) -> str:
    """What is said of an error that nobody expected: the surroundings' fault, or a defect."""
    from bench.cli.surroundings import explained

    if (surroundings := explained(error)) is not None:
        return f"bakeoff: {surroundings}"
    own = "  a defect of bakeoff's: `--debug` shows where; please report it"
    return f"bakeoff: {type(error).__name__}: {error}\n{own}"
