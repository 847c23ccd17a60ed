"""Backends that play back the right outputs, honestly or not: they prove the contract."""

from __future__ import annotations

import multiprocessing
import threading
import time
from collections.abc import Mapping
from multiprocessing.connection import Connection
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import as_strided

from backends.reference.backend import BACKEND, ReferenceBackend, ReferenceSession
from bench.interfaces.backend import Actual, Target
from bench.interfaces.tensors import Array, IOSpec, ModelFile

Outputs = dict[str, Array]
INFERENCE_S = 0.004
LEAKED: list[Array] = []


class Wrapper:
    """A session that hands everything on to another."""

    staged_sets = 8

    def __init__(self, inner: ReferenceSession) -> None:
        self.inner = inner

    def stage(self, inputs: Mapping[str, Array]) -> Any:
        return self.inner.stage(inputs)

    def run(self, staged: Any) -> Any:
        return self.inner.run(staged)

    def fetch(self, outputs: Any) -> Outputs:
        return self.inner.fetch(outputs)

    def actual(self) -> Actual:
        return self.inner.actual()

    def __enter__(self) -> Any:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Nothing is held."""


class ReturnsEarly(Wrapper):
    """`run` only starts the work; `fetch` waits for it."""

    def run(self, staged: Any) -> tuple[threading.Thread, Outputs]:
        outputs: Outputs = {}

        def work() -> None:
            time.sleep(INFERENCE_S)
            outputs.update(self.inner.run(staged))

        thread = threading.Thread(target=work)
        thread.start()
        return thread, outputs

    def fetch(self, outputs: tuple[threading.Thread, Outputs]) -> Outputs:
        outputs[0].join()
        return self.inner.fetch(outputs[1])


class NeverWaits(Wrapper):
    """`run` only starts the work, and `fetch` takes what is in the output buffer: the last inference's.

    No thread and no clock, so that it never gets its outputs in time, whatever else the machine does.
    """

    def __init__(self, inner: ReferenceSession) -> None:
        super().__init__(inner)
        self.started: Outputs = {}

    def run(self, staged: Any) -> Outputs:
        finished, self.started = self.started, self.inner.run(staged)
        return finished or {name: np.zeros_like(array) for name, array in self.started.items()}


class FixedBuffers(Wrapper):
    """One input buffer and one output buffer, and says so."""

    staged_sets = 1

    def __init__(self, inner: ReferenceSession) -> None:
        super().__init__(inner)
        self.input: Outputs = {}
        self.output: Outputs = {}

    def stage(self, inputs: Mapping[str, Array]) -> None:
        for name, array in inputs.items():
            np.copyto(self.input.setdefault(name, np.empty_like(array)), array)

    def run(self, staged: None) -> Outputs:
        for name, array in self.inner.run(self.input).items():
            np.copyto(self.output.setdefault(name, np.empty_like(array)), array)
        return self.output


class FixedBuffersThatBoast(FixedBuffers):
    """One input buffer, and claims two."""

    staged_sets = 2


class HandsOutItsBuffer(FixedBuffers):
    """`fetch` gives the buffer itself, which the next run overwrites."""

    def fetch(self, outputs: Outputs) -> Outputs:
        return outputs


class ReadsMemoryAsItLies(Wrapper):
    """Takes no notice of how an array's elements are ordered."""

    def stage(self, inputs: Mapping[str, Array]) -> Any:
        return self.inner.stage(
            {name: as_strided(a, strides=np.empty_like(a, order="C").strides) for name, a in inputs.items()}
        )


class Leaks(Wrapper):
    """Keeps a megabyte of each load for ever."""

    def __init__(self, inner: ReferenceSession) -> None:
        super().__init__(inner)
        LEAKED.append(np.ones(2**17))


class InAProcess(Wrapper):
    """Everything happens in a child process; staged inputs stand here under a number."""

    def __init__(self, target: Target, io: IOSpec, options: Mapping[str, Any]) -> None:
        context = multiprocessing.get_context("spawn")
        self.pipe, theirs = context.Pipe()
        self.process = context.Process(target=_serve, args=(theirs, target, io, dict(options)), daemon=True)
        self.process.start()
        theirs.close()
        if self.pipe.recv() != "ready":
            raise RuntimeError("the child did not start")

    def _ask(self, *message: Any) -> Any:
        self.pipe.send(message)
        return self.pipe.recv()

    def stage(self, inputs: Mapping[str, Array]) -> int:
        return int(self._ask("stage", dict(inputs)))

    def run(self, staged: int) -> int:
        self._ask("run", staged)
        return staged

    def fetch(self, outputs: int) -> Outputs:
        fetched: Outputs = self._ask("fetch", outputs)
        return fetched

    def actual(self) -> Actual:
        actual: Actual = self._ask("actual", None)
        return actual

    def close(self) -> None:
        self.pipe.close()
        self.process.join(timeout=5)


def _serve(pipe: Connection, target: Target, io: IOSpec, options: dict[str, Any]) -> None:
    session = ReferenceSession(target, io, options)
    staged: list[Any] = []
    outputs: Outputs = {}
    pipe.send("ready")
    while True:
        try:
            what, argument = pipe.recv()
        except EOFError:
            return
        answer: Any = None
        if what == "stage":
            staged.append(session.stage(argument))
            answer = len(staged) - 1
        elif what == "run":
            outputs = session.run(staged[argument])
        elif what == "fetch":
            answer = session.fetch(outputs)
        else:
            answer = session.actual()
        pipe.send(answer)


class Fake(ReferenceBackend):
    """The play-back backend with its session wrapped."""

    def __init__(self, wrapper: type[Wrapper]) -> None:
        self.wrapper = wrapper

    def load(self, model: ModelFile | None, target: Target, io: IOSpec) -> Any:
        session = super().load(model, target, io)
        if self.wrapper is InAProcess:
            return InAProcess(target, io, target.options)
        return self.wrapper(session)


class FallsBack(ReferenceBackend):
    """Runs on the CPU in fp32 whatever is asked, in silence."""

    def load(self, model: ModelFile | None, target: Target, io: IOSpec) -> ReferenceSession:
        return super().load(model, Target(options=target.options), io)


__all__ = ["BACKEND", "Fake", "FallsBack"]
