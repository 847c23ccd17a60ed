"""`bakeoff compare BASE NEW`: two sides, a verdict each, and what differs between them besides."""

from __future__ import annotations

import argparse
import sys

from bench.compare.comparison import Compared, exit_code, gated
from bench.compare.judge import results
from bench.compare.results import Results
from bench.compare.select import Runs, both, one_run
from bench.interfaces.errors import UsageError
from bench.machine.label import label
from bench.stats.gate import Rules
from bench.store.records import RunRecord
from bench.store.sqlite import Store
from bench.suite.configuration import Side
from bench.text import strict_json


def command(options: argparse.Namespace) -> int:
    return show(_compared(options), options)


def show(compared: Compared, options: argparse.Namespace) -> int:
    """Prints a comparison as `options` say (`json`, and the gate's flags); the exit code."""
    rules = _rules(options)
    gate = gated(compared, rules) if rules else None
    if options.json:
        from reports.terminal.comparison import document

        strict_json.say(document(compared, gate), sys.stdout)
    else:
        from bench.cli.output import console
        from reports.terminal.comparison import render

        console().print(render(compared, gate))
    if compared.nothing:
        print(f"bakeoff: nothing was judged: {compared.nothing}", file=sys.stderr)
    return exit_code(compared, gate)


def _rules(options: argparse.Namespace) -> Rules | None:
    if options.gate is None:
        return None
    return Rules(options.gate, options.inconclusive, options.gone, options.broken)


def _compared(options: argparse.Namespace) -> Compared:
    base, new = both(options.base, options.new, options.store)
    if options.machines and (isinstance(base, Side) or options.gate is not None):
        raise UsageError(
            "--machines compares runs of two machines, and no gate judges that",
            hint="bakeoff compare --machines BASE.sqlite NEW.sqlite",
        )
    if isinstance(base, Side) and isinstance(new, Side):
        from bench.compare.within_run import compare_within

        with Store.open(options.store) as store:
            found = results(store, one_run(options.run or "latest", options.store))
        said = (options.base, options.new)
        return compare_within(found, base, new, said, f"run {_line(found.run)} of {options.store}")
    if options.run is not None:
        raise UsageError(
            "--run is for two configurations; BASE and NEW are runs already", hint="leave --run out"
        )
    assert isinstance(base, Runs)
    assert isinstance(new, Runs)
    sides = [_read(side) for side in (base, new)]
    lines = [
        [f"{_line(run.run)}{_machine(run.run, options)} of {side.store}" for run in found]
        for side, found in zip((base, new), sides, strict=True)
    ]
    if options.machines:
        from bench.compare.across_machines import compare_machines

        return compare_machines(sides[0], sides[1], (lines[0], lines[1]))
    from bench.compare.across_runs import compare_runs

    return compare_runs(sides[0], sides[1], (lines[0], lines[1]))


def _read(side: Runs) -> list[Results]:
    with Store.open(side.store) as store:
        return [results(store, run) for run in side.ids]


def _line(run: RunRecord) -> str:
    """`20261122-121201 (quick, 2026-11-22 12:12 UTC)`, and that it is not finished."""
    when = run.started[:16].replace("T", " ")
    state = "" if run.state == "finished" else f", {run.state}"
    return f"{run.id} ({run.name}, {when} UTC{state})"


def _machine(run: RunRecord, options: argparse.Namespace) -> str:
    """Where it was measured, where that is what is compared."""
    return f" on {label(run)}" if options.machines else ""
