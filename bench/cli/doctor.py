"""`bakeoff doctor`: what each runtime can do here, and whether the machine is fit to measure."""

from __future__ import annotations

import argparse
import json

from backends.base import as_dict
from bench.errors import EXIT_OK


def command(options: argparse.Namespace) -> int:
    from bench.doctor import diagnose, lines

    diagnosis = diagnose(options.store)
    if options.json:
        print(json.dumps(as_dict(diagnosis), indent=2))
    else:
        print("\n".join(lines(diagnosis)))
    return EXIT_OK
