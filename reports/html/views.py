"""What the HTML page shows, as plain data: every number already in words, nothing yet escaped."""

from __future__ import annotations

import math
import shlex
from dataclasses import dataclass
from datetime import datetime
from statistics import median

from bench.compare.commands import reproduce
from bench.compare.naming import name
from bench.compare.results import QUANTILE_SAMPLES, Group, Results, Row
from bench.compare.words import ran, why, word
from bench.store.records import RunRecord
from bench.text.estimates import interval, ratio, spread
from bench.text.numbers import (
    UNTOLD,
    Unit,
    duration,
    megabytes,
    percent,
    quantity,
    significant,
    time_unit,
    told,
)
from reports.chips import Chip, chip
from reports.tables.columns import gflops_per_second

LOG_LINES = 40
SCALE = 4.0  # of the middle latency: what a bar of full width is at most
REASON = 140


@dataclass(frozen=True, slots=True)
class Cell:
    """A figure and, smaller below it, what it rests on."""

    main: str
    sub: str = ""


@dataclass(frozen=True, slots=True)
class Bar:
    """The latency and its interval on a scale from 0 to 100, for a page without script; one that is cut goes
    on beyond it."""

    value: float
    low: float
    width: float
    cut: bool = False


@dataclass(frozen=True, slots=True)
class Line:
    """A row of the table of a group. `cells` is empty where nothing was measured."""

    label: str
    details: str
    marks: tuple[str, ...]
    cells: dict[str, Cell]
    bar: Bar | None
    chip: Chip
    why: str
    ranked: bool
    baseline: bool
    more: tuple[str, ...]

    @property
    def short(self) -> str:
        """Why, short enough for a cell; in full below, under failures."""
        return self.why if len(self.why) <= REASON else self.why[: REASON - 1].rstrip() + "…"


@dataclass(frozen=True, slots=True)
class Answer:
    """The answer's sentence, cut around the winner's name."""

    title: str
    before: str
    winner: str
    after: str


def answer(group: Group) -> Answer:
    """The sentence without the title that stands above it."""
    text = group.answer.removeprefix(f"{group.title}: ")
    if group.winner is not None:
        label = name(group.winner, group.rows)
        before, found, after = text.partition(label)
        if found:
            return Answer(group.title, before, label, after)
    return Answer(group.title, text[:1].upper() + text[1:], "", "")


def lines(group: Group) -> list[Line]:
    """The rows of a group, fastest first."""
    rows = group.in_order()
    unit = time_unit(row.latency.value for row in rows)
    ends = [end for row in rows for end in (row.latency.value, row.latency.high) if _finite(end)]
    longest = max((end for end in ends if end is not None), default=1.0)
    middle = median([row.latency.value for row in rows if row.latency.value] or [1.0])
    # One row that takes thirty times as long would leave no bar of the others.
    return [_line(row, group, unit, min(longest, SCALE * middle)) for row in rows]


def _line(row: Row, group: Group, unit: Unit, longest: float) -> Line:
    marks = [
        word
        for word, holds in (
            ("leads" if group.tied else "fastest", row is group.winner),
            ("tied", row in group.tied),
            ("baseline", row.baseline),
        )
        if holds
    ]
    measured = told(row.latency.value)
    return Line(
        label=row.case.backend_spec,
        details=details(row),
        marks=tuple(marks),
        cells=_cells(row, unit) if measured else {},
        bar=_bar(row, longest) if measured else None,
        chip=chip(word(row)),
        why=why(row),
        ranked=row.ranked,
        baseline=row.baseline and row.status == "ok" and row.ranked,
        more=_more(row, unit) if measured else (),
    )


def details(row: Row) -> str:
    """What there is beside the backend: `fp32 · cpu · 2 threads`."""
    return " · ".join(row.case.words("precision", "device", "threads", "preset", "options", "axes", "twin"))


def _cells(row: Row, unit: Unit) -> dict[str, Cell]:
    baseline = Cell("1×", "baseline") if row.baseline else Cell(ratio(row.ratio), spread(row.ratio))
    return {
        "latency": Cell(quantity(row.latency.value, unit), spread(row.latency, unit)),
        "ratio": baseline,
        "rate": Cell(significant(row.rate), f"{row.unit}s/s"),
        "memory": Cell(megabytes(row.model_bytes), f"peak {megabytes(row.peak_bytes)}"),
        "load": Cell(duration(row.load), f"first {duration(row.first)}"),
        "error": Cell(error(row.error), band(row)),
        "ran": Cell(ran(row), f"{row.precision_evidence or UNTOLD}{_threads(row)}"),
    }


def _threads(row: Row) -> str:
    """`, 2 threads`, and how many were asked for where it is another number."""
    if not row.threads_ran:
        return ""
    asked = str(row.case.target.threads)
    other = f" of {asked} asked" if row.threads_ran != asked else ""
    return f", {row.threads_ran} thread{'' if row.threads_ran == '1' else 's'}{other}"


MORE = (
    *QUANTILE_SAMPLES,
    "device boundary",
    "import",
    "build",
    "start to ready",
    "cores busy",
    "10⁹ op/s",
    "provider",
    "replicates",
    "samples",
    "disturbed",
    "unsteady",
    "version",
)


def _more(row: Row, unit: Unit) -> tuple[str, ...]:
    """The further figures of a row, in the order of `MORE`."""
    tails = [interval(row.tails[name], unit) for name in QUANTILE_SAMPLES]
    return (
        *tails,
        interval(row.device_latency, unit),
        duration(row.runtime_import),
        duration(row.build) if row.build else UNTOLD,
        duration(row.ready),
        significant(row.cpu_share, 2),
        significant(gflops_per_second(row)),
        row.provider or UNTOLD,
        str(row.replicates),
        f"{row.samples:,}" + (f" of {row.inner:,}" if row.inner > 1 else ""),
        percent(row.disturbed),
        percent(row.unsteady),
        row.runtime_version or UNTOLD,
    )


def tail_needs() -> str:
    """`p95 72, p99 368, p99.9 3,688`: samples that a percentile takes."""
    asked = [name for name in QUANTILE_SAMPLES if name not in ("p50", "p90")]
    return ", ".join(f"{name} {QUANTILE_SAMPLES[name]:,}" for name in asked)


def error(value: float | None) -> str:
    """A relative error, `∞` where outputs could not be compared at all."""
    if value is None:
        return UNTOLD
    return f"{value:.1e}" if math.isfinite(value) else "∞"


def band(row: Row) -> str:
    """`≤ 7.6e-06`, or both sides where the precision must show."""
    if row.band_high is None:
        return ""
    return f"{row.band_low:.1e} to {row.band_high:.1e}" if row.band_low else f"≤ {row.band_high:.1e}"


def _bar(row: Row, longest: float) -> Bar:
    value = row.latency.value or 0.0
    if value > longest:
        return Bar(100.0, 0.0, 0.0, cut=True)
    low, high = row.latency.low, row.latency.high
    ends = (low if _finite(low) else value, high if _finite(high) else value)
    start, end = (min(100.0, 100 * max(0.0, edge or 0.0) / longest) for edge in ends)
    width = max(end - start, 1.5)
    return Bar(round(100 * value / longest, 2), round(min(start, 100 - width), 2), round(width, 2))


def _finite(value: float | None) -> bool:
    return value is not None and math.isfinite(value)


@dataclass(frozen=True, slots=True)
class Trouble:
    """A case without a ranked figure, why, and the end of its log."""

    label: str
    chip: Chip
    why: str
    log: str


def troubles(results: Results) -> list[Trouble]:
    """Failures first, then refusals, then rows that were measured but may not win."""
    order = (
        "crashed",
        "out-of-memory",
        "timeout",
        "failed",
        "wrong-output",
        "unverified",
        "ok",
        "pending",
        "unsupported",
        "missing",
    )
    rows = [row for row in results.rows if not row.ranked]
    rows.sort(key=lambda row: order.index(row.status))
    return [
        Trouble(
            row.label,
            chip(word(row)),
            why(row),
            "\n".join(row.log.splitlines()[-LOG_LINES:]),
        )
        for row in rows
    ]


def commands(group: Group) -> list[tuple[str, str]]:
    """Label and command of each case."""
    return [(row.label, reproduce(row.case)) for row in group.in_order()]


def when(stamp: str | None) -> str:
    """`22 November 2026, 11:19 UTC`; as it is where it is no time."""
    try:
        moment = datetime.fromisoformat(stamp or "")
    except ValueError:
        return stamp or UNTOLD
    zone = moment.tzname() or ""
    return f"{moment.day} {moment:%B %Y, %H:%M} {zone}".strip()


def run_command(run: RunRecord) -> str:
    """The command of the whole run."""
    return shlex.join(["bakeoff", *run.command])
