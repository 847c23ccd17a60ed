"""A listener that cannot end a measurement: what it raises cuts it off, and the run says so."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any


class Heard:
    """Passes events on to a listener until that raises; interrupts and exits go through.

    A renderer with a defect, an encoding that lacks a sign, a disk that is full under the file that progress
    goes to, or somebody's own listener: none of them is a reason to lose what is being measured.

    Attributes:
        note: what became of the listener, in a sentence without its full stop; '' while it is heard.
    """

    def __init__(self, listener: Callable[[str, Mapping[str, Any]], None]) -> None:
        self._listener = listener
        self.note = ""

    def __call__(self, event: str, facts: Mapping[str, Any]) -> None:
        if self.note:
            return
        try:
            self._listener(event, facts)
        except Exception as error:
            said = " ".join(f"{type(error).__name__}: {error}".split())
            self.note = f"the listener failed at the event {event!r} and was told no more ({said})"

    def onto(self, notes: list[str]) -> list[str]:
        """A run's notes with this one, once."""
        return [*notes, self.note] if self.note and self.note not in notes else notes
