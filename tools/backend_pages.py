"""The part of a backend's page that its code knows: how it is installed, variants, precisions and presets.

`python -m tools.backend_pages` writes it into `docs/backends/*.md`, between two markers; the rest is written
by hand."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from bench.environments.requirements import Needs
from bench.environments.setup import needed
from bench.interfaces.backend import Backend
from bench.interfaces.options import Option, options_of
from bench.plugins import backend_registry
from bench.text.numbers import file_size

PAGES = Path(__file__).parents[1] / "docs" / "backends"
BEGIN, END = "<!-- from the code: python -m tools.backend_pages -->", "<!-- by hand from here -->"
FLOATS = ("fp32", "bf16", "fp16")  # tf32 is told by hand, where a runtime has GPUs
BLOCK = re.compile(re.escape(BEGIN) + r".*?" + re.escape(END), re.DOTALL)


def block(name: str) -> str:
    """Markdown, with both markers."""
    backend = backend_registry.get(name)
    return "\n".join([BEGIN, *_installed(backend), *_tables(backend), END])


def update(page: str, name: str) -> str:
    """The page with its block as the code has it now. Raises ValueError if the page has none."""
    if not BLOCK.search(page):
        raise ValueError(f"the page of {name} lacks the line {BEGIN}, or {END} below it")
    return BLOCK.sub(lambda _: block(name), page, count=1)


def _installed(backend: Backend) -> Iterator[str]:
    runtime, *tools = needed(backend.name)
    yield f"`{backend.install}` gets {_packages(runtime)}."
    for tool in tools:
        yield f"Its model files are written in the environment `{tool.name}`: {_packages(tool)}."
    yield ""


def _packages(needs: Needs) -> str:
    size = f", about {file_size(needs.bytes)}" if needs.bytes else ""
    python = f", Python {needs.python}" if needs.python else ""
    return ", ".join(f"`{line}`" for line in needs.lines) + size + python


def _tables(backend: Backend) -> Iterator[str]:
    variants = {name or "(none)": text for name, text in backend.variants.items()}
    if len(variants) > 1:
        yield from _table(("variant", "what it is"), [(f"`{name}`", text) for name, text in variants.items()])
    floats = ", ".join(name for name in FLOATS if name not in backend.quantised)
    files: Mapping[str, Sequence[str]] = {floats: backend.formats, **backend.quantised}
    rows = [(precision, ", ".join(f"`{kind}`" for kind in kinds)) for precision, kinds in files.items()]
    yield from _table(("precision, where this machine has it", "model files, best first"), rows)
    if known := options_of(backend):
        taken = [(f"`{name}`", one.values, one.text, ", ".join(_where(one))) for name, one in known.items()]
        yield from _table(("option", "values", "what it does", "only"), taken)
    presets = [(f"`{name}`", _settings(p.settings), p.source) for name, p in backend.presets.items()]
    yield from _table(("preset", "settings", "source"), presets)


def _where(one: Option) -> Iterator[str]:
    """The variants and devices that alone have an option."""
    yield from (f"`{variant or 'no variant'}`" for variant in one.variants)
    yield from (f"`{device}`" for device in one.devices)


def _settings(settings: Mapping[str, object]) -> str:
    return ", ".join(f"`{name}={value}`" for name, value in settings.items()) or "none"


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    for cells in (head, ["---"] * len(head), *rows):
        yield f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"
    yield ""


def main() -> None:
    """Writes every page's block anew."""
    for name in backend_registry.names("runtime"):
        path = PAGES / f"{name}.md"
        path.write_text(update(path.read_text(), name))


if __name__ == "__main__":
    main()
