"""Files and names that prose, settings and strings speak of are there: a move leaves none behind."""

from __future__ import annotations

import io
import re
import tokenize
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
ROOMS = ("bench", "backends", "workloads", "reports", "benchmarks", "tests", "tools")
PATH = re.compile(rf"(?<![\w./-])(?:{'|'.join(ROOMS)}|docs)/[\w./*-]*")
DOTTED = re.compile(rf"(?<![\w./-])(?:{'|'.join(ROOMS)})(?:\.[A-Za-z_]\w*)+")
IMPORTED = re.compile(
    rf"\bfrom ((?:{'|'.join(ROOMS)})(?:\.\w+)*) import (\w+(?: as \w+)?(?:, \w+(?: as \w+)?)*)"
)
PLACES = ("*.md", "docs/**/*.md", "*.toml", "Makefile", ".importlinter", ".ci/*", "hatch_build.py")
PROSE = sorted({path for place in PLACES for path in ROOT.glob(place)} - {ROOT / "CHANGELOG.md"})
CODE = sorted({path for room in ROOMS for path in (ROOT / room).rglob("*.py")} - {Path(__file__).resolve()})
# Not names of ours: placeholders, other files of those names, keys of a suite, and attributes of torch.
MADE_UP = re.compile(
    r"NAME|FAMILY|\.(md|json|yaml|html)$|workloads\.(name|sequence|weights)|backends\.(name|preset|cuda|cudnn)"
)


def spoken(path: Path) -> Iterator[str]:
    """What is prose in a file: all of it, of Python the strings and comments."""
    text = path.read_text()
    if path.suffix != ".py":
        yield text
        return
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type in (tokenize.STRING, tokenize.COMMENT):
            yield token.string


def missing(text: str) -> Iterator[str]:
    """Paths and dotted names in a text that lead nowhere."""
    for found in PATH.findall(text):
        path = found.rstrip(".-")
        if not MADE_UP.search(path) and not any(ROOT.glob(path.rstrip("/"))):
            yield path
    for module, names in IMPORTED.findall(text):
        for name in names.split(", "):
            found = f"{module}.{name.split(' as ')[0]}"
            if not MADE_UP.search(found) and not there(found):
                yield f"from {module} import {name}"
    for found in DOTTED.findall(text):
        if not MADE_UP.search(found) and not there(found):
            yield found


def there(name: str) -> bool:
    """Whether it is a file (`bench.py`), a module, or what a module holds."""
    module, *attributes = name.split(".")
    here: object = import_module(module)
    for attribute in attributes:
        if not hasattr(here, attribute):
            module = f"{module}.{attribute}"
            try:
                here = import_module(module)
            except ImportError:
                return False
        else:
            here, module = getattr(here, attribute), f"{module}.{attribute}"
    return True


@pytest.mark.parametrize("path", PROSE + CODE, ids=lambda path: str(path.relative_to(ROOT)))
def test_what_a_file_speaks_of_is_there(path: Path) -> None:
    assert [name for text in spoken(path) for name in missing(text)] == []


@pytest.mark.parametrize(
    "text",
    [
        "see bench/nonesuch.py",
        "`bench.stats.nonesuch`",
        "backends/torch.py:",
        "as backends.of says",
        "from bench import nonesuch",
        "x; from bench.text import units, none",
    ],
)
def test_the_rule_sees_what_it_forbids(text: str) -> None:
    assert list(missing(text))
