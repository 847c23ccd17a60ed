"""Names that tell cases and groups apart within a run, and the facts that do."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import fields
from functools import partial
from typing import Any

from bench.compare.results import Row
from bench.interfaces.axes import more
from bench.interfaces.backend import Target
from bench.interfaces.case import Case, settings
from bench.interfaces.plain import as_dict
from bench.text import strict_json

FIELDS: tuple[str, ...] = (
    *(field.name for field in fields(Case) if field.name not in ("target", "axes")),
    *(field.name for field in fields(Target)),
    *(axis.flag for axis in more()),
)
"""Every field of a case and of its target, by the definitions, and the axes that have none."""


def axes(case: Case) -> dict[str, Any]:
    """The facts of `FIELDS` as a table or a file holds them: all cases of a run differ in one of them.

    Options are one JSON text; of own weights a name is given that says nothing of where they lie. `version`
    is the one asked for, '' for whichever is installed.
    """
    facts = as_dict(case)
    facts |= facts.pop("target")
    facts |= {axis.flag: case.axes.get(axis.flag) for axis in more()}
    options = facts["options"]
    facts["options"] = strict_json.dumps(dict(sorted(options.items()))) if options else ""
    facts["weights"] = case.weights_name
    facts["version"] = case.version or ""
    return {name: facts[name] for name in FIELDS}


def labels(cases: Iterable[Case]) -> dict[str, str]:
    """Id → label; no two are the same."""
    by_id = {case.id: case for case in cases}
    return _told_apart({key: case.label for key, case in by_id.items()}, by_id)


def titles(groups: Mapping[str, Case]) -> dict[str, str]:
    """Group → its title, from any of its cases; no two are the same."""
    return _told_apart({key: case.title for key, case in groups.items()}, groups)


def _told_apart(texts: dict[str, str], cases: Mapping[str, Case]) -> dict[str, str]:
    """Those that read alike say what was computed, and then what they are by their ids."""
    for further in (lambda case: f"content {case.content[:8]}", lambda case: case.id):
        counted = Counter(texts.values())
        texts = {
            k: text if counted[text] == 1 else f"{text} · {further(cases[k])}" for k, text in texts.items()
        }
    return texts


def _more(flag: str, row: Row) -> object:
    return row.case.axes.get(flag)


def name(row: Row, rows: Sequence[Row]) -> str:
    """The backend, with as many of the other facts as it takes to tell the rows apart."""
    target = row.case.target
    facts: dict[str, Callable[[Row], object]] = {
        "precision": lambda r: r.case.target.precision,
        "device": lambda r: r.case.target.device,
        "threads": lambda r: r.case.target.threads,
        "preset": lambda r: r.case.target.preset,
        "options": lambda r: tuple(sorted(settings(r.case.target.options))),
        "content": lambda r: r.case.content,
        "turns": lambda r: r.case.rotate,
        "scenario": lambda r: r.case.scenario,
        **{axis.flag: partial(_more, axis.flag) for axis in more()},
    }
    varied = {fact for fact, of in facts.items() if len({of(r) for r in rows}) > 1}
    words = [row.case.backend_spec]
    for fact in ("precision", "device", "preset"):
        if fact in varied:
            words.append(str(getattr(target, fact)))
    if "threads" in varied:
        words += row.case.words("threads")
    if "options" in varied:
        words.extend(settings(target.options))
    if "scenario" in varied:
        words.append(row.case.scenario)
    if "turns" in varied:
        words.append(f"{row.case.rotate or 'no'} inputs in turns")
    words.extend(f"{axis.flag} {_more(axis.flag, row)}" for axis in more() if axis.flag in varied)
    if "content" in varied:
        words.append(row.case.weights_name or f"content {row.case.content[:8]}")
    return " ".join([*words, *row.case.words("twin")])
