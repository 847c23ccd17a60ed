"""`bakeoff export [RUN] --format csv|json|markdown|parquet`."""

from __future__ import annotations

import argparse

from bench.api import open_run
from bench.cli.output import require_rows, written
from bench.errors import EXIT_OK


def command(options: argparse.Namespace) -> int:
    from reports.exporters import export

    run = open_run(options.run, options.store)
    found = require_rows(run.results(), options.samples)
    path = options.output or options.store.parent / f"{run.id}.{options.format}"
    if written(
        path,
        lambda place: export(options.format, found, place, samples=options.samples),
        binary=options.format == "parquet",
    ):
        print(f"exported: {path}")
    return EXIT_OK
