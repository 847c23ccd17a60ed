"""Markdown: a table for each workload and shape, precisions down and configurations across (where those are
many, the other way round), and one of the errors against their bands. Each cell that has no figure has the
number of its reason."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from bench.compare.results import Group, Results, Row
from bench.files.whole import write_whole
from bench.interfaces.case import settings
from bench.interfaces.errors import UsageError
from bench.text.estimates import SHARP, ratio
from bench.text.numbers import UNTOLD, difference, percent, quantity, significant, time_unit, told
from bench.text.printable import printable
from reports.html.scrub import names_in, scrub

ACROSS = 6  # configurations; more are no table that a page shows
SPECIAL = str.maketrans({"|": "\\|", "\n": " ", "<": "&lt;", ">": "&gt;", "*": "\\*", "_": "\\_"})


def write(results: Results, path: Path, *, samples: bool = False) -> Path:
    """Raises UsageError where samples are asked for: they are no table to read."""
    if samples:
        raise UsageError("markdown has no samples", hint="bakeoff export --samples --format csv")
    return write_whole(path, text(results).encode(errors="backslashreplace"))


def text(results: Results) -> str:
    """The document."""
    run, private = results.run, names_in(results.run.machine)
    reasons: dict[str, int] = {}
    named = {"bakeoff", "python", *(row.case.backend for row in results.rows)}
    versions = ", ".join(f"{name} {run.versions[name]}" for name in sorted(named & run.versions.keys()))
    machine = f"{run.machine.get('cpu', 'unknown CPU')}, {run.machine.get('cores') or '?'} cores"
    lines = [
        f"# {run.name.translate(SPECIAL)}",
        "",
        f"{scrub(machine, private)}; {versions}; {run.started[:10]}.".translate(SPECIAL),
        "",
        "Latency of one inference, with the ratio to the baseline in brackets: under 1 is faster, and ~ "
        f"marks one that is not known to within ±{difference(SHARP)}. A cell in "
        "*italics* is not ranked; the number after it, or in its place, is that of the reason below.",
    ]
    for group in results.groups:
        lines += ["", f"**{group.title.translate(SPECIAL)}**", "", *_table(group, reasons, _latency)]
    lines += [
        "",
        "Worst error against the fp64 reference, before and after timing, and in brackets its share of the "
        "upper end of the precision's band.",
    ]
    for group in results.groups:
        lines += ["", f"**{group.title.translate(SPECIAL)}**", "", *_table(group, reasons, _error, band=True)]
    lines += ["", "Reasons", ""]
    lines += [f"{n}. {scrub(reason, private).translate(SPECIAL)}" for reason, n in reasons.items()]
    return printable("\n".join(lines) + "\n")


def _table(
    group: Group, reasons: dict[str, int], cell: Callable[[Row, Group], str], band: bool = False
) -> Iterator[str]:
    shown = _configurations(group)
    columns = list(dict.fromkeys(shown.values()))
    precisions = list(dict.fromkeys(row.case.target.precision for row in group.rows))
    found = {(row.case.target.precision, shown[row.case.id]): row for row in group.rows}
    table = [["precision", *(["band"] if band else []), *columns]]
    for precision in precisions:
        rows = [found.get((precision, column)) for column in columns]
        if band and not any(row and row.error is not None for row in rows):
            continue
        bands = [_band([row for row in rows if row])] if band else []
        cells = [_cell(row, group, reasons, cell) if row else "" for row in rows]
        table.append([precision, *bands, *cells])
    if len(columns) > ACROSS:
        table[0][0] = "configuration"
        table = [list(line) for line in zip(*table, strict=True)]
    for number, line in enumerate(table):
        yield "| " + " | ".join(line) + " |"
        if not number:
            yield "| --- |" + " ---: |" * (len(line) - 1)


def _configurations(group: Group) -> dict[str, str]:
    """Case → its configuration; no two cases of one precision have the same, or a cell would hold but one."""
    names = {row.case.id: _configuration(row, group) for row in group.rows}
    counted = Counter((row.case.target.precision, names[row.case.id]) for row in group.rows)
    for row in group.rows:
        key = row.case.id
        if counted[row.case.target.precision, names[key]] > 1:
            names[key] += f" · {key}"
    return names


def _configuration(row: Row, group: Group) -> str:
    """Backend, and what else tells configurations apart within the group."""
    target, others = row.case.target, [other.case.target for other in group.rows]
    parts = [row.case.backend_spec + (f" {row.case.twin}" if row.case.twin else "")]
    if len({one.device for one in others}) > 1:
        parts.append(target.device)
    if len({one.threads for one in others}) > 1:
        parts += row.case.words("threads")
    if len({one.preset for one in others}) > 1:
        parts.append(target.preset)
    if target.options:
        parts.append(", ".join(settings(target.options)))
    return " · ".join(parts).translate(SPECIAL)


def _cell(row: Row, group: Group, reasons: dict[str, int], shown: Callable[[Row, Group], str]) -> str:
    figure = shown(row, group)
    if row.status == "ok" and row.ranked:
        return figure
    reason = row.reason if row.status != "ok" else row.unranked_because
    number = f"({reasons.setdefault(_general(reason), len(reasons) + 1)})"
    return f"*{figure}* {number}" if figure else number


def _general(reason: str) -> str:
    """The first line, without the command to type."""
    return (reason.splitlines() or ["no reason was recorded"])[0]


def _latency(row: Row, group: Group) -> str:
    if not told(row.latency.value):
        return ""
    unit = time_unit(one.latency.value for one in group.rows)
    beside = f" ({ratio(row.ratio)})" if told(row.ratio.value) else ""
    return quantity(row.latency.value, unit) + beside


def _error(row: Row, group: Group) -> str:
    if row.error is None:
        return ""
    share = f" ({percent(row.error / row.band_high)})" if row.band_high else ""
    return significant(row.error, 2) + share


def _band(rows: Sequence[Row]) -> str:
    """Each band once: files of one precision that round different tensors have bands of their own."""
    bands = [
        f"{significant(row.band_low, 2)} to {significant(row.band_high, 2)}"
        for row in rows
        if row.band_low is not None and row.band_high is not None
    ]
    return " or ".join(dict.fromkeys(bands)) or UNTOLD
