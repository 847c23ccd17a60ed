"""The console that tables are printed on."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment

from bench.compare.results import Results
from bench.files.places import STDOUT, require_place
from bench.interfaces.errors import BakeoffError, UsageError
from bench.text.printable import printable

PIPE_WIDTH = 100  # rich takes 80 where there is no terminal, which costs columns


class _Clean(Console):
    """A console on which no text acts: a store is a stranger's, and its names may hold anything."""

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        for text, style, control in super().render(renderable, options):
            yield Segment(text if control else printable(text), style, control)


def console() -> Console:
    """As wide as the terminal; in a pipe or a file, $COLUMNS or 100. Control characters are left out."""
    found = _Clean(highlight=False)
    if not found.is_terminal and "COLUMNS" not in os.environ:
        found.width = PIPE_WIDTH
    return found


def require_rows(found: Results, samples: bool = False) -> Results:
    """The results, if there is something in them to write. Raises BakeoffError."""
    what = (
        "case" if not found.rows else "sample" if samples and not any(r.samples for r in found.rows) else ""
    )
    if what:
        hint = f"bakeoff run --resume {found.run.id}"
        raise BakeoffError(f"run {found.run.id} holds no {what}: there is nothing to write", hint=hint)
    return found


def written(path: Path, write: Callable[[Path], object], *, binary: bool = False) -> bool:
    """Has a file written at `path`, or its bytes to standard output for `-`.

    Args:
        binary: a terminal cannot show it.

    Returns:
        Whether there is a file now.
    """
    require_place(path, "-o")
    if str(path) != STDOUT:
        write(path)
        return True
    if binary and sys.stdout.isatty():
        raise UsageError("this format is no text for a terminal", hint="name a file: -o PATH, or pipe it")
    with tempfile.TemporaryDirectory(prefix="bakeoff-") as folder:
        made = Path(folder) / "output"
        write(made)
        sys.stdout.buffer.write(made.read_bytes())
        sys.stdout.buffer.flush()
    return False
