"""The same case on several machines, and each machine's best: ratios of latencies as they are.

Machines share no rounds and no anchor, so that nothing takes out how fast each was on its day. The interval
is what the replicates within the runs show; as in `bench.compare.welch_runs`, several runs on each side
tell more."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from bench.compare.comparability import among
from bench.compare.comparison import Compared, Comparison
from bench.compare.results import RAW, OnMachines, Results, Row, Standing
from bench.compare.rows import latencies
from bench.compare.welch_runs import Run, enough, judge_runs, units
from bench.interfaces.case import Case
from bench.interfaces.estimate import UNKNOWN
from bench.interfaces.plain import as_dict
from bench.machine.label import label
from bench.stats.verdict import Verdict

WHERE = ("device", "threads")  # of a target: what differs from machine to machine
UNSHARED = ("weights", "role", "version")


@dataclass(frozen=True, slots=True)
class Place:
    """A case where it was measured: the machine, and the row of the fastest ranked way there."""

    machine: str
    run: Results
    row: Row

    @property
    def logs(self) -> Run:
        """Log latency of each replicate."""
        return [float(value) for value in np.log(latencies(self.run.blocks.get(self.row.case.id, ())))]


def beside(shown: Results, others: Sequence[Results]) -> Results:
    """`shown` with the runs of other machines put beside it: its `machines` and `others`."""
    found = across_machines(shown, others) if others else ()
    return replace(shown, machines=found, others=tuple(one.run for one in others))


def across_machines(shown: Results, others: Sequence[Results]) -> tuple[OnMachines, ...]:
    """Each group of a run against the same on other machines: the best of each first, then case by case.

    A group that no other machine has measured is left out. Within a machine a case is its fastest ranked row,
    on whatever device and with however many threads: that is what the machine has to offer.
    """
    runs = [shown, *others]
    found: list[tuple[str, str, list[Place]]] = []
    for group in shown.groups:
        title = group.title
        best = [Place(label(run.run), run, winner) for run in runs if (winner := _winner(run, group.key))]
        if len(best) < 2 or best[0].run is not shown:
            continue
        found.append((title, "the best of each", best))
        sides = [_fastest(run, group.key) for run in runs]
        for key, place in sides[0].items():
            same = [place, *(side[key] for side in sides[1:] if key in side)]
            if len(same) > 1:
                found.append((title, case_name(place.row.case), same))
    return tuple(_judged(found, shown.run.relevant))


def _winner(run: Results, key: str) -> Row | None:
    return next((group.winner for group in run.groups if group.key == key), None)


def _fastest(run: Results, key: str) -> dict[str, Place]:
    """Case without its place → where it is fastest, of a group."""
    rows = [row for group in run.groups if group.key == key for row in group.rows]
    best: dict[str, Place] = {}
    for row in rows:
        if row.ranked and row.latency.value:
            kept = best.get(shared(row.case))
            if kept is None or row.latency.value < (kept.row.latency.value or np.inf):
                best[shared(row.case)] = Place(label(run.run), run, row)
    return best


def shared(case: Case) -> str:
    """The facts of a case that another machine's can have too."""
    facts = {name: value for name, value in as_dict(case).items() if name not in UNSHARED}
    facts["target"] = {name: value for name, value in facts["target"].items() if name not in WHERE}
    return json.dumps(facts, sort_keys=True)


def case_name(case: Case) -> str:
    """`torch · fp32 · expert`: without the workload and the place."""
    return " · ".join(case.words("backend", "precision", "preset", "options"))


def _judged(found: Iterable[tuple[str, str, list[Place]]], relevant: float) -> Iterable[OnMachines]:
    """All comparisons with the first machine together."""
    listed = list(found)
    sides = {
        f"{i} {j}": ([places[0].logs], [place.logs])
        for i, (_, _, places) in enumerate(listed)
        for j, place in enumerate(places[1:], start=1)
    }
    verdicts = judge_runs(sides, relevant)
    for i, (title, name, places) in enumerate(listed):
        rest = (_standing(place, verdicts[f"{i} {j}"]) for j, place in enumerate(places[1:], start=1))
        yield OnMachines(title, name, (_standing(places[0]), *rest))


def _standing(place: Place, verdict: Verdict | None = None) -> Standing:
    return Standing(place.machine, place.row, verdict)


def compare_machines(
    base: Sequence[Results], new: Sequence[Results], said: tuple[Sequence[str], Sequence[str]]
) -> Compared:
    """`bakeoff compare --machines`: each case that both sides hold, wherever it ran there.

    Args:
        base, new: the runs of either machine.
        said: a line for each run of either side, for people.
    """
    relevant = max(run.run.relevant for run in (*base, *new))
    sides = [_of_side(base), _of_side(new)]
    both = [key for key in sides[0] if key in sides[1]]
    runs = {key: ([p.logs for p in sides[0][key]], [p.logs for p in sides[1][key]]) for key in both}
    # What the machines differ in is the question; runs that are said to be of one machine must be alike.
    uneven = [
        f"{name}'s own runs differ: {told}"
        for name, side in (("BASE", base), ("NEW", new))
        if (told := among([one.run for one in side]))
    ]
    weakened = "; ".join(uneven)
    verdicts = judge_runs(runs, relevant, dict.fromkeys(both, weakened))
    made = [_comparison(sides[0][key], sides[1][key], verdicts.get(key), weakened) for key in both]
    left = [[places[0] for key, places in side.items() if key not in both] for side in sides]
    return Compared(
        "machines",
        tuple(said[0]),
        tuple(said[1]),
        relevant,
        tuple(made),
        notes=(RAW, *(f"{text}." for text in uneven), *_of_other_content(*left)),
        only_base=tuple(map(_named, left[0])),
        only_new=tuple(map(_named, left[1])),
    )


def _of_other_content(base: Sequence[Place], new: Sequence[Place]) -> Iterable[str]:
    """Which workloads have one name on both sides and are not the same, in a sentence."""
    sides = [
        {shared(replace(p.row.case, content="")): p.row.case.workload for p in side} for side in (base, new)
    ]
    names = dict.fromkeys(name for key, name in sides[0].items() if key in sides[1])
    if names:
        yield (
            f"Not the same model on both sides, and not compared: {', '.join(names)} "
            "(other weights, or another version of the definition)."
        )


def _of_side(runs: Sequence[Results]) -> dict[str, list[Place]]:
    """Case without its place → where each run of a side has it fastest."""
    found: dict[str, list[Place]] = {}
    for run in runs:
        for group in run.groups:
            for key, place in _fastest(run, group.key).items():
                found.setdefault(key, []).append(place)
    return found


def _comparison(
    base: Sequence[Place], new: Sequence[Place], verdict: Verdict | None, weakened: str
) -> Comparison:
    runs = [one.logs for one in base], [one.logs for one in new]
    places = " → ".join(dict.fromkeys((_where(base[0]), _where(new[0]))))
    return Comparison(
        f"{_named(base[0])} · {places}",
        verdict or Verdict("not comparable", UNKNOWN, reason="nothing was measured"),
        _mean(base),
        _mean(new),
        units=units(runs),
        judged=enough(runs) and not weakened,
    )


def _named(place: Place) -> str:
    case = place.row.case
    return f"{case.title} · {case_name(case)}"


def _where(place: Place) -> str:
    return place.row.case.target.device


def _mean(side: Sequence[Place]) -> float | None:
    values = [place.row.latency.value for place in side if place.row.latency.value]
    return float(np.exp(np.mean(np.log(values)))) if values else None
