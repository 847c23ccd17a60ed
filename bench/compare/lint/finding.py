"""What a rule finds, and what several rules need to say it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from bench.compare.results import Finding, Results, Row

SHOWN = 3  # cases that a sentence names


Rule = Callable[[Results], Iterator[Finding]]


def every_row(results: Results) -> tuple[Row, ...]:
    """The rows with the harness's own."""
    return (*results.rows, *(row for row in (results.overhead, results.anchor) if row is not None))


def labels(rows: Sequence[Row]) -> str:
    """`A; B; C and 4 more`."""
    more = f" and {len(rows) - SHOWN} more" if len(rows) > SHOWN else ""
    return "; ".join(row.label for row in rows[:SHOWN]) + more


def again(results: Results) -> str:
    """The command that measures a run's cases anew."""
    return f"bakeoff run --resume {results.run.id} --rerun always"
