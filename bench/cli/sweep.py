"""From flags to a suite: each flag's list replaces the suite's."""

from __future__ import annotations

import argparse
from typing import Any

from bench.interfaces.axes import AXES, SETTINGS
from bench.interfaces.errors import UsageError
from bench.suite.flags import suite_from_flags
from bench.suite.suite import Suite, load_suite

_FLAGS = {axis.key: axis.flag for axis in AXES} | {name: name for name in SETTINGS}


def suite_from(options: argparse.Namespace) -> Suite:
    """The suite that was named (`quick` if none is), with the flags over it."""
    return suite_from_flags(load_suite(options.suite or "quick"), flags_of(options))


def flags_of(options: argparse.Namespace) -> dict[str, Any]:
    """The axes that were typed, as `suite_from_flags` takes them; None for those a command does not have."""
    return {key: getattr(options, flag, None) for key, flag in _FLAGS.items()}


def require_no_sweep(options: argparse.Namespace) -> None:
    """Raises UsageError where something is asked for that a resumed run has settled already."""
    given = [options.suite] if options.suite else []
    given += [f"--{flag}" for flag in _FLAGS.values() if getattr(options, flag)]
    if given:
        raise UsageError(
            f"--resume goes on with the run's own suite; {', '.join(given)} cannot change it",
            hint="leave it out, or start another run without --resume",
        )
