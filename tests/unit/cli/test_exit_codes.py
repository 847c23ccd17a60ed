"""The exit codes: one table for every command, in the docs, in `--help` and in the code."""

from __future__ import annotations

import ast
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from bench.cli import hints, main, parser
from bench.cli.parser import STORE, STORED, Parser
from bench.cli.watch import resume_command
from bench.compare.comparison import Compared, Comparison, Gate, Loss, exit_code
from bench.interfaces import errors
from bench.interfaces.errors import BakeoffError, PrepareError, StoreError, SuiteError, UsageError
from bench.interfaces.estimate import UNKNOWN
from bench.stats.gate import GateResult, Rules
from bench.stats.verdict import Verdict

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs" / "exit-codes.md").read_text()
CODES = {
    "EXIT_OK": 0,
    "EXIT_GATE": 1,
    "EXIT_USAGE": 2,
    "EXIT_FAILED": 3,
    "EXIT_NOTHING": 4,
    "EXIT_INTERRUPTED": 130,
}
COMMAND = re.compile(r"\bbakeoff ([a-z]+)((?: (?:--?[a-z][\w-]*|[\w.:/]+))*)")
Known = dict[str, "Parser"]


def test_the_table() -> None:
    assert {name: getattr(errors, name) for name in dir(errors) if name.startswith("EXIT_")} == CODES
    table = re.findall(r"^\| (\d+) \| ([^|]+) \|", PAGE, re.MULTILINE)
    assert [int(code) for code, _ in table] == sorted(CODES.values())
    for code, _ in table:
        assert re.search(rf"(?<!\d){code} [a-z]", parser.EPILOG), code
    assert "docs/exit-codes.md" in parser.EPILOG
    readme = (ROOT / "README.md").read_text()
    assert all(re.search(rf"(?<!\d){code} [a-z]", readme) for code in CODES.values())


@pytest.mark.parametrize(
    ("error", "code"),
    [(BakeoffError, 4), (StoreError, 4), (PrepareError, 4), (UsageError, 2), (SuiteError, 2)],
)
def test_each_error_has_its_code(error: type[BakeoffError], code: int) -> None:
    assert error("").exit_code == code


@pytest.mark.parametrize(
    ("words", "comparable", "with_gate", "without"),
    [
        (["pass"], True, 0, 0),
        (["regression"], True, 1, 0),
        (["broken"], False, 1, 0),
        (["gone"], False, 1, 0),
        (["cannot tell"], True, 0, 0),
        (["cannot tell"], False, 4, 4),
        ([], True, 4, 4),
    ],
)
def test_a_comparison_has_one_code(words: list[str], comparable: bool, with_gate: int, without: int) -> None:
    verdict = Verdict("inconclusive" if comparable else "not comparable", UNKNOWN)
    losses = [Loss(word, "") if word in ("broken", "gone") else None for word in words]  # type: ignore[arg-type]
    rows = tuple(Comparison(word, verdict, loss=loss) for word, loss in zip(words, losses, strict=True))
    compared = Compared("across", (), (), 0.02, rows)
    results = tuple(GateResult(word) for word in words)  # type: ignore[arg-type]
    assert Gate(Rules(0.05), results, compared.nothing).exit_code == with_gate
    assert exit_code(compared) == without


def test_words_and_flags_of_the_gate_are_in_the_docs_and_the_help() -> None:
    said = subprocess.run(
        [sys.executable, "-m", "bench", "compare", "--help"], capture_output=True, text=True, check=True
    ).stdout
    for word, flag in (("gone", "--gone"), ("broken", "--broken"), ("cannot tell", "--inconclusive")):
        assert f"`{word}`" in PAGE
        assert flag in PAGE
        assert flag in said
    for name in ("report", "export"):
        done = [sys.executable, "-m", "bench", name, "--help"]
        assert "- for standard output" in " ".join(
            subprocess.run(done, capture_output=True, text=True, check=True).stdout.split()
        )


def commands(of: Parser) -> Known:
    """`run`, `env create`, … → its parser, nested ones under both words."""
    (first,) = (action for action in of._actions if action.dest == "==SUPPRESS==")
    found: Known = dict(first.choices or {})  # type: ignore[call-overload]
    for name, child in list(found.items()):
        for action in child._actions:
            if action.dest == "action" and action.choices:
                found |= {f"{name} {word}": nested for word, nested in action.choices.items()}  # type: ignore[attr-defined]
    return found


@pytest.fixture(scope="module")
def known() -> Known:
    return commands(parser.build())


def texts() -> Iterator[tuple[str, str]]:
    """Every piece of text in the sources, an f-string with a word for what it holds."""
    for path in sorted(
        p for folder in ("bench", "backends", "reports") for p in (ROOT / folder).rglob("*.py")
    ):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.JoinedStr):
                parts = [p.value if isinstance(p, ast.Constant) else "X" for p in node.values]
                yield path.name, "".join(map(str, parts))
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                yield path.name, node.value


def test_every_command_that_is_named_exists_with_its_flags(known: Known) -> None:
    seen = set()
    for file, text in texts():
        for match in COMMAND.finditer(text):
            name, words = match[1], match[2].split()
            if f"{name} {words[0] if words else ''}" in known:
                name = f"{name} {words.pop(0)}"
            flags = [word for word in words if word.startswith("-") and word != "-"]
            if name not in known:
                assert not flags, f"{file}: no command `bakeoff {name}` in {text!r}"
                continue  # "bakeoff measures", a sentence
            seen.add(name)
            for flag in flags:
                assert flag in known[name]._option_string_actions, f"{file}: {name} has no {flag}: {text!r}"
    assert {"run", "show", "doctor", "list", "env create", "cache prune", "report"} <= seen


def test_the_commands_that_have_a_store(known: Known) -> None:
    have = {name for name, one in known.items() if "--store" in one._option_string_actions}
    assert have == set(STORED)


@pytest.mark.parametrize(
    ("text", "typed"),
    [
        ("bakeoff run quick   (makes one)", "bakeoff run --store 'my s.sqlite' quick   (makes one)"),
        ("mend it, then: bakeoff run --resume", "mend it, then: bakeoff run --store 'my s.sqlite' --resume"),
        ("bakeoff list runs --store a.sqlite", "bakeoff list runs --store a.sqlite"),
        ("bakeoff cache prune", "bakeoff cache prune"),
        ("bakeoff runs models", "bakeoff runs models"),
    ],
)
def test_a_hint_keeps_the_store_that_was_typed(text: str, typed: str) -> None:
    options = parser.parse(["show", "--store", "my s.sqlite"])
    assert hints.as_typed(text, options) == typed
    assert hints.as_typed(text, parser.parse(["show", "--store", str(STORE)])) == text
    if typed != text:
        shlex.split(typed)


def test_errors_keep_the_store_that_was_typed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    for command in (["show"], ["report"], ["export"], ["run", "--resume"], ["list", "runs"]):
        assert main([*command, "--store", "other.sqlite"]) == 4
        assert "bakeoff run --store other.sqlite quick" in capsys.readouterr().err


def test_the_command_that_goes_on_keeps_what_was_typed() -> None:
    typed = ["run", "quick", "--share", "1/2", "--report", "my r.html", "--store", "s.sqlite"]
    command = resume_command(parser.parse(typed), "20261101-090000")
    assert command == (
        "bakeoff run --resume 20261101-090000 --share 1/2 --report 'my r.html' --store s.sqlite"
    )
    again = parser.parse(shlex.split(command)[1:])
    assert (again.share, str(again.report), str(again.store)) == ("1/2", "my r.html", "s.sqlite")
    assert resume_command(parser.parse(["run"]), "1") == "bakeoff run --resume 1"
