"""The table of a run for a terminal. At most 100 columns wide; nothing needs colour to be understood."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence

from rich.box import SIMPLE_HEAD
from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.constrain import Constrain
from rich.measure import Measurement
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
_LEAVE = ("load", "per s", "ran", "MB")  # what a narrow terminal goes without, in this order
FILL = "\N{NO-BREAK SPACE}"  # rich strips plain blanks from the end of a cell
_STYLE = {"ok": "", "unsupported": "yellow", "missing": "yellow", "wrong-output": "bold red"}


def render(results: Results) -> RenderableType:
    """Per group the answer, the table and what went wrong, for `rich.console.Console.print`."""
    parts: list[RenderableType] = [Text(f"Note: {note}.", style="yellow") for note in results.run.notes]
    for group in results.groups:
        parts += [Text(group.answer, style="bold"), Text("")]
        parts += [Constrain(_Fitted(group), WIDTH), Text(""), *_remarks(group), Text("")]
    if results.overhead is not None:
        own = results.overhead.latency
        shown = quantity(own.value, time_unit([own.value]))
        parts.append(
            Text(f"The null backend takes {shown} an inference: bakeoff's own overhead.", style="dim")
        )
    if took := _took(results):
        parts.append(Text(took, style="dim"))
    return Group(*parts) if parts else Text("This run holds no case.")


def _took(results: Results) -> str:
    """`Prepared in 57 s, measured in 2 min 32 s.`"""
    words = {"prepare": "prepared", "measure": "measured"}
    seconds = results.run.seconds
    said = [f"{words[phase]} in {duration(seconds[phase])}" for phase in words if phase in seconds]
    return ", ".join(said).capitalize() + "." if said else ""


def plain(results: Results, width: int = WIDTH) -> str:
    """The same without colour, for a file or a pipe. Lines end without blanks."""
    out = io.StringIO()
    console = Console(file=out, width=width, color_system=None, force_terminal=False, emoji=False)
    console.print(render(results))
    text = out.getvalue().replace(FILL, " ")
    return "\n".join(line.rstrip() for line in text.splitlines()).rstrip() + "\n"


class _Fitted:
    """The table with as many columns as the terminal has room for; latency, ratio and error always stay."""

    def __init__(self, group: Cases) -> None:
        self._group = group

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        unbounded = options.update(width=1000)
        for count in range(len(_LEAVE) + 1):
            table = _table(self._group, _LEAVE[:count])
            if Measurement.get(console, unbounded, table).maximum <= options.max_width:
                break
        yield table


def _table(group: Cases, without: Sequence[str] = ()) -> Table:
    rows = in_order(group)
    unit = time_unit(row.latency.value for row in rows)
    latency = _aligned(
        [_scaled(row.latency.value, unit.per_base) for row in rows],
        [spread(row.latency, unit) for row in rows],
    )
    ratio = _aligned(
        ["1×" if row.baseline else factor(row.ratio.value) for row in rows],
        ["" if row.baseline else spread(row.ratio) for row in rows],
    )
    figures = {
        f"latency, {unit.name}": latency,
        "ratio": ratio,
        "per s": [significant(row.rate) for row in rows],
        "MB": [_scaled(row.model_bytes, 1e-6) for row in rows],
        "load": [duration(row.load) for row in rows],
        "error": [error(row.error) for row in rows],
        "ran": [row.precision_ran or UNTOLD for row in rows],
    }
    shown = {title: cells for title, cells in figures.items() if title not in without}
    table = Table(box=SIMPLE_HEAD, show_edge=False, padding=(0, 0, 0, 2))
    table.add_column("case", overflow="fold", min_width=12)
    for title in shown:
        table.add_column(title, justify="right", no_wrap=True)
    table.add_column("status", overflow="fold", max_width=13)
    for i, row in enumerate(rows):
        label = Text(name(row, rows), style="bold" if row is group.winner else "")
        status = Text(_status(row), style=_STYLE.get(row.status, "bold red"))
        measured = row.latency.value is not None
        cells = [Text(column[i] if measured else "") for column in shown.values()]
        table.add_row(label, *cells, status, style="" if row.ranked else "dim")
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
