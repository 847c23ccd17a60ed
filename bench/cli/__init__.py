"""The command line. Each command is a file of this folder, imported when it is called and not before."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from bench.errors import EXIT_INTERRUPTED, EXIT_NOTHING, EXIT_OK, BakeoffError


def main(arguments: Sequence[str] | None = None) -> int:
    """Parses and runs; returns the exit code. No traceback is shown unless `--debug` asks for it."""
    from bench.cli.parser import parse

    typed = list(sys.argv[1:] if arguments is None else arguments)
    options = parse(typed)
    try:
        code: int = options.command(options)
        sys.stdout.flush()
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
    except BrokenPipeError:  # `bakeoff show | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_OK
    except Exception as error:
        if options.debug:
            raise
        print(f"bakeoff: {type(error).__name__}: {error}", file=sys.stderr)
        print("  a defect of bakeoff's: `--debug` shows where; please report it", file=sys.stderr)
        return EXIT_NOTHING
