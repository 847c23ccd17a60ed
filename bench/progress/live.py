"""The live display in a terminal: what goes on, the time left, and the table so far."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from bench.interfaces.case import HARNESS, Case
from bench.progress.state import CaseState, State, prepared_text
from bench.text.numbers import duration, factor, rounded_time
from bench.text.printable import printable

STYLES = {
    "ok": "green",
    "measuring": "bold cyan",
    "waiting": "dim",
    "unverified": "yellow",
    "unsupported": "yellow",
    "missing": "yellow",
}
REFUSED = ("unsupported", "missing")
BUSY = ("load", "warm up", "verify", "measuring")
LEAST_S = 0.1


class LiveProgress:
    """Redraws on events alone and never while a burst is timed: the parent sleeps then."""

    def __init__(self, console: Console) -> None:
        self._state = State()
        self._start = time.monotonic()
        self._drawn = 0.0
        self._live = Live(console=console, auto_refresh=False, transient=True)

    def __call__(self, event: str, facts: Mapping[str, Any]) -> None:
        self._state.take(event, facts)
        moment = time.monotonic()
        if event in ("burst", "prepare") and moment - self._drawn < LEAST_S:
            return
        self._drawn = moment
        if event == "prepared":  # above the display, where it stays
            self._live.console.print(prepared_text(facts))
        self._live.update(self._render(), refresh=True)

    def __enter__(self) -> LiveProgress:
        self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._live.stop()

    def _render(self) -> RenderableType:
        state = self._state
        name = f"{state.run.name} {state.run.id}" if state.run else "bakeoff"
        head = Text.assemble(
            (name, "bold"),
            f" · {rounded_time(time.monotonic() - self._start)} so far",
            state.left_text(),
        )
        now = Table.grid(padding=(0, 2, 0, 0))
        now.add_row(ProgressBar(total=1.0, completed=state.done, width=30), Text(state.doing, style="cyan"))
        making = [Text(f"  {name} · {rounded_time(took)}") for name, took in state.making.items()]
        course = [Text(state.course, style="dim")] if state.course else []
        return Group(head, now, *making, *course, Text(""), self._table(), *self._refused())

    def _table(self) -> Table:
        table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
        table.add_column("case", no_wrap=True, overflow="ellipsis")
        for column in ("precision", "threads", "latency", "ratio", "done"):
            table.add_column(column, justify="right", no_wrap=True)
        table.add_column("status", no_wrap=True, min_width=13)
        for found in self._state.cases.values():
            if found.case.workload != HARNESS and found.status not in REFUSED:
                table.add_row(*self._cells(found))
        return table

    def _refused(self) -> list[Text]:
        count = sum(found.status in REFUSED for found in self._state.cases.values())
        text = f"{count} more cannot run here; their rows will say why"
        return [Text(""), Text(text, style="yellow")] if count else []

    def _cells(self, found: CaseState) -> tuple[RenderableType, ...]:
        case = found.case
        ratio = self._state.ratio(case)
        now = case.id == self._state.current
        waits = found.status in BUSY and not now
        style = STYLES.get(found.status, "cyan" if found.status in BUSY else "red")
        return (
            Text(printable(_name(case)), style="bold" if now else ""),
            case.target.precision,
            str(case.target.threads),
            duration(found.latency) if found.latency else "–",
            factor(ratio) if ratio else "–",
            f"{len(found.medians)} of {self._state.replicates}",
            Text("stopped", style="dim") if waits else Text(found.status, style=style),
        )


def _name(case: Case) -> str:
    """What tells a case from the others besides the columns of the table, and what is not the usual."""
    device = [] if case.target.device == "cpu" else ["device"]
    return " · ".join([case.title, *case.words("backend", *device, "preset", "options", "axes", "twin")])
