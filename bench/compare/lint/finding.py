"""What a rule finds, and what several rules need to say it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from bench.compare.results import Results, Row

Kind = Literal["wrong", "harm", "doubt"]
KINDS: tuple[Kind, ...] = get_args(Kind)
SHOWN = 3  # cases that a sentence names


@dataclass(frozen=True, slots=True)
class Finding:
    """Something about a run that a reader must know before believing a row.

    Attributes:
        rule: its name: the function's, with dashes.
        kind: `wrong`: no machine can have measured that; `harm`: true, and a setting to stay away from;
            `doubt`: measured under circumstances that ask for another look.
        case_ids: the cases that it is about.
        text: a sentence with the number.
        look: what to look at, or the command to type.
    """

    rule: str
    kind: Kind
    case_ids: tuple[str, ...]
    text: str
    look: str


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
