"""A comparison for the terminal, and as plain data. At most 100 columns; nothing needs colour."""

from __future__ import annotations

import io
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console, Group, RenderableType
from rich.constrain import Constrain
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from bench.compare.answer import listed
from bench.compare.comparison import Compared, Comparison, Gate
from bench.text import strict_json
from bench.text.estimates import spread
from bench.text.numbers import count, difference, factor, percent, probability, signed, significant, time_unit

WIDTH = 100
VERSION = 1  # of the document's layout
BETWEEN = " · "
_STYLE = {
    "faster": "green",
    "slower": "bold red",
    "regression": "bold red",
    "suspect": "yellow",
    "inconclusive": "yellow",
    "gone": "bold red",
    "broken": "bold red",
    "cannot tell": "yellow",
    "not comparable": "yellow",
}
_BY = {"within": "paired by rounds", "across": "by the anchor", "machines": "of the latencies as they are"}
FILL = "\N{NO-BREAK SPACE}"  # rich strips plain blanks from the end of a cell


def render(compared: Compared, gate: Gate | None = None) -> RenderableType:
    """The sides, what differs, the table, the reasons, and the gate if there is one."""
    parts: list[RenderableType] = [*_sides(compared), *_environment(compared)]
    if compared.comparisons:
        parts += [*_verdicts(compared), Text("")]
    else:
        parts += [Text("No case is on both sides.", style="bold"), Text("")]
    for words, names in (("BASE", compared.only_base), ("NEW", compared.only_new)):
        if names:
            parts += [Text(f"Only in {words}:"), *(_indented(_clean(name)) for name in names), Text("")]
    if gate is not None:
        parts += _gate(compared, gate)
    return Group(*parts)


def plain(compared: Compared, width: int = WIDTH, gate: Gate | None = None) -> str:
    """The same without colour. Lines end without blanks."""
    out = io.StringIO()
    console = Console(file=out, width=width, color_system=None, force_terminal=False, emoji=False)
    console.print(render(compared, gate))
    text = out.getvalue().replace(FILL, " ")
    return "\n".join(line.rstrip() for line in text.splitlines()).rstrip() + "\n"


def document(compared: Compared, gate: Gate | None = None) -> dict[str, Any]:
    """Everything as JSON-able data; null where nothing is known, and for what JSON has not
    (`bench.text.strict_json`).

    Times in seconds, differences as fractions.

    `gate.results` follow the comparisons in their order, then the cases of `gone`.
    """
    found: dict[str, Any] = {"bakeoff": VERSION, **asdict(compared), "gate": None}
    if gate is not None:
        found["gate"] = {
            **asdict(gate.rules),
            "exit_code": gate.exit_code,
            "results": [asdict(one) for one in gate.results],
        }
    data: dict[str, Any] = strict_json.finite(found)
    return data


def _sides(compared: Compared) -> Iterator[RenderableType]:
    for word, lines in (("BASE", compared.base), ("NEW ", compared.new)):
        for i, line in enumerate(lines):
            yield Text(f"{word if i == 0 else '    '}  {_clean(line)}", style="bold" if i == 0 else "")
    for note in compared.notes:
        yield Text(_clean(note), style="yellow" if compared.kind == "across" else "")
    yield Text("")


def _environment(compared: Compared) -> Iterator[RenderableType]:
    across = compared.kind == "across"
    if compared.differences:
        yield Text(f"What differs between them{' besides the day' if across else ''}:")
        table = Table.grid(padding=(0, 2, 0, 0))
        for one in compared.differences:
            table.add_row(Text(f"  {_clean(one.what)}"), Text(f"{_clean(one.base)} → {_clean(one.new)}"))
        yield Constrain(table, WIDTH)
    elif across:
        yield Text("Nothing but the day differs in what is recorded of them.")
    if compared.anchor is not None:
        base, new = compared.anchor
        unit = time_unit(compared.anchor)
        shown = [significant(value * unit.per_base) for value in compared.anchor]
        yield Text(
            f"The anchor took {shown[0]} {unit.name} in BASE and {shown[1]} {unit.name} in NEW"
            f" ({signed(new / base - 1)}); it is taken out of the ratios."
        )
    if across or compared.differences:
        yield Text("")


def _verdicts(compared: Compared) -> Iterator[RenderableType]:
    shared, labels = _labels(compared)
    if shared:
        yield Text(shared, style="bold")
        yield Text("")
    yield Constrain(_table(compared, labels), WIDTH)
    yield Text("")
    yield from _legend(compared)
    if remarks := [*_remarks(compared.comparisons, labels)]:
        yield Text("")
        yield from remarks


def _labels(compared: Compared) -> tuple[str, list[str]]:
    """What all comparisons share, and what is left of each name. The backend (within a run: the workload)
    stays with its row."""
    kept = 0 if compared.kind == "within" else 1
    parts = [_clean(one.name).split(BETWEEN) for one in compared.comparisons]
    common = [part for i, part in enumerate(parts[0]) if i != kept and all(part in other for other in parts)]
    left = [[part for i, part in enumerate(one) if i == kept or part not in common] for one in parts]
    return BETWEEN.join(common), [BETWEEN.join(one) for one in left]


def _table(compared: Compared, labels: Sequence[str]) -> Table:
    rows = compared.comparisons
    unit = time_unit(value for one in rows for value in (one.base, one.new))
    columns = {
        f"BASE, {unit.name}": [_scaled(one.base, unit.per_base) for one in rows],
        f"NEW, {unit.name}": [_scaled(one.new, unit.per_base) for one in rows],
        "raw": [factor(one.raw) for one in rows],
        "ratio": _aligned(
            [factor(one.verdict.ratio.value) for one in rows],
            [spread(one.verdict.ratio) if one.verdict.ratio.value else "" for one in rows],
        ),
    }
    if compared.kind != "across":
        del columns["raw"]
    table = Table(box=SIMPLE_HEAD, show_edge=False, padding=(0, 0, 0, 2))
    table.add_column("case", overflow="fold", min_width=12)
    for title in columns:
        table.add_column(title, justify="right", no_wrap=True)
    table.add_column("verdict", no_wrap=True)
    for title in ("p", "finds"):
        table.add_column(title, justify="right", no_wrap=True)
    for i, (one, label) in enumerate(zip(rows, labels, strict=True)):
        word = one.verdict.word
        cells = [Text(column[i]) for column in columns.values()]
        verdict = Text(word, style=_STYLE.get(word, ""))
        table.add_row(
            Text(label),
            *cells,
            verdict,
            Text(probability(one.verdict.adjusted)),
            Text(percent(one.verdict.detectable)),
        )
    return table


def _legend(compared: Compared) -> Iterator[RenderableType]:
    """What the columns mean, a line each."""
    verdicts = [one.verdict for one in compared.comparisons if one.verdict.word != "not comparable"]
    levels = sorted({f"{one.level * 100:.3g} %" for one in verdicts if one.ratio.low is not None})
    tests = [one for one in verdicts if one.p is not None]
    across = compared.kind == "across"
    ratio = f"ratio: NEW over BASE, {_BY[compared.kind]}; under 1× NEW is faster"
    yield _dim(f"{ratio}; {listed(levels)} intervals" if levels else ratio)
    if compared.kind != "within" and len(tests) < len(verdicts):
        yield _dim("where p is –, the interval is from within the runs: how runs differ is not in it")
    if across:
        yield _dim("raw: the ratio of the latencies as they are, with what the machine itself changed")
    if tests:
        many = (
            f", adjusted for {count(len(tests), 'comparison')} (Benjamini-Hochberg)" if len(tests) > 1 else ""
        )
        yield _dim(f"p: of a ratio of 1{many}")
        yield _dim("finds: the least difference that this much data finds 8 times in 10")


def _remarks(rows: Sequence[Comparison], labels: Sequence[str]) -> Iterator[RenderableType]:
    """Why a word is no stronger, once for all with the same reason, and the command that settles it."""
    reasons: dict[tuple[str, str], list[int]] = defaultdict(list)
    for i, one in enumerate(rows):
        if not one.verdict.proven:
            reasons[one.verdict.word, one.verdict.reason].append(i)
    for (word, reason), which in reasons.items():
        yield _indented(f"{listed([labels[i] for i in which])} ({word}): {_clean(reason)}")
        commands = list(dict.fromkeys(rows[i].settle for i in which if rows[i].settle))
        for command in commands:
            how = "settle it in turns" if " ab " in command else "more runs on each side"
            yield Padding(Text(f"{how}: {_clean(command)}", style="bold"), (0, 0, 0, 4))


def _gate(compared: Compared, gate: Gate) -> list[RenderableType]:
    names = [one.name for one in compared.comparisons] + list(compared.gone)
    _, labels = _labels(compared) if compared.comparisons else ("", [])
    labels = labels + [_clean(name) for name in names[len(labels) :]]
    words = [one.word for one in gate.results]
    counted = ", ".join(f"{words.count(word)} {word}" for word in dict.fromkeys(words)) or "nothing to judge"
    table = Table(box=SIMPLE_HEAD, show_edge=False, padding=(0, 0, 0, 2))
    table.add_column("case", overflow="fold", min_width=12)
    table.add_column("gate", no_wrap=True)
    for title in ("p", "finds"):
        table.add_column(title, justify="right", no_wrap=True)
    table.add_column("why", overflow="fold")
    for label, one in zip(labels, gate.results, strict=True):
        table.add_row(
            Text(label),
            Text(one.word, style=_STYLE.get(one.word, "")),
            Text(probability(one.p)),
            Text(percent(one.detectable)),
            Text(_clean(one.reason)),
        )
    also = [f"`{word}`" for word in ("cannot tell", "gone", "broken") if word in gate.rules.closing]
    tail = f"beside a regression {listed(also)} {'close' if len(also) > 1 else 'closes'} it" if also else ""
    alone = "nothing but a regression closes it"
    return [
        Text(f"Gate at {difference(gate.rules.threshold)} slower: {gate.state} ({counted}).", style="bold"),
        Text(""),
        Constrain(table, WIDTH),
        Text(""),
        _indented(
            f"p is adjusted for all of them (Holm); {tail or alone}"
            " (--inconclusive, --gone, --broken: pass or fail)."
        ),
    ]


def _scaled(value: float | None, scale: float) -> str:
    return significant(None if value is None else value * scale)


def _aligned(values: Sequence[str], spreads: Sequence[str]) -> list[str]:
    widths = [max(map(len, column), default=0) for column in (values, spreads)]
    pairs = zip(values, spreads, strict=True)
    return [f"{v:{FILL}>{widths[0]}}{FILL}{s:{FILL}>{widths[1]}}" for v, s in pairs]


def _indented(text: str, style: str = "") -> RenderableType:
    return Padding(Text(text, style=style), (0, 0, 0, 2))


def _dim(text: str) -> RenderableType:
    return _indented(text, "dim")


def _clean(text: str) -> str:
    """One line without control characters, which could move a terminal's cursor."""
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())
