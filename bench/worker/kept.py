"""What a timed step of a decoder stages: its token. Standard library and NumPy alone.

The cache of the tokens before stays where the runtime has it, as it does when text is generated; every timed
step is taken at the same context.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Protocol

from bench.interfaces.backend import Session
from bench.interfaces.tensors import Array, IOSpec


class Kept:
    """A session's calls, with the inputs that carry state staged once."""

    def __init__(self, session: Session, io: IOSpec, inputs: Mapping[str, Array]) -> None:
        self.run, self.fetch = session.run, session.fetch
        self.stage = partial(session.stage, onto=session.stage(inputs)) if io.carried else session.stage
        self.inputs = {name: array for name, array in inputs.items() if name not in io.carried}


class Calls(Protocol):
    """What a timed loop calls."""

    @property
    def stage(self) -> Callable[..., Any]: ...

    @property
    def run(self) -> Callable[[Any], Any]: ...

    @property
    def fetch(self) -> Callable[[Any], Any]: ...
