"""`bakeoff doctor`: what each runtime can do here, and whether the machine is fit to measure."""

from __future__ import annotations

import argparse
import sys

from bench.interfaces.errors import EXIT_OK
from bench.text import strict_json
from bench.text.printable import printable


def command(options: argparse.Namespace) -> int:
    from bench.doctor import diagnose, lines

    diagnosis = diagnose(options.store)
    if options.json:
        strict_json.say(diagnosis, sys.stdout, indent=2)
    else:
        print(printable("\n".join(lines(diagnosis))))
    return EXIT_OK
