"""Standard output and standard error that neither an alphabet nor a reader who leaves can turn into errors.

What is printed is a view of what is stored. So a sign that the stream's encoding lacks becomes a near one,
a pipe whose reader has gone swallows the rest, and a full disk is told once, at the end, by an exit code.
"""

from __future__ import annotations

import codecs
import errno
import io
import os
import select
import sys
from typing import Any, TextIO

NEAR = {
    "×": "x",
    "±": "+-",
    "–": "-",
    "—": "-",
    "−": "-",
    "…": "...",
    "·": "|",
    "•": "*",
    "µ": "u",
    "μ": "u",
    "°": "deg ",
    "≤": "<=",
    "≥": ">=",
    "≈": "~",
    "≠": "!=",
    "∞": "inf",
    "→": "->",
    "←": "<-",
    "Σ": "sum ",
    "σ": "sigma",
    "α": "alpha",
    "‖": "||",
    "’": "'",
    "‘": "'",
    "“": '"',
    "”": '"',
    "◂": "<",
    "▸": ">",
    "✕": "x",
    "✓": "ok",
    "\N{NO-BREAK SPACE}": " ",
    "\N{NARROW NO-BREAK SPACE}": " ",
    **dict.fromkeys("─━╸╺╶╴╌┄═", "-"),
    **dict.fromkeys("│┃║╎┆", "|"),
    **dict.fromkeys("┌┐└┘├┤┬┴┼╭╮╯╰╞╡╪┏┓┗┛┡┩╇╈┳┻╋", "+"),
    **dict(zip("⁰¹²³⁴⁵⁶⁷⁸⁹⁻₀₁₂₃₄₅₆₇₈₉", "0123456789-0123456789", strict=True)),
}
LENIENT = "bakeoff-near"  # name of the error handler
_USUAL = ("strict", "surrogateescape", "backslashreplace")  # who asked Python for another handler keeps it


def near(error: UnicodeError) -> tuple[str, int]:
    """The error handler of `codecs`: near signs, and `\\xe9` or `\\u4f8b` for what has none."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    lost = error.object[error.start : error.end]
    said = (NEAR.get(sign) or sign.encode("ascii", "backslashreplace").decode() for sign in lost)
    return "".join(said), error.end


class Sink(io.FileIO):
    """A descriptor to which writing never raises: from the first failure on it leads to nowhere.

    Attributes:
        lost: why something was not written; None too where a reader simply went away, as `head` does.
    """

    lost: OSError | None = None

    def write(self, data: Any) -> int:
        view = memoryview(data).cast("B")
        while True:
            try:
                written = super().write(view)
            except OSError as error:
                if error.errno != errno.EPIPE:
                    self.lost = error
                nowhere = os.open(os.devnull, os.O_WRONLY)
                os.dup2(nowhere, self.fileno())
                os.close(nowhere)
                return view.nbytes
            if written is not None:
                return written
            select.select([], [self], [])  # somebody made it non-blocking, and it is full


def settle() -> None:
    """Makes the process's own two streams so; those that somebody put in their place learn near signs."""
    codecs.register_error(LENIENT, near)
    _open_closed()
    sys.stdout, sys.stderr = _settled(sys.stdout), _settled(sys.stderr)


def _open_closed() -> None:
    """Streams that the caller closed (`>&-`) lead nowhere, and no file that is opened gets their numbers."""
    for number, name, mode in ((0, "stdin", "r"), (1, "stdout", "w"), (2, "stderr", "w")):
        if getattr(sys, name) is None:
            nowhere = os.open(os.devnull, os.O_RDWR)
            if nowhere != number:
                os.dup2(nowhere, number)
                os.close(nowhere)
            setattr(sys, name, os.fdopen(number, mode, closefd=False))


def _settled(stream: TextIO) -> TextIO:
    if not isinstance(stream, io.TextIOWrapper):  # None where the descriptor is closed
        return stream
    errors = LENIENT if stream.errors in _USUAL else stream.errors
    raw = getattr(stream.buffer, "raw", stream.buffer)
    if type(raw) is not io.FileIO or raw.fileno() not in (1, 2):
        stream.reconfigure(errors=errors)
        return stream
    stream.flush()
    return io.TextIOWrapper(
        io.BufferedWriter(Sink(raw.fileno(), "wb", closefd=False)),
        encoding=stream.encoding,
        errors=errors,
        line_buffering=stream.line_buffering,
        write_through=stream.write_through,
    )


def why_lost(stream: TextIO | None) -> str:
    """Flushes; why not all of it was written (`No space left on device`), or ''."""
    if stream is None:
        return ""
    stream.flush()
    raw = getattr(getattr(stream, "buffer", None), "raw", None)
    found = raw.lost if isinstance(raw, Sink) else None
    return (found.strerror or str(found)) if found else ""
