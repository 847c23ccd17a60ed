"""Every flag that a program in benchmarks/ documents can be typed."""

import argparse
import importlib
import inspect
import pkgutil
import re
from pathlib import Path
from types import ModuleType

import pytest

import benchmarks

ROOT = Path(__file__).parents[3]
_FLAG = re.compile(r"(?<![\w-])--[a-z][\w-]*")


class Parsed(BaseException):
    """What a program understood; it must not go on to measure."""


def programs() -> list[ModuleType]:
    """The modules whose `main` parses arguments of its own."""
    found = (info.name for info in pkgutil.walk_packages(benchmarks.__path__, "benchmarks."))
    modules = (importlib.import_module(name) for name in found if not name.endswith("__main__"))
    return [one for one in modules if ".parse_args(" in inspect.getsource(one) and hasattr(one, "main")]


def documented(module: ModuleType) -> set[str]:
    """The flags in the module's own text, and in the pages and rules that run it."""
    name = module.__name__.removeprefix("benchmarks.")
    usage = [line for line in (module.__doc__ or "").splitlines() if "python -m benchmarks" in line]
    told = set(_FLAG.findall(" ".join(usage)))
    for path in (*(ROOT / "docs").glob("*.md"), ROOT / "Makefile"):
        for line in path.read_text(encoding="utf-8").splitlines():
            if re.search(rf"-m benchmarks[. ]{name}\b", line):
                told |= set(_FLAG.findall(line))
    return told


def understood(module: ModuleType, words: list[str], monkeypatch: pytest.MonkeyPatch) -> argparse.Namespace:
    """What the program makes of its arguments; it goes no further."""
    real = argparse.ArgumentParser.parse_args

    def parse_args(self: argparse.ArgumentParser, *args: object, **kwargs: object) -> argparse.Namespace:
        raise Parsed(self, real(self, *args, **kwargs))

    with monkeypatch.context() as patch:
        patch.setattr(argparse.ArgumentParser, "parse_args", parse_args)
        with pytest.raises(Parsed) as caught:
            module.main(words)
    return caught.value.args


def test_the_programs_with_flags_are_found() -> None:
    names = {one.__name__ for one in programs()}
    assert {"benchmarks.verdicts", "benchmarks.parity", "benchmarks.gpu", "benchmarks.pairing"} <= names
    assert {"--aa", "--busy", "--slow"} <= documented(importlib.import_module("benchmarks.verdicts"))


VALUES = {int: "3", float: "0.5", None: "x", Path: "there"}


@pytest.mark.parametrize("module", programs(), ids=lambda one: one.__name__)
def test_every_flag_is_understood(module: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    places = ["there"] if module.__name__.rpartition(".")[2] in ("verdicts", "clock", "against") else []
    parser, _ = understood(module, places, monkeypatch)
    actions = {flag: one for one in parser._actions for flag in one.option_strings}
    assert documented(module) - {"--help"} <= actions.keys()
    for flag, action in actions.items():
        if not isinstance(action, argparse._HelpAction):
            value = VALUES.get(action.type, "3") if action.nargs != 0 else ""
            _, options = understood(module, [*places, flag, *filter(None, [value])], monkeypatch)
            assert getattr(options, action.dest) != action.default, flag
