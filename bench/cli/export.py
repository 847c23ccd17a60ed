"""`bakeoff export [RUN] --format csv|parquet|json`."""

from __future__ import annotations

import argparse

from bench.api import open_run
from bench.errors import EXIT_OK


def command(options: argparse.Namespace) -> int:
    from reports.exporters import export

    run = open_run(options.run, options.store)
    path = options.output or options.store.parent / f"{run.id}.{options.format}"
    export(options.format, run.results(), path, samples=options.samples)
    print(f"exported: {path}")
    return EXIT_OK
