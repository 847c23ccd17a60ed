"""Which case of BASE's runs is which of NEW's: alike in all facts but the version and where weights lie."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

from bench.compare.results import Results, Row
from bench.interfaces.block import Block
from bench.interfaces.case import Case
from bench.interfaces.plain import as_dict

NOT_MATCHED = ("version", "weights", "role", "content")  # another content is matched, and then refused
TELL_APART = ("version", "content")  # where one run holds several that are alike without


@dataclass(frozen=True, slots=True)
class Found:
    """A case in a run."""

    run: Results
    row: Row

    @property
    def blocks(self) -> tuple[Block, ...]:
        return self.run.blocks.get(self.row.case.id, ())


@dataclass(frozen=True, slots=True)
class Match:
    """A case in the runs of BASE and of NEW that hold it."""

    name: str
    base: tuple[Found, ...]
    new: tuple[Found, ...]


def match(base: Sequence[Results], new: Sequence[Results]) -> tuple[Match, ...]:
    """The cases of both sides in their order. A case that was never measured (`pending`) is not there.

    Where a run holds several cases that differ in version or content alone, these tell them apart too.
    """
    crowded = {key for run in (*base, *new) for key, n in _counted(run).items() if n > 1}
    sides = [_gathered(side, crowded) for side in (base, new)]
    names = {key: name for side in sides for key, (name, _) in side.items()}
    return tuple(
        Match(name, *(tuple(side.get(key, (name, []))[1]) for side in sides)) for key, name in names.items()
    )


def other_threads(matches: Sequence[Match]) -> str:
    """Which cases have no counterpart for their number of threads alone, in a sentence; '' for none.

    `threads: auto` is the budget's number of cores, so that another budget makes other cases.
    """
    sides: list[dict[str, set[int]]] = [{}, {}]
    for one in matches:
        if not (one.base and one.new):
            case = (one.base or one.new)[0].row.case
            key = _key(replace(case, target=replace(case.target, threads=0)), NOT_MATCHED)
            sides[not one.base].setdefault(key, set()).add(case.target.threads)
    both = [key for key in sides[0] if key in sides[1]]
    if not both:
        return ""
    base, new = (sorted(set[int]().union(*(side[key] for key in both))) for side in sides)
    said = [", ".join(map(str, numbers)) for numbers in (base, new)]
    what = "1 case is" if len(both) == 1 else f"{len(both)} cases are"
    return (
        f"{what} on both sides with other numbers of threads ({said[0]} in BASE, {said[1]} in NEW) and "
        f"{'is' if len(both) == 1 else 'are'} not compared: bakeoff run --threads {min(*base, *new)} on both"
    )


def _counted(run: Results) -> Counter[str]:
    return Counter(_key(row.case, NOT_MATCHED) for row in run.rows)


def _gathered(runs: Sequence[Results], crowded: Collection[str]) -> dict[str, tuple[str, list[Found]]]:
    """Key → name, and the case in each run."""
    found: dict[str, tuple[str, list[Found]]] = {}
    for run in runs:
        for row in run.rows:
            if row.status != "pending":
                key = _key(row.case, NOT_MATCHED)
                apart = key in crowded
                if apart:
                    key = _key(row.case, [fact for fact in NOT_MATCHED if fact not in TELL_APART])
                found.setdefault(key, (_name(row.case, apart), []))[1].append(Found(run, row))
    return found


def _key(case: Case, without: Collection[str]) -> str:
    facts = {name: value for name, value in as_dict(case).items() if name not in without}
    return json.dumps(facts, sort_keys=True)


def _name(case: Case, with_version: bool) -> str:
    return (case if with_version else replace(case, version=None, weights="")).label
