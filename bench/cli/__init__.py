"""The command line. Each command is a file of this folder, imported when it is called and not before."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from bench.errors import EXIT_FAILED, EXIT_GATE, EXIT_INTERRUPTED, EXIT_NOTHING, EXIT_OK, BakeoffError


def main(arguments: Sequence[str] | None = None) -> int:
    """Parses and runs; returns the exit code. No traceback is shown unless `--debug` asks for it."""
    from bench import streams
    from bench.cli.parser import parse

    streams.settle()
    options = parse(list(sys.argv[1:] if arguments is None else arguments))
    code = _call(options)
    lost = streams.why_lost(sys.stdout)
    if not lost:
        return code
    print(f"bakeoff: standard output could not be written whole: {lost}", file=sys.stderr)
    print("  free some space and repeat the command; what was measured is kept", file=sys.stderr)
    return EXIT_NOTHING if code in (EXIT_OK, EXIT_GATE, EXIT_FAILED) else code


def _call(options: argparse.Namespace) -> int:
    try:
        code: int = options.command(options)
        return code
    except BakeoffError as error:
        if options.debug:
            raise
        from bench.cli.hints import as_typed

        print(f"bakeoff: {as_typed(str(error), options)}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        if options.debug:
            raise
        print("\nbakeoff: interrupted", file=sys.stderr)
        return EXIT_INTERRUPTED
    except Exception as error:
        if options.debug:
            raise
        print(f"bakeoff: {type(error).__name__}: {error}", file=sys.stderr)
        print("  a defect of bakeoff's: `--debug` shows where; please report it", file=sys.stderr)
        return EXIT_NOTHING
