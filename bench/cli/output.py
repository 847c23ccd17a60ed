"""The console that tables are printed on."""

from __future__ import annotations

import os

from rich.console import Console

PIPE_WIDTH = 100  # rich takes 80 where there is no terminal, which costs columns


def console() -> Console:
    """As wide as the terminal; in a pipe or a file, $COLUMNS or 100."""
    found = Console(highlight=False)
    if not found.is_terminal and "COLUMNS" not in os.environ:
        found.width = PIPE_WIDTH
    return found
