"""What can be typed: commands, flags, their help. argparse alone, so that `--help` answers at once."""

from __future__ import annotations

import argparse
import difflib
import sys
from collections.abc import Callable, Sequence
from importlib import import_module
from itertools import pairwise
from pathlib import Path
from typing import Any, NoReturn

from bench.interfaces.errors import EXIT_USAGE

STORE = Path("results") / "bakeoff.sqlite"
STORED = ("run", "list", "doctor", "show", "report", "export", "ab", "aa", "compare")  # have --store

EPILOG = """\
examples:
  bakeoff run quick --report results/report.html      the built-in suite, and a page to open
  bakeoff run --workload resnet50 --backend onnxruntime,openvino --batch 1,8 --threads 1,2
  bakeoff run --resume                                 go on where it was stopped
  bakeoff show                                         the latest run as a table

exit codes (docs/exit-codes.md): 0 measured, or the gate is open · 1 the gate is closed · 2 usage
            3 a case failed or came out wrong · 4 nothing was measured, judged or written
            130 interrupted, everything measured is kept
"""


AXES = {
    "--workload": "resnet50,minilm-l6,… (bakeoff list workloads)",
    "--backend": "NAME[:VARIANT][==VERSION],… (bakeoff list backends)",
    "--precision": "fp32,bf16,… ; bf16:emulated asks for emulation by name",
    "--device": "cpu, cuda:0, …",
    "--batch": "samples per inference",
    "--sequence": "tokens per sample, for workloads that have them",
    "--context": "tokens before a decoder's step",
    "--threads": "numbers, or auto for all cores of the budget",
    "--preset": "stock, expert",
}


class Parser(argparse.ArgumentParser):
    """Adds 'did you mean' to argparse's errors, and keeps them to two lines."""

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """As argparse's; an empty word is a mistake: an unset variable in a script must not mean 'all'."""
        if not any(isinstance(action, argparse._SubParsersAction) for action in self._actions):
            for before, word in pairwise(["", *(args or ())]):
                flag = word.removesuffix("=") if word.startswith("--") and word.endswith("=") else before
                if not word.strip() or flag != before:
                    named = f"argument {flag}: a value is missing"
                    self.error(named if flag.startswith("-") else "an argument is empty")
        return super().parse_known_args(args, namespace)

    def error(self, message: str) -> NoReturn:
        if "invalid choice:" in message or "unrecognized arguments:" in message:
            message += self._suggestion(message)
        print(f"bakeoff: {message}\n  {self.prog} --help", file=sys.stderr)
        sys.exit(EXIT_USAGE)

    def _suggestion(self, message: str) -> str:
        if "unrecognized arguments:" in message:
            word = message.split("unrecognized arguments:")[1].split()[0].split("=")[0]
            known = [flag for parser in _all(self) for flag in parser._option_string_actions]
        else:
            word = message.split("'")[1] if "'" in message else ""
            known = [choice for parser in _all(self) for choice in _choices(parser)]
        close = difflib.get_close_matches(word, known, n=1, cutoff=0.6)
        return f"; did you mean {close[0]!r}?" if close else ""


def _all(parser: argparse.ArgumentParser) -> list[argparse.ArgumentParser]:
    below = [
        found
        for action in parser._actions
        if isinstance(action, argparse._SubParsersAction)
        for child in action.choices.values()
        for found in _all(child)
    ]
    return [parser, *below]


def _choices(parser: argparse.ArgumentParser) -> list[str]:
    return [str(choice) for action in parser._actions for choice in action.choices or ()]


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


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """The options, with `command` the function that carries them out."""
    options = build().parse_args(list(arguments))
    options.typed = list(arguments)
    return options


def build() -> Parser:
    """All commands with their flags."""
    debug = Parser(add_help=False)
    debug.add_argument("--debug", action="store_true", help="show the traceback of an error")
    common = Parser(add_help=False, parents=[debug])
    common.add_argument("--store", type=Path, default=STORE, metavar="PATH", help="SQLite file (%(default)s)")

    parser = Parser(
        prog="bakeoff",
        description="Runs one model on every inference runtime, measured in turns, verified, proven, shown.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action=_Version, nargs=0, help="show the version and exit")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True, parser_class=Parser)

    run = commands.add_parser("run", parents=[common], help="plan, prepare, measure, store")
    run.set_defaults(command=_command("run"))
    _run_flags(run)

    listing = commands.add_parser("list", parents=[common], help="what there is to choose from")
    listing.set_defaults(command=_command("listing"))
    listing.add_argument("what", choices=("workloads", "backends", "suites", "cases", "runs"))
    listing.add_argument("suite", nargs="?", help="for cases: suite (quick)")
    _sweep_flags(listing)
    listing.add_argument("--json", action="store_true", help="one JSON document")

    doctor = commands.add_parser(
        "doctor", parents=[common], help="what each runtime can do here, and whether the machine is fit"
    )
    doctor.set_defaults(command=_command("doctor"))
    doctor.add_argument("--json", action="store_true", help="one JSON document")

    show = commands.add_parser("show", parents=[common], help="a run as a table")
    show.set_defaults(command=_command("show"))
    _which_run(show)
    show.add_argument("--json", action="store_true", help="one JSON document")

    report = commands.add_parser("report", parents=[common], help="a run as one offline HTML file")
    report.set_defaults(command=_command("report"))
    _which_run(report)
    report.add_argument(
        "-o",
        "--output",
        type=Path,
        default=Path("results/report.html"),
        metavar="FILE",
        help="%(default)s; - for standard output",
    )

    export = commands.add_parser("export", parents=[common], help="a run as csv, json, markdown or parquet")
    export.set_defaults(command=_command("export"))
    _which_run(export)
    export.add_argument(
        "--format", default="csv", metavar="FORMAT", help="csv, json, markdown, parquet (%(default)s)"
    )
    export.add_argument("--samples", action="store_true", help="every sample instead of a row a case")
    export.add_argument(
        "-o",
        "--output",
        type=Path,
        metavar="FILE",
        help="default: RUN.FORMAT beside the store; - for standard output",
    )

    ab = commands.add_parser(
        "ab", parents=[common], help="two configurations in turns until a verdict or the budget"
    )
    ab.set_defaults(command=_command("ab"))
    for side in ("a", "b"):
        ab.add_argument(side, metavar=side.upper(), help="NAME[:VARIANT][==VERSION][@KEY=VALUE,…]")
    _shared_flags(ab, "what both are measured on (the quick suite's first where nothing is said)")
    ab.add_argument("--relevant", type=_percent, metavar="PERCENT", help="the least difference that matters")
    _gate_flags(ab)

    aa = commands.add_parser(
        "aa", parents=[common], help="one configuration against itself: noise, false verdicts and power here"
    )
    aa.set_defaults(command=_command("aa"))
    aa.add_argument("side", nargs="?", metavar="A", help="as for ab (the quick suite's baseline)")
    _shared_flags(aa, "what it is measured on")

    compare = commands.add_parser(
        "compare", parents=[common], help="two runs, or two configurations of one run, with a verdict each"
    )
    compare.set_defaults(command=_command("compare"))
    _compare_flags(compare)

    merge = commands.add_parser(
        "merge", parents=[debug], help="bring the stores of several machines into one"
    )
    merge.set_defaults(command=_command("merge"))
    merge.add_argument(
        "sources",
        nargs="+",
        metavar="[LABEL=]STORE",
        help="a store, and what its machine is called (its CPU and GPUs)",
    )
    merge.add_argument(
        "--into",
        type=Path,
        default=Path("results/merged.sqlite"),
        metavar="PATH",
        help="%(default)s; made, or added to",
    )
    merge.add_argument("--json", action="store_true", help="one JSON document")

    cache = commands.add_parser("cache", help="what is kept of model files, and making room")
    cache.set_defaults(command=_command("cache"))
    _cache_flags(cache, debug)

    setup = commands.add_parser("setup", parents=[debug], help="install what backends need")
    setup.set_defaults(command=_command("setup"))
    _setup_flags(setup)

    env = commands.add_parser("env", help="environments that runtimes live in, one each")
    env.set_defaults(command=_command("env"))
    _env_flags(env, debug)

    return parser


def _which_run(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "run", nargs="?", default="latest", metavar="RUN", help="its id or the beginning of it"
    )


def _shared_flags(parser: argparse.ArgumentParser, title: str) -> None:
    axes = parser.add_argument_group(title)
    for flag in ("workload", "precision", "device", "batch", "sequence", "context", "threads", "preset"):
        axes.add_argument(f"--{flag}", action=Comma, metavar="VALUE", help=AXES[f"--{flag}"])
    axes.add_argument("--weights", metavar="PATH", help="checkpoint for the workload")
    parser.add_argument("--budget", metavar="TIME", help="for measuring: 2m, 10m (5m)")
    parser.add_argument("--json", action="store_true", help="one JSON document")
    parser.add_argument("--no-wait", action="store_true", help="fail if another measurement is running here")


def _compare_flags(parser: argparse.ArgumentParser) -> None:
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
    parser.add_argument("--json", action="store_true", help="one JSON document")


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


def _cache_flags(parser: argparse.ArgumentParser, debug: Parser) -> None:
    actions = parser.add_subparsers(
        title="actions", metavar="ACTION", dest="action", required=True, parser_class=Parser
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
    prune.add_argument("--json", action="store_true", help="one JSON document")


def _setup_flags(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("names", nargs="*", metavar="BACKEND", help="NAME[==VERSION] (bakeoff list backends)")
    parser.add_argument("--all-cpu", action="store_true", help="every runtime that has a CPU")
    parser.add_argument("--suite", metavar="SUITE", help="the backends of a suite")
    parser.add_argument("--dry-run", action="store_true", help="say what it takes, and install nothing")


def _env_flags(parser: argparse.ArgumentParser, debug: Parser) -> None:
    actions = parser.add_subparsers(
        title="actions", metavar="ACTION", dest="action", required=True, parser_class=Parser
    )
    create = actions.add_parser(
        "create", parents=[debug], help="make one, unless it is there, whole and as it was made"
    )
    named = "NAME[==VERSION]"
    create.add_argument("names", nargs="+", metavar=named, help="a backend, or tools that it names")
    create.add_argument("--with", dest="extra", action=Comma, metavar="LIST", help="requirements besides")
    create.add_argument("--again", action="store_true", help="make it anew")
    listing = actions.add_parser("list", parents=[debug], help="what is there, and what is amiss")
    listing.add_argument("--json", action="store_true", help="one JSON document")
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
    for flag, text in AXES.items():
        sweep.add_argument(flag, action=Comma, metavar="LIST", help=text)
    sweep.add_argument("--weights", metavar="PATH", help="checkpoint for the workload (one workload only)")
    sweep.add_argument("--baseline", metavar="BACKEND", help="what the others are compared with")
    sweep.add_argument("--rotate", metavar="N", help="copies of the input that take turns (0: one, as it is)")
    sweep.add_argument("--option", action="append", metavar="NAME=VALUE", help="the backend's own; repeat it")
    sweep.add_argument("--profile", metavar="NAME", help="quick, standard, publish")
    sweep.add_argument("--budget", metavar="TIME", help="10m, 1h30m: fewer generations if need be")


def _run_flags(parser: argparse.ArgumentParser) -> None:
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
    output.add_argument("--json", action="store_true", help="progress as one JSON object a line")
    output.add_argument("--no-wait", action="store_true", help="fail if another measurement is running here")


def _command(module: str) -> Callable[[argparse.Namespace], int]:
    def call(options: argparse.Namespace) -> int:
        function: Callable[[argparse.Namespace], int] = import_module(f"bench.cli.{module}").command
        return function(options)

    return call


class _Version(argparse.Action):
    """Looked up only when it is asked for: reading metadata takes longer than parsing."""

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        from bench.api import own_version

        parser.exit(message=f"bakeoff {own_version()}\n")
