"""The table of a run for a terminal. At most 100 columns wide; nothing needs colour to be understood."""

from __future__ import annotations

import io
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence

from rich.box import SIMPLE_HEAD
from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.constrain import Constrain
from rich.measure import Measurement
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from bench.compare.answer import some
from bench.compare.naming import name
from bench.compare.results import Group as Cases
from bench.compare.results import Results
from bench.compare.undisturbed import remarks
from bench.compare.words import findings, ran, roughly, settle, why, word
from bench.text.estimates import ratio, spread
from bench.text.numbers import UNTOLD, duration, quantity, significant, time_unit
from reports.html.views import error

WIDTH = 100
FINDINGS = 3  # of one rule that are shown in full
_LEAVE = ("load", "per s", "ran", "MB", "error")  # what a narrow terminal goes without, in this order
FILL = "\N{NO-BREAK SPACE}"  # rich strips plain blanks from the end of a cell
_STYLE = {
    "baseline": "",
    "faster": "green",
    "slower": "",
    "equivalent": "",
    "inconclusive": "yellow",
    "not comparable": "yellow",
    "not ranked": "yellow",
    "pending": "yellow",
    "unverified": "yellow",
    "unsupported": "yellow",
    "missing": "yellow",
    UNTOLD: "",
}


def render(results: Results, typed: Callable[[str], str] = str) -> RenderableType:
    """Per group the answer, the table and what went wrong, for `rich.console.Console.print`.

    Args:
        typed: gives a sentence with a command the flags that the person typed (`bench.cli.hints`).
    """
    notes = (_one_line(note, 1000).removesuffix(".") for note in results.run.notes)
    parts: list[RenderableType] = [Text(f"Note: {note}.", style="yellow") for note in notes]
    for group in results.groups:
        parts += [Text(group.answer, style="bold"), Text(""), Constrain(_Fitted(group), WIDTH), Text("")]
        if below := [*_remarks(group), *_ended(group), *remarks(group)]:
            parts += [*(_indented(Text(_one_line(text), style="dim")) for text in below), Text("")]
    parts += _findings(results, typed)
    if said := roughly(results):
        parts.append(Text(said, style="dim"))
    if command := settle(results):
        parts.append(Text(f"What may settle the inconclusive: {typed(command)}", style="dim"))
    if results.overhead is not None and results.overhead.latency.value is not None:
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
    """The table with as many columns as the terminal has room for; latency, ratio and verdict always stay."""

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
    rows = group.in_order()
    unit = time_unit(row.latency.value for row in rows)
    latency = _aligned(
        [_scaled(row.latency.value, unit.per_base) for row in rows],
        [spread(row.latency, unit) for row in rows],
    )
    ratios = _aligned(
        ["1×" if row.baseline else ratio(row.ratio) for row in rows],
        ["" if row.baseline else spread(row.ratio) for row in rows],
    )
    first = {
        f"latency, {unit.name}": latency,
        "ratio": ratios,
    }
    further = {
        "per s": [significant(row.rate) for row in rows],
        "MB": [_scaled(row.model_bytes, 1e-6) for row in rows],
        "load": [duration(row.load) for row in rows],
        "error": [error(row.error) for row in rows],
        "ran": [ran(row) for row in rows],
    }
    further = {title: cells for title, cells in further.items() if title not in without}
    table = Table(box=SIMPLE_HEAD, show_edge=False, padding=(0, 0, 0, 2))
    table.add_column("case", overflow="fold", min_width=12)
    for title in first:
        table.add_column(title, justify="right", no_wrap=True)
    table.add_column("verdict", overflow="fold", no_wrap=True)
    for title in further:
        table.add_column(title, justify="right", no_wrap=True)
    for i, row in enumerate(rows):
        label = Text(name(row, rows), style="bold" if row is group.winner else "")
        ended = word(row)
        measured = row.latency.value is not None
        left, right = (
            [Text(cells[i] if measured else "") for cells in part.values()] for part in (first, further)
        )
        verdict = Text(ended, style=_STYLE.get(ended, "bold red"))
        table.add_row(label, *left, verdict, *right, style="" if row.ranked else "dim")
    return table


def _scaled(value: float | None, scale: float) -> str:
    return significant(None if value is None else value * scale)


def _aligned(values: Sequence[str], spreads: Sequence[str]) -> list[str]:
    """Values and their intervals as one column, both right-aligned."""
    widths = [max(map(len, column), default=0) for column in (values, spreads)]
    pairs = zip(values, spreads, strict=True)
    return [f"{v:{FILL}>{widths[0]}}{FILL}{s:{FILL}>{widths[1]}}" for v, s in pairs]


def _remarks(group: Cases) -> Iterator[str]:
    """Why rows may not win or cannot be judged, one line for all with the same reason."""
    rows = group.in_order()
    reasons: dict[tuple[str, str], list[str]] = defaultdict(list)
    for row in rows:
        if because := why(row):
            reasons[word(row), because].append(name(row, rows))
    for (ended, because), names in reasons.items():
        yield f"{some(names)} ({ended}): {because}"


def _ended(group: Cases) -> Iterator[str]:
    """Why measuring ended, where that was not simply after all replicates."""
    rows = group.in_order()
    reasons: dict[str, list[str]] = defaultdict(list)
    for row in rows:
        if row.ended:
            reasons[row.ended].append(name(row, rows))
    if any(not reason.startswith("all ") for reason in reasons):
        said = "; ".join(f"{some(names)}, {reason}" for reason, names in reasons.items())
        yield f"Measuring ended: {said}."


def _findings(results: Results, typed: Callable[[str], str]) -> Iterator[RenderableType]:
    """What the linter found, with what to look at."""
    found = findings(results)
    if not found:
        return
    yield Text("Look at this before you trust it:", style="bold yellow")
    for one in found:
        for text in one.texts[:FINDINGS]:
            yield _indented(Text(_one_line(f"{one.kind}: {text}")))
        if len(one.texts) > FINDINGS:
            yield _indented(Text(f"{one.kind}: and {len(one.texts) - FINDINGS} more like this."))
        yield _indented(Text(_one_line(typed(f"look: {one.look}")), style="dim"), 4)
    yield Text("")


def _indented(text: Text, by: int = 2) -> RenderableType:
    return Padding(text, (0, 0, 0, by))


def _one_line(text: str, most: int = 300) -> str:
    """Without line breaks and control characters, which could move a terminal's cursor."""
    clean = "".join(c if c.isprintable() else " " for c in text)
    shown = " ".join(clean.split())
    return shown if len(shown) <= most else shown[: most - 1] + "…"
