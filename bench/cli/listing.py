"""`bakeoff list workloads|backends|suites|cases|runs`: what there is to choose from."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from typing import Any

from bench.interfaces.errors import EXIT_OK
from bench.text import strict_json

Rows = list[dict[str, Any]]


def command(options: argparse.Namespace) -> int:
    rows = _LISTS[options.what](options)
    if options.json:
        strict_json.say(rows, sys.stdout, indent=2)
    else:
        _print(rows)
    return EXIT_OK


def _workloads(options: argparse.Namespace) -> Rows:
    from bench.plugins import workload_registry

    found = [workload_registry.get(name) for name in workload_registry.names()]
    return [{"workload": w.name, "family": w.family, "unit": w.unit, "what": w.summary} for w in found]


def _backends(options: argparse.Namespace) -> Rows:
    from bench.environments.probe import probe_all
    from bench.plugins import backend_registry

    names = backend_registry.names("runtime")
    answers = probe_all(names)
    return [_backend(name, answers[name]) for name in names]


def _backend(name: str, answer: Any) -> dict[str, Any]:
    from bench.interfaces.backend import Capabilities
    from bench.plugins import backend_registry

    backend = backend_registry.get(name)
    here = isinstance(answer, Capabilities)
    return {
        "backend": name,
        "version": answer.version if here else "–",
        "devices": ", ".join(answer.devices) if here else f"missing: {answer.hint or answer.message}",
        "presets": ", ".join(backend.presets),
        "what": backend.summary,
    }


def _suites(options: argparse.Namespace) -> Rows:
    from bench.suite.suite import builtin_names, load_suite

    suites = [load_suite(name) for name in builtin_names()]
    return [{"suite": s.name, "profile": s.profile, "what": s.description} for s in suites]


def _cases(options: argparse.Namespace) -> Rows:
    from bench.api import plan_suite
    from bench.cli.sweep import suite_from

    plan, _, _ = plan_suite(suite_from(options))
    planned = [{"case": case.id, "status": "planned", "what": case.label} for case in plan.cases]
    refused = [
        {"case": case.id, "status": status, "what": f"{case.label}: {reason}"}
        for case, status, reason in plan.refused
    ]
    return planned + refused


def _runs(options: argparse.Namespace) -> Rows:
    from bench.machine.label import LABEL
    from bench.store.sqlite import Store

    with Store.open(options.store) as store:
        runs = store.runs()
    rows = [{"run": r.id, "suite": r.name, "state": r.state, "started": r.started} for r in runs]
    if any(run.machine.get(LABEL) for run in runs):  # of `bakeoff merge`
        rows = [{**row, "machine": run.machine.get(LABEL, "")} for row, run in zip(rows, runs, strict=True)]
    return rows


_LISTS: dict[str, Callable[[argparse.Namespace], Rows]] = {
    "workloads": _workloads,
    "backends": _backends,
    "suites": _suites,
    "cases": _cases,
    "runs": _runs,
}


def _print(rows: Sequence[dict[str, Any]]) -> None:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    from bench.cli.output import console

    if not rows:
        print("none")
        return
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for column in rows[0]:
        table.add_column(column, no_wrap=column not in ("what", "devices", "machine"))
    for row in rows:
        table.add_row(*(Text(str(value)) for value in row.values()))
    console().print(table)
