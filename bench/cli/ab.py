"""`bakeoff ab A B`: two configurations in turns until a verdict or the budget; a gate if one is asked for."""

from __future__ import annotations

import argparse
import json

from bench.ab import ab_suite
from bench.cli.turns import flags_of, measured
from bench.comparison import gates
from bench.errors import EXIT_OK
from bench.gate import exit_code
from bench.sides import parse_side
from bench.suite import load_suite
from bench.within import compare_within


def command(options: argparse.Namespace) -> int:
    a, b = parse_side(options.a), parse_side(options.b)
    base = load_suite("quick")
    suite = ab_suite(base, a, b, flags_of(options, base))
    relevant = options.gate if options.gate is not None else options.relevant
    if relevant is not None:
        suite = suite.model_copy(update={"relevant": relevant * 100})
    done = measured(suite, options)
    found = done.results()
    said = (options.a, options.b)
    compared = compare_within(found, a, b, said, f"run {done.id} of {options.store}")
    judged = gates(compared, options.gate) if options.gate is not None else ()
    shown = {"gates": judged, "threshold": options.gate, "inconclusive": options.inconclusive}
    if options.json:
        from reports.comparison import document

        print(json.dumps(document(compared, **shown), ensure_ascii=False, allow_nan=False))
    else:
        from bench.cli.output import console
        from reports.comparison import render

        console().print(render(compared, **shown))
        for note in found.run.notes:
            print(f"Note: {note}.")
    return exit_code(judged, options.inconclusive) if options.gate is not None else EXIT_OK
