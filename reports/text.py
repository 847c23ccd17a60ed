"""The table of a run for a terminal. At most 100 columns wide; nothing needs colour to be understood."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence

from rich.box import SIMPLE_HEAD
from rich.console import Console, Group, RenderableType
from rich.constrain import Constrain
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from bench.answers import name
from bench.numbers import UNTOLD, duration, factor, quantity, significant, spread, time_unit
from bench.results import Group as Cases
from bench.results import Results, Row
from reports.tables import in_order
from reports.views import error

WIDTH = 100
FILL = "\N{NO-BREAK SPACE}"  # rich strips plain blanks from the end of a cell
_STYLE = {"ok": "", "unsupported": "yellow", "missing": "yellow", "wrong-output": "bold red"}


def render(results: Results) -> RenderableType:
    """Per group the answer, the table and what went wrong, for `rich.console.Console.print`."""
    parts: list[RenderableType] = []
    for group in results.groups:
        parts += [Text(group.answer, style="bold"), Text("")]
        parts += [Constrain(_table(group), WIDTH), Text(""), *_remarks(group), Text("")]
    if results.overhead is not None:
        own = results.overhead.latency
        shown = quantity(own.value, time_unit([own.value]))
        parts.append(
            Text(f"The null backend takes {shown} an inference: bakeoff's own overhead.", style="dim")
        )
    return Group(*parts) if parts else Text("This run holds no case.")


def plain(results: Results, width: int = WIDTH) -> str:
    """The same without colour, for a file or a pipe. Lines end without blanks."""
    out = io.StringIO()
    console = Console(file=out, width=width, color_system=None, force_terminal=False, emoji=False)
    console.print(render(results))
    text = out.getvalue().replace(FILL, " ")
    return "\n".join(line.rstrip() for line in text.splitlines()).rstrip() + "\n"


def _table(group: Cases) -> Table:
    rows = in_order(group)
    unit = time_unit(row.latency.value for row in rows)
    table = Table(box=SIMPLE_HEAD, expand=True, show_edge=False, padding=(0, 0, 0, 2))
    table.add_column("case", overflow="fold", ratio=1, min_width=16)
    for title in (f"latency, {unit.name}", "ratio", "per s", "MB", "load", "error"):
        table.add_column(title, justify="right", no_wrap=True)
    table.add_column("ran", no_wrap=True, max_width=10)
    table.add_column("status", overflow="fold", max_width=13)
    latency = _aligned(
        [_scaled(row.latency.value, unit.per_base) for row in rows],
        [spread(row.latency, unit) for row in rows],
    )
    ratio = _aligned(
        ["1×" if row.baseline else factor(row.ratio.value) for row in rows],
        ["" if row.baseline else spread(row.ratio) for row in rows],
    )
    for row, *pair in zip(rows, latency, ratio, strict=True):
        measured = row.latency.value is not None
        figures = [
            significant(row.rate),
            _scaled(row.model_bytes, 1e-6),
            duration(row.load),
            error(row.error),
            row.precision_ran or UNTOLD,
        ]
        label = Text(name(row, rows), style="bold" if row is group.winner else "")
        status = Text(_status(row), style=_STYLE.get(row.status, "bold red"))
        cells = [*pair, *figures] if measured else [""] * 7
        table.add_row(label, *(Text(cell) for cell in cells), status, style="" if row.ranked else "dim")
    return table


def _scaled(value: float | None, scale: float) -> str:
    return significant(None if value is None else value * scale)


def _aligned(values: Sequence[str], spreads: Sequence[str]) -> list[str]:
    """Values and their intervals as one column, both right-aligned."""
    widths = [max(map(len, column), default=0) for column in (values, spreads)]
    pairs = zip(values, spreads, strict=True)
    return [f"{v:{FILL}>{widths[0]}}{FILL}{s:{FILL}>{widths[1]}}" for v, s in pairs]


def _status(row: Row) -> str:
    return "not ranked" if row.status == "ok" and not row.ranked else row.status


def _remarks(group: Cases) -> Iterator[RenderableType]:
    """A line for each row that may not win. Text, not markup: reasons come from anywhere."""
    rows = in_order(group)
    for row in rows:
        if not row.ranked:
            why = (row.reason if row.status != "ok" else row.unranked_because) or "no reason was recorded"
            text = Text(f"{name(row, rows)} ({_status(row)}): {_one_line(why)}", style="dim")
            yield Padding(text, (0, 0, 0, 2))


def _one_line(text: str, most: int = 300) -> str:
    """Without line breaks and control characters, which could move a terminal's cursor."""
    clean = "".join(c if c.isprintable() else " " for c in text)
    shown = " ".join(clean.split())
    return shown if len(shown) <= most else shown[: most - 1] + "…"
