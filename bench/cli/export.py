"""`bakeoff export [RUN] --format csv|json|markdown|parquet`."""

from __future__ import annotations

import argparse
from pathlib import Path

from bench.api import open_run
from bench.cli.output import require_rows, written
from bench.cli.parser import STORE
from bench.interfaces.errors import EXIT_OK


def command(options: argparse.Namespace) -> int:
    from reports.exporters import export

    run = open_run(options.run, options.store)
    found = require_rows(run.results(), options.samples)
    path = options.output or _beside(options.store, run.id, options.samples, options.format)
    if written(
        path,
        lambda place: export(options.format, found, place, samples=options.samples),
        binary=options.format == "parquet",
    ):
        print(f"exported: {path}")
    return EXIT_OK


def _beside(store: Path, run: str, samples: bool, format: str) -> Path:
    """`results/RUN.csv` or `results/RUN-samples.csv`, after the name of a store that has one of its own: two
    runs may have one id in two stores.
    """
    parts = ["" if store.name == STORE.name else store.stem, run, "samples" if samples else ""]
    return store.parent / f"{'-'.join(filter(None, parts))}.{format}"
