"""What `ab` and `aa` share: the flags, and an error where a side cannot be measured."""

from __future__ import annotations

import argparse
from typing import Any

from bench.api import Run
from bench.block import MEASURED
from bench.cli.sweep import flags_of
from bench.cli.watch import watched
from bench.errors import BakeoffError
from bench.results import Results
from bench.suite import Suite


def flags(options: argparse.Namespace, base: Suite) -> dict[str, Any]:
    """The axes that were typed; where no workload was: the base suite's first."""
    found = flags_of(options)
    return found | {"workloads": found["workloads"] or [base.workloads[0].name]}


def measured(suite: Suite, options: argparse.Namespace) -> tuple[Run, Results]:
    """Measures; one JSON document is left to the caller.

    Raises:
        BakeoffError: a side cannot be measured, with its reason.
    """
    options.document = True
    done = watched(suite, options)
    found = done.results()
    for row in found.rows:
        if row.status not in MEASURED:
            raise BakeoffError(
                f"{row.case.label}: {row.status}: {row.reason}", hint=f"bakeoff show {done.id}"
            )
    return done, found
