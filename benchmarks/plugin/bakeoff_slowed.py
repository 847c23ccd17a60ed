"""ONNX Runtime with a fixed amount of work added to each inference: a slow-down that is known beforehand.

A distribution of its own, found by its entry point: only processes that `benchmarks.slowdown.register` has
told of it know the backend `slowed`, and to those it is a runtime like any other.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from itertools import repeat

import numpy as np

from backends.onnxruntime.backend import OnnxRuntimeBackend
from bench.interfaces.backend import Actual, BaseSession, Session, Target
from bench.interfaces.errors import UnsupportedCase
from bench.interfaces.tensors import Array, IOSpec, ModelFile

# 4 KiB stay in the first-level cache, so that the work leaves that of the inference nearly alone.
NUMBERS = np.ones(1024, dtype=np.float32)


def work(units: int) -> None:
    """Real arithmetic, the same amount however fast the machine is: `units` dot products of 1024 floats."""
    dot, numbers = np.dot, NUMBERS
    for _ in repeat(None, units):
        dot(numbers, numbers)


class SlowedSession(BaseSession):
    """Another session, with `extra` units of work after each of its inferences."""

    def __init__(self, session: Session, extra: int) -> None:
        self._session, self._extra = session, extra
        self.staged_sets = session.staged_sets
        self.stage = session.stage
        self.fetch = session.fetch

    def run(self, staged: Mapping[str, Array]) -> list[Array]:
        outputs: list[Array] = self._session.run(staged)
        work(self._extra)
        return outputs

    def actual(self) -> Actual:
        found = self._session.actual()
        return replace(found, settings={**found.settings, "extra": self._extra})

    def close(self) -> None:
        self._session.__exit__(None, None, None)


class SlowedBackend(OnnxRuntimeBackend):
    name = "slowed"
    summary = "ONNX Runtime and `extra` units of work an inference."

    def load(self, model: ModelFile | None, target: Target, io: IOSpec) -> SlowedSession:  # type: ignore[override]
        options = dict(target.options)
        extra = options.pop("extra", 0)
        if type(extra) is not int or extra < 0:
            raise UnsupportedCase(f"slowed: extra={extra!r} is no number of units", hint="slowed@extra=1000")
        return SlowedSession(super().load(model, replace(target, options=options), io), extra)


BACKEND = SlowedBackend()
