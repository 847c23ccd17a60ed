"""Runs compared case by case through the anchor: from what the stores hold to comparisons with verdicts."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from bench.compare.commands import ab_command, repeat_command
from bench.compare.comparability import sentence, unlike
from bench.compare.comparison import Compared, Comparison, loss
from bench.compare.environment_diff import Difference, differences
from bench.compare.match import Found, Match, match, other_threads
from bench.compare.results import Results, Row
from bench.compare.welch_runs import Sides, enough, judge_runs, units
from bench.interfaces.estimate import UNKNOWN
from bench.stats.pairs import log_ratios
from bench.stats.verdict import Verdict

HOW_TO_ANCHOR = "`bakeoff run` measures one, unless the suite says `anchor: false`"
_BEYOND = re.compile(r"[^\w.+!]", re.ASCII)  # what no version holds
SOFTWARE_ALONE = "Ratios to the anchor compare the software's share only, not the hardware"


def compare_runs(
    base: Sequence[Results],
    new: Sequence[Results],
    said: tuple[Sequence[str], Sequence[str]] = ((), ()),
) -> Compared:
    """Compares every case that both sides hold.

    Args:
        base, new: the runs of either side, at least one each.
        said: a line for each run of either side, for people.
    """
    relevant = max(run.run.relevant for run in (*base, *new))
    matches = match(base, new)
    both = {str(i): one for i, one in enumerate(matches) if one.base and one.new}
    refused = {key: why for key, one in both.items() if (why := _incomparable(one))}
    sides = {key: _sides(one) for key, one in both.items() if key not in refused}
    records = [run.run for run in base], [run.run for run in new]
    on_gpu = {key: one.new[0].row.case.target.device_kind != "cpu" for key, one in both.items()}
    found = {kind: unlike(*records, on_gpu=kind) for kind in {False, *on_gpu.values()}}
    weakened = {key: _weakened(found[kind]) or _anchors(base, new) for key, kind in on_gpu.items()}
    verdicts = judge_runs(sides, relevant, weakened)
    made = []
    for key, one in both.items():
        verdict = verdicts.get(key) or Verdict("not comparable", UNKNOWN, reason=refused[key])
        made.append(_comparison(one, verdict, sides.get(key), weakened[key]))
    environments = differences(*records)
    times = [_mean([run.anchor for run in side if run.anchor]) for side in (base, new)]
    return Compared(
        "across",
        tuple(said[0]),
        tuple(said[1]),
        relevant,
        tuple(made),
        differences=environments + _of_cases(both.values(), environments),
        notes=tuple(filter(None, (_note(found.get(True) or found[False]), other_threads(matches)))),
        anchor=(times[0], times[1]) if times[0] and times[1] else None,
        only_base=tuple(one.name for one in matches if not one.new),
        only_new=tuple(one.name for one in matches if not one.base),
        gone=tuple(
            one.name for one in matches if not one.new and all(found.row.status == "ok" for found in one.base)
        ),
    )


def _note(found: Sequence[Difference]) -> str:
    """Of what differs, for all comparisons."""
    return f"Machine or budget differ: {sentence(found)}. {SOFTWARE_ALONE}." if found else ""


def _weakened(found: Sequence[Difference]) -> str:
    """Why nothing may be proven, or ''."""
    return f"machine or budget differ: {sentence(found)}" if found else ""


def _comparison(one: Match, verdict: Verdict, sides: Sides | None, weakened: str) -> Comparison:
    base, new = (_mean([found.row for found in side]) for side in (one.base, one.new))
    return Comparison(
        one.name,
        verdict,
        base,
        new,
        raw=new / base if base and new else None,
        units=units(sides) if sides else ((), ()),
        judged=sides is not None and enough(sides) and not weakened,
        settle="" if verdict.proven else _settle(one, weakened),
        loss=loss([found.row for found in one.base], [found.row for found in one.new]),
    )


def _sides(one: Match) -> Sides:
    return [_logs(found) for found in one.base], [_logs(found) for found in one.new]


def _logs(found: Found) -> list[float]:
    """Log ratio to the anchor of each replicate; [] where the run has none to go by."""
    anchor = found.run.anchor
    return log_ratios(found.blocks, found.run.blocks.get(anchor.case.id, ())) if anchor else []


def _incomparable(one: Match) -> str:
    """Why a case must not be compared, or ''."""
    for found in (*one.base, *one.new):
        where = f"run {found.run.run.id}"
        if found.row.unranked_because:
            return f"{where}: {found.row.unranked_because}"
        if found.run.anchor is None or found.run.anchor.status != "ok":
            why = "it has no anchor" if found.run.anchor is None else "its anchor failed"
            return f"{where}: {why}; {HOW_TO_ANCHOR}"
        if not _logs(found):
            return f"{where}: it never took turns with the anchor"
    if len({found.row.case.content for found in (*one.base, *one.new)}) > 1:
        return "the workload itself differs: another definition, or other weights"
    ran = [sorted({found.row.precision_ran for found in side}) for side in (one.base, one.new)]
    if ran[0] != ran[1]:
        return f"{', '.join(ran[0])} ran in BASE, {', '.join(ran[1])} in NEW"
    return ""


def _anchors(base: Sequence[Results], new: Sequence[Results]) -> str:
    """That the anchor itself is not the same, or ''."""
    found = {run.anchor.runtime_version for run in (*base, *new) if run.anchor is not None}
    return f"the anchor itself changed (NumPy {' and '.join(sorted(found))})" if len(found) > 1 else ""


def _mean(rows: Sequence[Row]) -> float | None:
    """Geometric mean of the latencies, seconds."""
    values = [row.latency.value for row in rows if row.latency.value]
    return float(np.exp(np.mean(np.log(values)))) if values else None


def _versions(side: Sequence[Found]) -> frozenset[str]:
    """What the workers themselves said."""
    return frozenset(found.row.runtime_version for found in side)


def _installable(side: Sequence[Found]) -> frozenset[str]:
    """The versions as one types them after `==`: a runtime's own word for itself may say more
    (`2026.4.1-22982-releases/2026/4`)."""
    return frozenset(_BEYOND.split(version, maxsplit=1)[0] for version in _versions(side))


def _of_cases(matches: Iterable[Match], known: Sequence[Difference]) -> tuple[Difference, ...]:
    """What the cases themselves say beyond the runs' records: versions in their blocks, model files."""
    said = {(one.what, one.base, one.new) for one in known}
    found: dict[Difference, None] = {}
    for one in matches:
        case, sides = one.new[0].row.case, (one.base, one.new)
        versions = [_installable(side) for side in sides]
        if versions[0] == versions[1]:
            versions = [_versions(side) for side in sides]
        facts: Mapping[str, list[frozenset[str]]] = {
            case.backend: versions,
            f"model file of {case.workload} {case.shape} for {case.backend}": [
                frozenset(map(_model, side)) for side in sides
            ],
        }
        for what, (base, new) in facts.items():
            made = Difference(what, ", ".join(sorted(base)), ", ".join(sorted(new)))
            if base != new and (made.what, made.base, made.new) not in said:
                found[made] = None
    return tuple(found)


def _model(found: Found) -> str:
    model = found.row.record.model
    return f"{model.get('format', '')} {str(model.get('sha256', ''))[:8]}".strip() or "none"


def _settle(one: Match, weakened: str) -> str:
    """The command that settles it: two versions in turns, else the same run once more."""
    base, new = _installable(one.base), _installable(one.new)
    cases = one.base[-1].row.case, one.new[-1].row.case
    if base != new and len(base) == len(new) == 1 and cases[0].content == cases[1].content:
        return ab_command(*cases, *base, *new)
    return "" if weakened else repeat_command(one.new[-1].run.run)
