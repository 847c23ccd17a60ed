"""`bakeoff aa [A]`: one configuration against itself, to learn what this machine does to comparisons."""

from __future__ import annotations

import argparse
import sys
from dataclasses import asdict

from bench.cli.turns import flags, measured, require_measured
from bench.compare.results import Results, Row
from bench.compare.self_test import Machine, Share, study
from bench.interfaces.errors import EXIT_OK, BakeoffError
from bench.stats.pairs import paired_rounds
from bench.stats.stopping import costs
from bench.suite.configuration import parse_side
from bench.suite.pair import DEFAULT_BUDGET_S, aa_suite
from bench.suite.profiles import PROFILES
from bench.suite.suite import load_suite
from bench.text import strict_json
from bench.text.numbers import difference, duration, percent


def command(options: argparse.Namespace) -> int:
    base = load_suite("quick")
    suite = aa_suite(base, parse_side(options.side or base.baseline_spec), flags(options, base))
    done, found = measured(suite, options)
    require_measured(found.rows, done)
    budget_s = suite.budget or DEFAULT_BUDGET_S
    for group in found.groups:
        row, twin = sorted(group.rows, key=lambda one: not one.baseline)
        machine = _machine(found, row, twin, budget_s)
        if options.json:
            strict_json.say({"case": row.label, **asdict(machine), "notes": found.run.notes}, sys.stdout)
        else:
            notes = [f"Note: {note.removesuffix('.')}." for note in found.run.notes]
            print("\n".join([*lines(row.label, machine, found.run.relevant), *notes]))
    return EXIT_OK


def _machine(found: Results, row: Row, twin: Row, budget_s: float) -> Machine:
    """Raises BakeoffError where there is too little to judge by."""
    own, other = found.blocks[row.case.id], found.blocks[twin.case.id]
    paired, spent = paired_rounds(other, own), costs([*own, *other])
    machine = study(paired, spent, PROFILES["ab"], found.run.relevant, budget_s) if spent else None
    if machine is None:
        raise BakeoffError(
            f"{len(paired)} replicates are too few to judge a machine by: three at least",
            hint="bakeoff aa --budget 10m",
        )
    return machine


def lines(label: str, machine: Machine, relevant: float) -> list[str]:
    """What was found, for people."""
    mean, low, high = machine.bias
    each = machine.costs.of(PROFILES["ab"].rounds)
    found = [
        f"{label}, against itself",
        "",
        f"  recorded         {machine.replicates} replicates of {machine.rounds:.0f} rounds",
        f"  noise            {percent(machine.noise.within)} a round within a replicate,"
        f" {percent(machine.noise.between)} between replicates beyond that",
        f"  bias             {mean * 100:+.2f} % [{low * 100:+.2f}, {high * 100:+.2f}], in truth 0",
        f"  a replicate     {duration(each)} with {PROFILES['ab'].rounds} rounds,"
        f" {duration(machine.costs.replicate_s)} of it to start, load, verify and warm up",
        "",
        f"Resampled from these rounds, as `bakeoff ab --budget {machine.budget_s:.0f}s` would measure them:",
        "",
        f"  false verdicts   {_share(machine.false)} say faster or slower where nothing differs",
        f"  equivalent       {_share(machine.equivalent)} are proven to be within {difference(relevant)}",
    ]
    for power in machine.power:
        when = (
            f"half of them within {duration(power.seconds)}"
            if power.seconds is not None
            else (f"about {duration(power.needed_s)} would resolve it")
        )
        found.append(f"  {difference(power.slowdown)} slower       {_share(power.found)} are found, {when}")
    return found


def _share(share: Share) -> str:
    low, high = share.interval
    return f"{share.count} of {share.of} [{low * 100:.1f} %, {high * 100:.1f} %]"
