"""Who is measured together: groups of cases, their baseline, the anchor and the null backend."""

from __future__ import annotations

import random
from collections.abc import Collection, Mapping, Sequence

from bench.interfaces.case import Case

PART_SIZE = 6  # cases that live together, the baseline included; anchor and null backend come beside


def parts(
    cases: Sequence[Case],
    baselines: Mapping[str, str | None],
    wanted: Collection[str],
    order: random.Random,
) -> list[tuple[Case, ...]]:
    """Who lives with whom in a replicate: parts of at most six cases, the group's baseline in each and the
    anchor beside it, groups in random order. The null backend, compared with nothing, rides in one part.
    """
    anchor = [case for case in cases if case.role == "anchor"]
    riding = [case for case in cases if case.role == "overhead" and case.id in wanted]
    groups: dict[str, list[Case]] = {}
    for case in cases:
        if case.role not in ("anchor", "overhead"):
            groups.setdefault(case.group, []).append(case)
    found: list[tuple[Case, ...]] = []
    for key in order.sample(list(groups), len(groups)):
        todo = [case for case in groups[key] if case.id in wanted]
        if not todo:
            continue
        base = [case for case in groups[key] if case.id == baselines.get(key)]
        others = [case for case in todo if case not in base]
        room = max(1, PART_SIZE - len(base))
        shuffled = order.sample(others, len(others))
        chunks = [shuffled[i : i + room] for i in range(0, len(shuffled), room)] or [[]]
        found += [(*base, *chunk, *(riding if i == 0 else ()), *anchor) for i, chunk in enumerate(chunks)]
        riding = []
    if riding or (not found and any(case.id in wanted for case in anchor)):
        found.append((*riding, *anchor))
    return found
