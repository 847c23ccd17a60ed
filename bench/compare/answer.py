"""The answer to 'which should I ship', in a sentence, with no claim finer than the verdicts allow."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from bench.compare.naming import name
from bench.compare.results import Row
from bench.text.estimates import interval
from bench.text.numbers import significant, time_unit

MANY = 3  # more names than these are hard to read in a sentence


def answer(
    title: str, rows: Sequence[Row], winner: Row | None, tied: Sequence[Row], baseline: Row | None
) -> str:
    """One sentence or two about a group.

    'Fastest' is said where every other ranked case is proven slower, a factor over the baseline where the
    winner is proven faster than that, 'equivalent' where that is proven.
    """
    if winner is None:
        return f"{title}: no case can be ranked. {_why_none(rows)}"
    who, figure = name(winner, rows), _figure(winner)
    if len(rows) == 1:
        return f"{title}: {who} takes {figure}."
    ranked = [row for row in rows if row.ranked]
    if len(ranked) == 1:
        return f"{title}: {who} is the only ranked case, {figure}."
    unsettled = [row for row in ranked if row in tied or (row is baseline and not _beats(winner, row))]
    alike = [row for row in unsettled if _equivalent(winner, row)]
    vague = [row for row in unsettled if row not in alike]
    against = _against(winner, baseline, rows) if baseline not in unsettled else ""
    if not unsettled:
        whole = all(row.ranked or row.status == "unsupported" for row in rows)
        rest = "is fastest" if whole else "is the fastest ranked case"
        return f"{title}: {who} {rest}, {figure}{against}."
    whose = f"{who}, the baseline," if winner.baseline else who
    return f"{title}: {whose} leads with {figure}{against}{_close(alike, vague, rows, len(ranked) - 1)}."


def _figure(row: Row) -> str:
    """`12.3 ms ±1.2 % an inference`; one replicate has no interval, and says so."""
    shown = f"{interval(row.latency, time_unit([row.latency.value]))} an inference"
    return shown if row.latency.low is not None else f"{shown} (one replicate, so no interval)"


def _beats(winner: Row, baseline: Row) -> bool:
    return winner is baseline or (winner.verdict is not None and winner.verdict.word == "faster")


def _equivalent(winner: Row, other: Row) -> bool:
    """Whether it is proven; verdicts are against the baseline, so of other pairs it is not known."""
    if other.baseline:
        return winner.verdict is not None and winner.verdict.word == "equivalent"
    return winner.baseline and other.verdict is not None and other.verdict.word == "equivalent"


def _against(winner: Row, baseline: Row | None, rows: Sequence[Row]) -> str:
    """How many times as fast as the baseline, if that is proven."""
    ratio = winner.ratio
    if baseline is None or winner is baseline or not _beats(winner, baseline) or not ratio.value:
        return ""
    text = f", {significant(1 / ratio.value)} times as fast as {name(baseline, rows)}"
    ends = [significant(1 / end) for end in (ratio.high, ratio.low) if end]
    return f"{text} [{', '.join(ends)}]" if len(ends) == 2 else text


def _close(alike: Sequence[Row], vague: Sequence[Row], rows: Sequence[Row], others: int) -> str:
    """What is as fast as the winner, and what may be."""
    said = ""
    if alike:
        base = [row for row in alike if row.baseline]
        names = listed([f"{name(row, rows)}, the baseline" for row in base] or [name(r, rows) for r in alike])
        said = f" and is equivalent to {names}" if base else f"; {names} {_are(alike)} equivalent to it"
    if not vague:
        return said
    one = others == len(vague) and len(vague) > MANY
    names = f"none of the {others} others" if one else listed([name(row, rows) for row in vague])
    how = "can" if one else "cannot"
    return f"{said}{'; ' if alike else ', but '}{names} {how} be told from it"


def _are(rows: Sequence[Row]) -> str:
    return "is" if len(rows) == 1 else "are"


def listed(words: Sequence[str]) -> str:
    """`a`, `a and b`, `a, b and c`."""
    return " and ".join([*([", ".join(words[:-1])] if len(words) > 1 else []), words[-1]])


def some(names: Sequence[str]) -> str:
    """The names, or how many there are where that is easier to read."""
    return listed(names) if len(names) <= MANY else f"{len(names)} cases"


def _why_none(rows: Sequence[Row]) -> str:
    """Reasons, each with the cases that it holds for."""
    reasons: dict[str, list[str]] = defaultdict(list)
    for row in rows:
        reasons[row.unranked_because or "no figures"].append(name(row, rows))
    return "; ".join(f"{listed(who)}: {why}" for why, who in reasons.items()) + "."
