"""Two configurations within one run: they took turns, so their rounds are pairs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from bench.compare.commands import ab_command, written
from bench.compare.comparison import Compared, Comparison, loss
from bench.compare.environment_diff import Difference
from bench.compare.judge import incomparable
from bench.compare.results import Group, Results, Row
from bench.interfaces.block import Block
from bench.interfaces.case import Case, settings
from bench.interfaces.errors import UsageError
from bench.interfaces.estimate import UNKNOWN
from bench.stats.pairs import log_ratios
from bench.stats.verdict import Verdict, judge_together
from bench.suite.configuration import FACTS, Side
from bench.suite.profiles import profile_of

Pair = tuple[Row, Row]  # BASE's, NEW's
APART = "the two never lived in one part of this run, so they share no round"


def compare_within(results: Results, base: Side, new: Side, said: tuple[str, str], run: str = "") -> Compared:
    """Compares every pair of cases of one group that match the two sides and are alike in all else.

    Args:
        said: BASE and NEW as they were typed.
        run: the run in a line, for people.

    Raises:
        UsageError: no case, or several, are meant; with the candidates.
    """
    pairs = [pair for group in results.groups for pair in _pairs(group, base, new, said)]
    if not pairs:
        raise _nothing(results, base, new, said)
    profile, relevant = profile_of(results.run.suite), results.run.relevant
    return Compared(
        "within",
        (said[0],),
        (said[1],),
        relevant,
        tuple(_comparison(results, pair, judged) for pair, judged in _judged(results, pairs)),
        looks=profile.looks,
        differences=_differences(pairs),
        notes=(f"Both within {run}.",) if run else (),
    )


@dataclass(frozen=True, slots=True)
class _Judged:
    """What is said of a pair.

    Attributes:
        logs: log ratios of a replicate each; empty for a pair that was not judged.
        may_settle: whether another run of the two alone could say more.
    """

    verdict: Verdict
    logs: tuple[float, ...] = ()
    may_settle: bool = False


def _judged(results: Results, pairs: Sequence[Pair]) -> Iterator[tuple[Pair, _Judged]]:
    """All pairs, judged together as far as they may be compared."""
    profile = profile_of(results.run.suite)
    refused = {i: why for i, pair in enumerate(pairs) if (why := _incomparable(*pair))}
    logs = {
        str(i): log_ratios(_blocks(results, new), _blocks(results, base))
        for i, (base, new) in enumerate(pairs)
        if i not in refused
    }
    shared = {key: found for key, found in logs.items() if found}
    verdicts = judge_together(shared, results.run.relevant, profile.looks)
    may_settle = profile.name != "ab"
    for i, pair in enumerate(pairs):
        if i in refused:
            yield pair, _Judged(_not_comparable(refused[i]))
        elif found := shared.get(str(i)):
            verdict, _ = verdicts[str(i)]
            yield pair, _Judged(verdict, tuple(found), may_settle and verdict.word == "inconclusive")
        else:
            yield pair, _Judged(_not_comparable(APART), may_settle=may_settle)


def _not_comparable(why: str) -> Verdict:
    return Verdict("not comparable", UNKNOWN, reason=why)


def _comparison(results: Results, pair: Pair, judged: _Judged) -> Comparison:
    one, other = pair
    titles = {group.key: group.title for group in results.groups}
    return Comparison(
        _shared(one.case, other.case, titles[one.case.group]),
        judged.verdict,
        one.latency.value,
        other.latency.value,
        logs=judged.logs,
        judged=bool(judged.logs),
        settle=ab_command(one.case, other.case) if judged.may_settle else "",
        loss=loss([one], [other]),
    )


def _blocks(results: Results, row: Row) -> Sequence[Block]:
    return results.blocks.get(row.case.id, ())


def _pairs(group: Group, base: Side, new: Side, said: tuple[str, str]) -> list[Pair]:
    """One for each way in which what neither side names can be.

    What differs beyond that is ambiguous: a case may not stand in two pairs on one side.
    """
    same = said[0] == said[1]
    pairs = [
        (one, other)
        for one in group.rows
        for other in group.rows
        if one is not other
        and base.matches(one.case)
        and new.matches(other.case)
        and _alike(one.case, other.case, base, new, twins=same)
    ]
    for side in (0, 1):
        for pair in pairs:
            rivals = [other[1 - side] for other in pairs if other[side] is pair[side]]
            if len(rivals) > 1:
                raise _ambiguous(pair[side], rivals, side, said)
    return pairs


def _alike(one: Case, other: Case, base: Side, new: Side, twins: bool) -> bool:
    """Whether two cases are alike in all that neither side names.

    Options belong to a backend: between two backends they are no common ground. Twins of one case are
    compared only where the sides are the same.
    """
    if (one.twin >= other.twin) if twins else (one.twin != other.twin):
        return False
    named = {*base.facts, *new.facts}
    if any(getattr(one.target, key) != getattr(other.target, key) for key in FACTS if key not in named):
        return False
    if (one.backend, one.target.variant) != (other.backend, other.target.variant):
        return True
    options = [case.target.options for case in (one, other)]
    free = {*options[0], *options[1]} - {*base.options, *new.options}
    return all(options[0].get(key) == options[1].get(key) for key in free)


def _incomparable(base: Row, new: Row) -> str:
    """Why two rows must not be compared, or ''. Another precision may be compared if it was asked for."""
    if why := incomparable(new, base):
        return why
    asked = {row.case.target.precision for row in (base, new)}
    if len(asked) == 1 and base.precision_ran != new.precision_ran:
        return f"{base.precision_ran} ran in BASE, {new.precision_ran} in NEW"
    return ""


def _shared(one: Case, other: Case, title: str) -> str:
    """What both have in common: `tiny-cnn b1 · fp32 · cpu · 1 thread`, under the title of their group."""
    parts = [title]
    for key in FACTS:
        values = [getattr(case.target, key) for case in (one, other)]
        if values[0] == values[1]:
            parts += one.words(key)
    options = [case.target.options for case in (one, other)]
    parts += settings({key: value for key, value in options[0].items() if options[1].get(key, ...) == value})
    parts += one.words("twin") if one.twin == other.twin else []
    return " · ".join(parts)


def _differences(pairs: Iterable[Pair]) -> tuple[Difference, ...]:
    """What the sides differ in besides the backend: facts of the target, and the version of one runtime."""
    found: dict[Difference, None] = {}
    for base, new in pairs:
        facts = {key: [str(getattr(row.case.target, key)) for row in (base, new)] for key in FACTS}
        if base.case.backend == new.case.backend:
            facts[base.case.backend] = [base.runtime_version, new.runtime_version]
        for key, (one, other) in facts.items():
            if one != other:
                found[Difference(key, one, other)] = None
    return tuple(found)


def _told_apart(rows: Iterable[Row], *sides: Side) -> list[str]:
    """The cases as they are typed, with the facts that the sides name or that are not all alike."""
    cases = [row.case for row in rows]
    facts = {key for key in FACTS if len({str(getattr(case.target, key)) for case in cases}) > 1}
    facts |= {key for side in sides for key in side.facts}
    return list(dict.fromkeys(written(case, facts) for case in cases))


def _ambiguous(one: Row, rivals: Sequence[Row], side: int, said: tuple[str, str]) -> UsageError:
    """One row of a side (0: BASE) would be compared with several of the other."""
    *typed, alone = _told_apart([*rivals, one])
    command = [alone, typed[0]] if side == 0 else [typed[0], alone]
    return UsageError(
        f"{('NEW', 'BASE')[side]} {said[1 - side]!r} could be any of {', '.join(typed)}",
        hint=f"bakeoff compare {' '.join(command)}",
    )


def _nothing(results: Results, base: Side, new: Side, said: tuple[str, str]) -> UsageError:
    """Why no pair was found, with what there is."""
    run = results.run.id
    there = ", ".join(_told_apart(results.rows, base, new)) or "none"
    hint = f"bakeoff show {run}   (has every case)"
    for side, text in zip((base, new), said, strict=True):
        if not any(side.matches(row.case) for row in results.rows):
            return UsageError(f"run {run} has no case {text!r}; it has {there}", hint=hint)
    if said[0] == said[1]:
        return UsageError(f"BASE and NEW are both {said[0]!r}", hint=f"bakeoff aa {said[0]}")
    return UsageError(
        f"in run {run} no case of {said[0]!r} is like one of {said[1]!r} in all that is not named;"
        f" it has {there}",
        hint=f"name what may differ on both sides. {hint}",
    )
