"""What may be said of a run in words, and why no more. Terminal and page show these alike."""

from __future__ import annotations

import shlex
from collections import defaultdict
from typing import NamedTuple

from bench.compare.commands import ab_command
from bench.compare.results import Results, Row
from bench.stats.significance import ALPHA
from bench.stats.verdict import Verdict
from bench.suite.profiles import PROFILES, profile_of
from bench.text.estimates import SHARP, rough
from bench.text.numbers import UNTOLD, count, difference, percent, significant, told

SWEEPS = [PROFILES[name] for name in ("quick", "standard", "publish")]


def word(row: Row) -> str:
    """The verdict; `baseline`; how the case ended where it was not measured well; – without a baseline."""
    if row.status != "ok":
        return row.status
    if row.verdict is not None:
        return row.verdict.word
    if not row.ranked:
        return "not ranked"
    return "baseline" if row.baseline else UNTOLD


def why(row: Row) -> str:
    """Why the row may not win or the word is no stronger; '' where it is proven."""
    if row.status != "ok":
        return row.reason or "no reason was recorded"
    if not row.ranked:
        return row.unranked_because
    if row.verdict is None or row.verdict.proven:
        return ""
    return "; ".join(part for part in (_possible(row.verdict), finds(row.verdict)) if part)


def _possible(verdict: Verdict) -> str:
    """The reason, with the level where it tells an interval and this look could not spend all of α."""
    if verdict.alone:
        return verdict.reason
    level = f" ({verdict.level * 100:.3g} % interval)" if verdict.level > 1 - ALPHA else ""
    return verdict.reason + (level if told(verdict.ratio.high) else "")


def ran(row: Row) -> str:
    """The precision that was read back: `int8`, `fp8 emulated`; – where nothing was."""
    return (row.precision_ran or UNTOLD) + (" emulated" if row.emulated else "")


def finds(verdict: Verdict) -> str:
    """`a difference of 8.5 % would be found 8 times in 10`, or ''."""
    if not told(verdict.detectable):
        return ""
    return f"a difference of {percent(verdict.detectable)} would be found 8 times in 10"


class Found(NamedTuple):
    """What one rule of the linter found, with one thing to look at."""

    kind: str
    rule: str
    texts: tuple[str, ...]
    look: str


_KINDS = {"wrong": "cannot be", "harm": "does harm", "doubt": "in doubt"}


def findings(results: Results) -> list[Found]:
    """What the linter found, rule by rule, the worst first."""
    texts: dict[tuple[str, str, str], list[str]] = defaultdict(list)
    for one in results.findings:
        texts[_KINDS[one.kind], one.rule, one.look].append(one.text)
    return [Found(kind, rule, tuple(said), look) for (kind, rule, look), said in texts.items()]


def roughly(results: Results) -> str:
    """What `~` before a ratio says, how many have it, and what narrows them; '' where none has it."""
    ratios = [row.ratio for row in results.rows if told(row.ratio.value) and not row.baseline]
    marked = sum(map(rough, ratios))
    if not marked:
        return ""
    longer = [p.name for p in SWEEPS if p.replicates > profile_of(results.run.suite).replicates]
    more = f"; --profile {longer[0]} takes more replicates" if longer else ""
    known = f"known to within ±{difference(SHARP)}"
    return f"~ marks ratios that are not {known}: {marked} of {len(ratios)}{more}."


def settle(results: Results) -> str:
    """The command that may settle what is inconclusive: two cases in turns, or the run for longer.

    '' where nothing is inconclusive, or the run was as long as any.
    """
    typed, longest = results.run.command, PROFILES["publish"].replicates
    vague = [
        (group.baseline, row)
        for group in results.groups
        for row in group.rows
        if row.verdict is not None and row.verdict.word == "inconclusive"
    ]
    if not vague or profile_of(results.run.suite).replicates >= longest:
        return ""
    base, row = vague[0]
    if len(vague) == 1 and base is not None:
        return ab_command(base.case, row.case)
    if typed[:1] != ["run"] or "--resume" in typed:
        return ""
    return shlex.join(["bakeoff", *typed, "--profile", "publish"])


def rule(results: Results) -> str:
    """How a verdict of this run comes about: the looks and their share of α."""
    looks = results.looks
    when = f"after {count(looks[0], 'replicate')}"
    if len(looks) > 1:
        when = f"after {', '.join(map(str, looks[:-1]))} and {looks[-1]} replicates"
    share = f", each with {significant(ALPHA / len(looks), 2)} of the .05" if len(looks) > 1 else ""
    return f"Looked at {when}{share}."
