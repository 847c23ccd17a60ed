"""What `ab` and `aa` share: the flags, and an error where a side cannot be measured."""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from typing import Any

from bench.api import Run
from bench.cli.sweep import flags_of
from bench.cli.watch import watched
from bench.compare.results import Results, Row
from bench.interfaces.errors import BakeoffError
from bench.suite.suite import Suite


def flags(options: argparse.Namespace, base: Suite) -> dict[str, Any]:
    """The axes that were typed; where no workload was: the base suite's first."""
    found = flags_of(options)
    return found | {"workloads": found["workloads"] or [base.workloads[0].name]}


def measured(suite: Suite, options: argparse.Namespace) -> tuple[Run, Results]:
    """Measures, or nothing at all where a side cannot be; one JSON document is left to the caller.

    Raises:
        NothingMeasurable: before anything is measured, with the reason of each side that cannot be.
    """
    options.document = True
    done = watched(suite, options, whole=True)
    return done, done.results()


def require_measured(rows: Iterable[Row], done: Run) -> None:
    """Raises BakeoffError for a row without figures, or with wrong ones: nothing can be said of it."""
    for row in rows:
        if row.status != "ok":
            raise BakeoffError(f"{row.label}: {row.status}: {row.reason}", hint=f"bakeoff show {done.id}")
