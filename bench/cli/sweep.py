"""From flags to a suite: each flag's list replaces the suite's."""

from __future__ import annotations

import argparse

from bench.suite import Suite, load_suite, suite_from_flags

_FLAGS = {
    "workloads": "workload",
    "backends": "backend",
    "precisions": "precision",
    "devices": "device",
    "batches": "batch",
    "sequences": "sequence",
    "threads": "threads",
    "presets": "preset",
    "weights": "weights",
    "baseline": "baseline",
    "profile": "profile",
    "budget": "budget",
}


def suite_from(options: argparse.Namespace) -> Suite:
    """The suite that was named, with the flags over it."""
    flags = {key: getattr(options, flag) for key, flag in _FLAGS.items()}
    return suite_from_flags(load_suite(options.suite), flags)
