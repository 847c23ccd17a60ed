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

from bench.cli.commands import COMMANDS
from bench.interfaces.errors import EXIT_USAGE

STORE = Path("results") / "bakeoff.sqlite"
STORED = tuple(name for name, one in COMMANDS.items() if one.stored)  # have --store

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


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """The options, with `command` the function that carries them out."""
    options = build().parse_args(list(arguments))
    options.typed = list(arguments)
    return options


def build() -> Parser:
    """All commands with their flags (`bench.cli.commands`)."""
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
    for name, one in COMMANDS.items():
        parents = [common] if one.stored else [] if one.actions else [debug]
        below = commands.add_parser(name, parents=parents, help=one.text)
        below.set_defaults(command=_command(one.module or name), named=name)
        one.flags(below, debug)
    return parser


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
