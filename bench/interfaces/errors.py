"""Errors that a person reads: what went wrong, where, and the next command to type.

Standard library alone: the worker side imports this module.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable

MEND = "BAKEOFF_MEND"  # a variable that tells a child process what to type where its environment is broken

# The same for every command; where several hold, 2 before 4 before 1 before 3. docs/exit-codes.md, tested.
EXIT_OK = 0  # measured, or the gate is open
EXIT_GATE = 1  # the gate is closed: a proven regression, a case gone, a case broken
EXIT_USAGE = 2
EXIT_FAILED = 3  # a requested case failed or came out wrong
EXIT_NOTHING = 4  # nothing could be measured, judged or written
EXIT_INTERRUPTED = 130  # everything measured is kept


class BakeoffError(Exception):
    """Base of every error that bakeoff raises on purpose.

    Args:
        message: what went wrong and where.
        hint: the next command to type, or what to change; shown on a line of its own.
    """

    exit_code = EXIT_NOTHING

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message}\n  {self.hint}" if self.hint else self.message

    @property
    def reason(self) -> str:
        """For a row's reason: the hint in brackets on the first line, where a log may follow."""
        first, newline, rest = self.message.partition("\n")
        return f"{first} ({self.hint}){newline}{rest}" if self.hint else self.message


class UsageError(BakeoffError):
    """A flag or argument that cannot be meant."""

    exit_code = EXIT_USAGE


class SuiteError(UsageError):
    """A suite file with a mistake; the message carries file and line."""


class ModelFileError(BakeoffError):
    """A model file or checkpoint that is missing, broken, or of another architecture.

    Where nothing was begun yet it ends the command as a wrong argument does; later it is a case's reason.
    """

    exit_code = EXIT_USAGE


class PrepareError(BakeoffError):
    """A model file could not be made."""


class StoreError(BakeoffError):
    """The store cannot be read or written (missing, read-only, full disk, a newer version)."""


class BackendUnavailable(BakeoffError):
    """The runtime is not installed or does not start; `hint` is the command that mends it."""


class UnsupportedCase(BakeoffError):
    """The runtime cannot do what the case asks for; never answered by a silent fallback."""


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """`"did you mean 'resnet50'?"` for a near miss, else the list of what there is."""
    names = sorted(known)
    close = difflib.get_close_matches(word, names, n=1, cutoff=0.6)
    if close:
        return f"did you mean {close[0]!r}?"
    return f"known: {', '.join(names)}" if names else ""
