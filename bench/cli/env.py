"""`bakeoff env create|list|remove`: environments in which runtimes live that cannot live with others."""

from __future__ import annotations

import argparse
import sys
from typing import Any

from bench.environments.install import create, remove, why_not
from bench.environments.locate import Environment, environments, root, versions_of
from bench.interfaces.errors import EXIT_OK
from bench.text import strict_json
from bench.text.numbers import file_size


def command(options: argparse.Namespace) -> int:
    return {"create": _create, "list": _list, "remove": _remove}[options.action](options)


def _create(options: argparse.Namespace) -> int:
    for spec in options.names:
        made = create(spec, extra=options.extra or (), again=options.again, progress=_say)
        print(f"{spec}: ready, {_runtime(made)} on Python {made.facts['python']}")
    return EXIT_OK


def _say(line: str) -> None:
    print(line, flush=True)


def _runtime(made: Environment) -> str:
    """The first of its requirements as installed."""
    from bench.environments.requirements import distribution

    first = distribution(made.facts["requirements"][0])
    have = versions_of([first], made.python)
    return f"{first} {have[first]}"


def _list(options: argparse.Namespace) -> int:
    found = [_document(one) for one in environments()]
    if options.json:
        strict_json.say({"folder": str(root()), "environments": found}, sys.stdout, indent=2)
        return EXIT_OK
    if not found:
        print(f"none in {root()}\n  bakeoff env create NAME, or bakeoff setup NAME")
        return EXIT_OK
    from rich import box
    from rich.table import Table

    from bench.cli.output import console

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for column in ("environment", "holds", "python", "size", "made", "state"):
        table.add_column(column, no_wrap=column != "state", justify="right" if column == "size" else "left")
    for one in found:
        size = file_size(one["bytes"])
        table.add_row(
            one["environment"], one["holds"], one["python"], size, one["made"][:10], one["problem"] or "whole"
        )
    console().print(table)
    print(f"  {file_size(sum(one['bytes'] for one in found))} in {root()}")
    return EXIT_OK


def _document(one: Environment) -> dict[str, Any]:
    names = ("python", "installer", "made", "seconds", "bytes")
    return {
        "environment": one.spec,
        "holds": _runtime(one),
        "problem": why_not(one),
        **{name: one.facts[name] for name in names},
        "requirements": one.facts["requirements"],
    }


def _remove(options: argparse.Namespace) -> int:
    for spec in options.names:
        print(f"{spec}: removed, {file_size(remove(spec))} freed", file=sys.stdout)
    return EXIT_OK
