"""Copies of the timed input that take turns: none is found in a cache. Worker side.

As things are, the input of every inference lies where the last one left it: so it is in a loop, and not how
it comes from a camera or a socket. The values are the same: outputs do not change.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import cycle
from typing import Any

from bench.interfaces.backend import Session
from bench.interfaces.errors import UnsupportedCase
from bench.interfaces.tensors import Array
from bench.worker.kept import Kept


class Rotating:
    """The calls of a session, on its own copy of the input each time; what `stage` is given is not looked at.

    Raises UnsupportedCase where the session cannot hold so many staged inputs at once.
    """

    def __init__(self, session: Session, kept: Kept, count: int) -> None:
        if count > session.staged_sets:
            raise UnsupportedCase(
                f"it holds {session.staged_sets} staged inputs at once, and {count} were asked to take turns",
                hint=f"--rotate {session.staged_sets}" if session.staged_sets > 1 else "leave --rotate out",
            )
        self.inputs, self.fetch = kept.inputs, kept.fetch
        self._kept = kept
        copies = [{name: array.copy() for name, array in kept.inputs.items()} for _ in range(count)]
        self._hosts = cycle(copies)
        self._staged = cycle([kept.stage(copy) for copy in copies])
        self.run = kept.run

    def stage(self, inputs: Mapping[str, Array]) -> Any:
        return self._kept.stage(next(self._hosts))

    def on_device(self) -> OnDevice:
        """For the device boundary: everything is staged already."""
        return OnDevice(self._kept, self._staged)


class OnDevice:
    """As `Rotating`, where `run` takes the next of the staged inputs instead of the one that it is given."""

    def __init__(self, kept: Kept, staged: cycle[Any]) -> None:
        self.inputs, self.fetch, self.stage = kept.inputs, kept.fetch, kept.stage
        self._run, self._staged = kept.run, staged

    def run(self, staged: Any) -> Any:
        return self._run(next(self._staged))
