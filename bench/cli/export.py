"""`bakeoff export [RUN] --format csv|json|markdown|parquet`."""

from __future__ import annotations

import argparse

from bench.api import open_run
from bench.cli.output import written
from bench.errors import EXIT_OK


def command(options: argparse.Namespace) -> int:
    from reports.exporters import export

    run = open_run(options.run, options.store)
    path = options.output or options.store.parent / f"{run.id}.{options.format}"
    if written(
        path,
        lambda place: export(options.format, run.results(), place, samples=options.samples),
        binary=options.format == "parquet",
    ):
        print(f"exported: {path}")
    return EXIT_OK
