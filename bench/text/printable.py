"""Text of strangers (names, reasons, logs) without what acts on a terminal. Standard library alone."""

from __future__ import annotations

import re

_SEQUENCE = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]")  # a colour, a move of the cursor
# C0 but for tab and line feed, DEL, C1, and what turns the order of letters round.
CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")


def printable(text: str) -> str:
    """The text without control and bidirectional characters; tabs and line feeds stay.

    A NUL ends a line for many programs, ESC moves the cursor and sets colours, U+202E shows letters from the
    back. None of them takes room on a screen, so columns stay where they are.
    """
    return CONTROL.sub("", _SEQUENCE.sub("", text))
