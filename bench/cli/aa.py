"""`bakeoff aa [A]`: one configuration against itself, to learn what this machine does to comparisons."""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict

from bench.aa import Machine, Share, study
from bench.ab import DEFAULT_BUDGET_S, TWIN, aa_suite
from bench.cli.turns import flags_of, measured
from bench.course import costs
from bench.errors import EXIT_OK, BakeoffError
from bench.numbers import difference, duration, percent
from bench.pairs import paired_rounds
from bench.profiles import PROFILES
from bench.sides import parse_side
from bench.suite import load_suite


def command(options: argparse.Namespace) -> int:
    base = load_suite("quick")
    suite = aa_suite(base, parse_side(options.side), flags_of(options, base))
    done = measured(suite, options)
    found = done.results()
    row, twin = found.groups[0].rows
    if row.case.twin == TWIN:
        row, twin = twin, row
    blocks = [*found.blocks[row.case.id], *found.blocks[twin.case.id]]
    paired = paired_rounds(found.blocks[twin.case.id], found.blocks[row.case.id])
    spent = costs(blocks)
    budget_s = suite.budget or DEFAULT_BUDGET_S
    machine = study(paired, spent, PROFILES["ab"], found.run.relevant, budget_s) if spent else None
    if machine is None:
        raise BakeoffError(
            f"{len(paired)} generations are too few to judge a machine by: three at least",
            hint="bakeoff aa --budget 10m",
        )
    if options.json:
        print(json.dumps({"case": row.case.label, **asdict(machine)}))
    else:
        print("\n".join(lines(row.case.label, machine, found.run.relevant)))
    return EXIT_OK


def lines(label: str, machine: Machine, relevant: float) -> list[str]:
    """What was found, for people."""
    mean, low, high = machine.bias
    each = machine.costs.of(PROFILES["ab"].rounds)
    found = [
        f"{label}, against itself",
        "",
        f"  recorded         {machine.generations} generations of {machine.rounds:.0f} rounds",
        f"  noise            {percent(machine.noise.within)} a round within a generation,"
        f" {percent(machine.noise.between)} between generations beyond that",
        f"  bias             {mean * 100:+.2f} % [{low * 100:+.2f}, {high * 100:+.2f}], in truth 0",
        f"  a generation     {duration(each)} with {PROFILES['ab'].rounds} rounds,"
        f" {duration(machine.costs.generation_s)} of it to start, load, verify and warm up",
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
