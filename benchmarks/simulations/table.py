"""What a simulation comes to: named rows of numbers, printed in columns."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

PERCENT = ".1%"


@dataclass(frozen=True, slots=True)
class Table:
    """A small table.

    Attributes:
        rows_are: what the names of the rows are.
        columns: name → format of its numbers (`.1%`, `.0f`).
        rows: name → a number for each column.
    """

    rows_are: str
    columns: Mapping[str, str]
    rows: Mapping[str, tuple[float, ...]]

    def column(self, name: str) -> dict[str, float]:
        """Row → its number in a column."""
        place = list(self.columns).index(name)
        return {row: numbers[place] for row, numbers in self.rows.items()}

    def __str__(self) -> str:
        widths = {name: max(len(name), 7) for name in self.columns}
        first = max(map(len, (self.rows_are, *self.rows)))
        lines = ["  ".join([self.rows_are.ljust(first), *(n.rjust(w) for n, w in widths.items())])]
        for row, numbers in self.rows.items():
            shown = [
                _shown(number, form).rjust(widths[name])
                for number, (name, form) in zip(numbers, self.columns.items(), strict=True)
            ]
            lines.append("  ".join([row.ljust(first), *shown]))
        return "\n".join(lines)


def _shown(number: float, form: str) -> str:
    return format(number, form).replace("%", " %")
