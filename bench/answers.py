"""The answer to 'which should I ship', in a sentence, with no claim finer than the intervals allow."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from bench.numbers import duration
from bench.results import Row


def answer(
    title: str, rows: Sequence[Row], winner: Row | None, tied: Sequence[Row], baseline: Row | None
) -> str:
    """One sentence or two about a group."""
    if winner is None:
        return f"{title}: no case can be ranked. {_why_none(rows)}"
    assert winner.latency.value is not None
    figure = f"{duration(winner.latency.value)} an inference{_against(winner, baseline, rows)}"
    if sum(row.ranked for row in rows) == 1:
        return f"{title}: {name(winner, rows)} is the only ranked case, {figure}."
    if tied:
        others = " and ".join(name(row, rows) for row in tied)
        return f"{title}: {name(winner, rows)} leads with {figure}, but {others} cannot be told from it."
    return f"{title}: {name(winner, rows)} is fastest, {figure}."


def _against(winner: Row, baseline: Row | None, rows: Sequence[Row]) -> str:
    if baseline is None or winner is baseline or winner.ratio.value is None:
        return ""
    ratio = winner.ratio
    assert ratio.value is not None
    text = f", {1 / ratio.value:.2f} times as fast as {name(baseline, rows)}"
    if ratio.low is not None and ratio.high is not None:
        text += f" [{1 / ratio.high:.2f}, {1 / ratio.low:.2f}]"
    return text


def _why_none(rows: Sequence[Row]) -> str:
    return "; ".join(f"{name(row, rows)}: {row.unranked_because or 'no figures'}" for row in rows) + "."


def name(row: Row, rows: Sequence[Row]) -> str:
    """The backend, with as many of the other facts as it takes to tell the rows apart."""
    target = row.case.target
    facts: dict[str, Callable[[Row], object]] = {
        "precision": lambda r: r.case.target.precision,
        "device": lambda r: r.case.target.device,
        "threads": lambda r: r.case.target.threads,
        "preset": lambda r: r.case.target.preset,
        "options": lambda r: tuple(sorted(map(str, r.case.target.options.items()))),
    }
    varied = {fact for fact, of in facts.items() if len({of(r) for r in rows}) > 1}
    words = [row.case.backend_spec]
    for fact in ("precision", "device", "preset"):
        if fact in varied:
            words.append(str(getattr(target, fact)))
    if "threads" in varied:
        words.append(f"{target.threads} thread{'s' if target.threads != 1 else ''}")
    if "options" in varied:
        words.extend(f"{key}={value}" for key, value in target.options.items())
    return " ".join(words)
