"""`bakeoff ab A B`: two configurations in turns until a verdict or the budget; a gate if one is asked for."""

from __future__ import annotations

import argparse
from dataclasses import replace

from bench.cli.compare import show
from bench.cli.turns import flags, measured, require_measured
from bench.compare.within_run import compare_within
from bench.suite.configuration import parse_side
from bench.suite.pair import ab_suite
from bench.suite.suite import load_suite


def command(options: argparse.Namespace) -> int:
    a, b = parse_side(options.a), parse_side(options.b)
    base = load_suite("quick")
    suite = ab_suite(base, a, b, flags(options, base))
    relevant = options.gate if options.gate is not None else options.relevant
    if relevant is not None:
        suite = suite.model_copy(update={"relevant": relevant * 100})
    done, found = measured(suite, options)
    # A gate closes on a B that broke; without one, or without an A, there is nothing to compare.
    require_measured([row for row in found.rows if row.baseline or options.gate is None], done)
    said = (options.a, options.b)
    compared = compare_within(found, a, b, said, f"run {done.id} of {options.store}")
    notes = (f"Note: {note.removesuffix('.')}." for note in found.run.notes)
    return show(replace(compared, notes=(*compared.notes, *notes)), options)
