"""The commands and their flags, a function each. argparse alone, so that `--help` answers at once."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from bench.interfaces.axes import AXES, SETTINGS, Axis

Flags = Callable[[argparse.ArgumentParser, argparse.ArgumentParser], None]


class Command(NamedTuple):
    """One command.

    Attributes:
        text: what `bakeoff --help` says of it.
        flags: adds its flags to its parser; the second argument is the parent with `--debug`, for actions.
        module: of `bench.cli`, that carries it out; the command's own name without.
        stored: whether it has `--store`.
        actions: whether it has actions, which have `--debug` themselves.
    """

    text: str
    flags: Flags
    module: str = ""
    stored: bool = True
    actions: bool = False


class Comma(argparse.Action):
    """`--batch 1,8 --batch 32` → ['1', '8', '32']."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: object,
        option_string: str | None = None,
    ) -> None:
        items = [item.strip() for item in str(values).split(",") if item.strip()]
        if not items:
            parser.error(f"argument {option_string}: a value is missing")
        setattr(namespace, self.dest, [*(getattr(namespace, self.dest) or []), *items])


def _json(parser: argparse._ActionsContainer, text: str = "one JSON document") -> None:
    parser.add_argument("--json", action="store_true", help=text)


def _no_wait(parser: argparse._ActionsContainer) -> None:
    parser.add_argument("--no-wait", action="store_true", help="fail if another measurement is running here")


def _list_flags(parser: argparse.ArgumentParser, _: argparse.ArgumentParser) -> None:
    parser.add_argument("what", choices=("workloads", "backends", "suites", "cases", "runs"))
    parser.add_argument("suite", nargs="?", help="for cases: suite (quick)")
    _sweep_flags(parser)
    _json(parser)


def _doctor_flags(parser: argparse.ArgumentParser, _: argparse.ArgumentParser) -> None:
    _json(parser)


def _show_flags(parser: argparse.ArgumentParser, _: argparse.ArgumentParser) -> None:
    _which_run(parser)
    _json(parser)


def _report_flags(parser: argparse.ArgumentParser, _: argparse.ArgumentParser) -> None:
    _which_run(parser)
    place, text = Path("results/report.html"), "%(default)s; - for standard output"
    parser.add_argument("-o", "--output", type=Path, default=place, metavar="FILE", help=text)


def _export_flags(parser: argparse.ArgumentParser, _: argparse.ArgumentParser) -> None:
    _which_run(parser)
    formats = "csv, json, markdown, parquet (%(default)s)"
    parser.add_argument("--format", default="csv", metavar="FORMAT", help=formats)
    parser.add_argument("--samples", action="store_true", help="every sample instead of a row a case")
    text = "default: RUN.FORMAT beside the store; - for standard output"
    parser.add_argument("-o", "--output", type=Path, metavar="FILE", help=text)


def _ab_flags(parser: argparse.ArgumentParser, _: argparse.ArgumentParser) -> None:
    for side in ("a", "b"):
        parser.add_argument(side, metavar=side.upper(), help="NAME[:VARIANT][==VERSION][@KEY=VALUE,…]")
    _shared_flags(parser, "what both are measured on (the quick suite's first where nothing is said)")
    text = "the least difference that matters"
    parser.add_argument("--relevant", type=_percent, metavar="PERCENT", help=text)
    _gate_flags(parser)


def _aa_flags(parser: argparse.ArgumentParser, _: argparse.ArgumentParser) -> None:
    parser.add_argument("side", nargs="?", metavar="A", help="as for ab (the quick suite's baseline)")
    _shared_flags(parser, "what it is measured on")


def _merge_flags(parser: argparse.ArgumentParser, _: argparse.ArgumentParser) -> None:
    text = "a store, and what its machine is called (its CPU and GPUs)"
    parser.add_argument("sources", nargs="+", metavar="[LABEL=]STORE", help=text)
    place, text = Path("results/merged.sqlite"), "%(default)s; made, or added to"
    parser.add_argument("--into", type=Path, default=place, metavar="PATH", help=text)
    _json(parser)


def _which_run(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "run", nargs="?", default="latest", metavar="RUN", help="its id or the beginning of it"
    )


def _shared_flags(parser: argparse.ArgumentParser, title: str) -> None:
    group = parser.add_argument_group(title)
    for axis in (axis for axis in AXES if axis.shared):
        _axis(group, axis)
    parser.add_argument("--budget", metavar="TIME", help="for measuring: 2m, 10m (5m)")
    _json(parser)
    _no_wait(parser)


def _compare_flags(parser: argparse.ArgumentParser, _: argparse.ArgumentParser) -> None:
    side = "STORE.sqlite, STORE::RUN,…, RUN, latest~1, or NAME[:VARIANT][==VERSION][@KEY=VALUE,…]"
    parser.add_argument("base", metavar="BASE", help=side)
    parser.add_argument("new", metavar="NEW", help="the same kind; under 1× it is faster than BASE")
    parser.add_argument(
        "--run", metavar="RUN", help="of two configurations: the run that holds both (the latest finished)"
    )
    parser.add_argument(
        "--machines", action="store_true", help="compare the machines: latencies as they are, on any device"
    )
    _gate_flags(parser)
    _json(parser)


def _gate_flags(parser: argparse.ArgumentParser) -> None:
    gate = parser.add_argument_group("the gate")
    gate.add_argument(
        "--gate",
        type=_percent,
        metavar="PERCENT",
        help="5%%: exit code 1 if a slow-down of that is proven, or NEW lost a case",
    )
    for flag, default, text in (
        ("--inconclusive", "pass", "what `cannot tell` does to the gate (%(default)s)"),
        ("--gone", "fail", "what a case does that BASE measured and NEW did not (%(default)s)"),
        ("--broken", "fail", "what a case does that is ok in BASE and failed or wrong in NEW (%(default)s)"),
    ):
        gate.add_argument(flag, choices=("pass", "fail"), default=default, help=text)


def _cache_flags(parser: argparse.ArgumentParser, debug: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(
        title="actions", metavar="ACTION", dest="action", required=True, parser_class=type(parser)
    )
    listing = actions.add_parser(
        "list", parents=[debug], help="what is kept: size, age, and whether it would still be used"
    )
    listing.add_argument("--json", action="store_true", help="one JSON document, an entry an artefact")
    prune = actions.add_parser(
        "prune",
        parents=[debug],
        help="delete what would not be used again, or what is named",
        description="Deletes what all the flags together mean; everything can be made again. Without a flag:"
        " what is stale.",
    )
    prune.add_argument("--stale", action="store_true", help="what bakeoff or its packages have outdated")
    prune.add_argument("--unused", type=_age, metavar="TIME", help="what no run has used for 30d, 12h, 6w")
    prune.add_argument("--workload", action=Comma, metavar="LIST", help="what was made of these workloads")
    prune.add_argument("--all", action="store_true", help="everything")
    prune.add_argument("--dry-run", action="store_true", help="say what would go, and delete nothing")
    _json(prune)


def _setup_flags(parser: argparse.ArgumentParser, _: argparse.ArgumentParser) -> None:
    parser.add_argument("names", nargs="*", metavar="BACKEND", help="NAME[==VERSION] (bakeoff list backends)")
    parser.add_argument("--all-cpu", action="store_true", help="every runtime that has a CPU")
    parser.add_argument("--suite", metavar="SUITE", help="the backends of a suite")
    parser.add_argument("--dry-run", action="store_true", help="say what it takes, and install nothing")


def _env_flags(parser: argparse.ArgumentParser, debug: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(
        title="actions", metavar="ACTION", dest="action", required=True, parser_class=type(parser)
    )
    create = actions.add_parser(
        "create", parents=[debug], help="make one, unless it is there, whole and as it was made"
    )
    named = "NAME[==VERSION]"
    create.add_argument("names", nargs="+", metavar=named, help="a backend, or tools that it names")
    create.add_argument("--with", dest="extra", action=Comma, metavar="LIST", help="requirements besides")
    create.add_argument("--again", action="store_true", help="make it anew")
    listing = actions.add_parser("list", parents=[debug], help="what is there, and what is amiss")
    _json(listing)
    remove = actions.add_parser("remove", parents=[debug], help="delete")
    remove.add_argument("names", nargs="+", metavar=named)


def _percent(text: str) -> float:
    from bench.text.units import percent

    try:
        return percent(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _age(text: str) -> float:
    from bench.text.units import age

    try:
        return age(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _sweep_flags(parser: argparse.ArgumentParser) -> None:
    """Every axis of a sweep. A flag replaces the suite's list; values are separated by commas."""
    sweep = parser.add_argument_group("the sweep (lists, separated by commas; each replaces the suite's)")
    for axis in AXES:
        _axis(sweep, axis)
    for name, (metavar, text) in SETTINGS.items():
        sweep.add_argument(f"--{name}", metavar=metavar, help=text)


def _axis(group: argparse._ArgumentGroup, axis: Axis) -> None:
    flag = f"--{axis.flag}"
    kinds: dict[bool, Any] = {True: Comma, False: "store"}
    how = "append" if axis.flag == "option" else kinds[axis.many]
    group.add_argument(flag, action=how, metavar=axis.metavar, help=axis.text)


def _run_flags(parser: argparse.ArgumentParser, _: argparse.ArgumentParser) -> None:
    parser.add_argument("suite", nargs="?", metavar="SUITE", help="name or file (quick)")
    _sweep_flags(parser)
    going_on = parser.add_argument_group("going on with a run")
    going_on.add_argument(
        "--resume",
        nargs="?",
        const="latest",
        metavar="RUN",
        help="go on with a run (the latest if none is named)",
    )
    going_on.add_argument(
        "--rerun",
        choices=("never", "onfail", "always"),
        default="onfail",
        help="of a resumed run, measure again: nothing, what failed (default), everything",
    )
    going_on.add_argument(
        "--share",
        metavar="K/N",
        help="measure this share of the suite's groups alone (1/3; then --resume --share 2/3 …)",
    )
    output = parser.add_argument_group("output")
    output.add_argument("--report", type=Path, metavar="FILE", help="write the HTML report when done")
    _json(output, "progress as one JSON object a line")
    _no_wait(output)


COMMANDS = {
    "run": Command("plan, prepare, measure, store", _run_flags),
    "list": Command("what there is to choose from", _list_flags, module="listing"),
    "doctor": Command("what each runtime can do here, and whether the machine is fit", _doctor_flags),
    "show": Command("a run as a table", _show_flags),
    "report": Command("a run as one offline HTML file", _report_flags),
    "export": Command("a run as csv, json, markdown or parquet", _export_flags),
    "ab": Command("two configurations in turns until a verdict or the budget", _ab_flags),
    "aa": Command("one configuration against itself: noise, false verdicts and power here", _aa_flags),
    "compare": Command("two runs, or two configurations of one run, with a verdict each", _compare_flags),
    "merge": Command("bring the stores of several machines into one", _merge_flags, stored=False),
    "cache": Command(
        "what is kept of model files, and making room", _cache_flags, stored=False, actions=True
    ),
    "setup": Command("install what backends need", _setup_flags, stored=False),
    "env": Command("environments that runtimes live in, one each", _env_flags, stored=False, actions=True),
}
