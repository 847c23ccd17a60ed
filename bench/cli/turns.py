"""What `ab` and `aa` share: the flags, and an error where a side cannot be measured."""

from __future__ import annotations

import argparse
from typing import Any

from bench.api import Run
from bench.block import MEASURED
from bench.cli.watch import watched
from bench.errors import BakeoffError
from bench.suite import Suite

_FLAGS = {
    "workloads": "workload",
    "precisions": "precision",
    "devices": "device",
    "batches": "batch",
    "sequences": "sequence",
    "threads": "threads",
    "presets": "preset",
    "weights": "weights",
    "budget": "budget",
}


def flags_of(options: argparse.Namespace, base: Suite) -> dict[str, Any]:
    """As `bench.suite.suite_from_flags` takes them. Where no workload is named: the base suite's first."""
    flags = {key: getattr(options, flag) for key, flag in _FLAGS.items()}
    return flags | {"workloads": flags["workloads"] or [base.workloads[0].name]}


def measured(suite: Suite, options: argparse.Namespace) -> Run:
    """Measures; one JSON document is left to the caller.

    Raises:
        BakeoffError: a side cannot be measured, with its reason.
    """
    options.document = True
    done = watched(suite, options)
    for row in done.results().rows:
        if row.status not in MEASURED:
            raise BakeoffError(
                f"{row.case.label}: {row.status}: {row.reason}", hint=f"bakeoff show {done.id}"
            )
    return done
