"""Plays back the right outputs, and misbehaves when told to: for the tests of the engine.

Over 150 lines: there are many ways to misbehave.

Options:
    reference: npz with `in:NAME` and `out:NAME`, each [samples, …]; without it, and for inputs that are not
        in it, outputs are zeros.
    delay_us: an inference is busy for so long.
    own_share: it has a clock of its own, by which an inference takes this share of that.
    fault: one of `FAULTS`; when: `load`, `run`, `fetch` (the first of each) or `late` (the run after
        `after` others, 20 if left out).
"""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NoReturn

import numpy as np

from backends.support import targets
from bench.interfaces.backend import (
    Actual,
    BaseBackend,
    BaseSession,
    Capabilities,
    Fact,
    Preset,
    Role,
    Support,
    Target,
)
from bench.interfaces.errors import UnsupportedCase, did_you_mean
from bench.interfaces.options import Option, Options
from bench.interfaces.tensors import Array, IOSpec, ModelFile

DEVICES = {"cpu": {"fp32": Support("native", "it plays back")}}
OPTIONS = {
    "reference": Option("path of the outputs that it plays back", "text"),
    "delay_us": Option("what an inference takes, µs", "number", 0),
    "own_share": Option("share of it that its own clock tells", "number", 0, 1),
    "fault": Option("what goes wrong", "text"),
    "when": Option("when it does", "text"),
    "after": Option("inferences before it does", "whole", 0),
}
MOMENTS = ("load", "run", "late", "fetch")
SLEEP_S = 600.0
Rows = Mapping[bytes, Mapping[str, Array]]


def crash() -> None:
    os.kill(os.getpid(), signal.SIGSEGV)


def hang() -> NoReturn:
    while True:
        time.sleep(SLEEP_S)


def leave() -> NoReturn:
    os._exit(0)


def chatter() -> None:
    """Eight megabytes each to the standard streams, past Python's own buffers."""
    for descriptor in (1, 2):
        for _ in range(2**13):
            os.write(descriptor, b"x" * 1023 + b"\n")


def allocate() -> NoReturn:
    held = []
    while True:
        held.append(np.ones(2**23, dtype=np.float64))  # 64 MiB, touched


def fork() -> None:
    """Three children that outlive their parent if they are let: plain, in its own session, deaf to TERM."""
    kinds: tuple[Callable[[], object], ...] = (nothing, os.setsid, _ignore_term)
    for begin in kinds:
        if os.fork() == 0:
            try:
                begin()
                time.sleep(SLEEP_S)
            finally:
                os._exit(0)


def _ignore_term() -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)


def fail() -> NoReturn:
    raise RuntimeError("the reference backend was told to raise")


def dawdle() -> None:
    time.sleep(2.0)


def nothing() -> None:
    """`wrong` shows in the outputs."""


FAULTS: Mapping[str, Callable[[], None]] = {
    "wrong": nothing,
    "crash": crash,
    "hang": hang,
    "exit": leave,
    "print": chatter,
    "allocate": allocate,
    "fork": fork,
    "raise": fail,
    "slow": dawdle,
}


class ReferenceSession(BaseSession):
    def __init__(self, target: Target, io: IOSpec, options: Mapping[str, Any]) -> None:
        self._target, self._io = target, io
        self._rows = _rows(Path(options["reference"]), io) if "reference" in options else {}
        self._delay_ns = int(float(options.get("delay_us", 0)) * 1000)
        self._fault = options.get("fault", "")
        self._when = options.get("when", "run")
        self._runs_before = int(options.get("after", 20)) if self._when == "late" else 0
        self._runs = 0
        self._happened = False
        self._happen("load")

    def stage(self, inputs: Mapping[str, Array], onto: Mapping[str, Array] | None = None) -> dict[str, Array]:
        return {**(onto or {}), **{name: array.copy() for name, array in inputs.items()}}

    def run(self, staged: Mapping[str, Array]) -> dict[str, Array]:
        end = time.perf_counter_ns() + self._delay_ns
        self._runs += 1
        if self._runs > self._runs_before:
            self._happen("late" if self._when == "late" else "run")
        outputs = self._outputs(staged)
        while time.perf_counter_ns() < end:
            pass
        return outputs

    def fetch(self, outputs: Mapping[str, Array]) -> dict[str, Array]:
        self._happen("fetch")
        wrong = self._happened and self._fault == "wrong"
        names = [t.name for t in self._io.fetched]
        return {name: outputs[name] + 1 if wrong else outputs[name].copy() for name in names}

    def actual(self) -> Actual:
        assumed = "played back"
        return Actual(
            precision=Fact(self._target.arithmetic, "none", assumed),
            device=Fact(self._target.device, "none", assumed),
            provider=Fact("playback", "none", assumed),
            threads=Fact(str(self._target.threads), "none", assumed),
        )

    def _outputs(self, staged: Mapping[str, Array]) -> dict[str, Array]:
        outputs = {t.name: np.zeros(t.shape, t.dtype) for t in self._io.outputs}
        if self._rows:
            for i in range(len(next(iter(staged.values())))):
                known = self._rows.get(_key([staged[t.name][i] for t in self._io.inputs]), {})
                for name, row in known.items():
                    outputs[name][i] = row
        return outputs

    def _happen(self, moment: str) -> None:
        if self._fault and moment == self._when and not self._happened:
            self._happened = True
            sys.stdout.flush()
            FAULTS[self._fault]()


class ClockedSession(ReferenceSession):
    """One that tells the device's own time."""

    def __init__(self, target: Target, io: IOSpec, options: Mapping[str, Any]) -> None:
        super().__init__(target, io, options)
        self._own_ns = round(self._delay_ns * float(options["own_share"]))

    def device_ns(self) -> int:
        return self._own_ns


class ReferenceBackend(BaseBackend):
    name = "reference"
    summary = "Plays back the right outputs, and misbehaves when told to; for tests."
    install = "pip install bakeoff"
    role: Role = "test"
    options: Options | None = OPTIONS
    presets: Mapping[str, Preset] = {"stock": Preset({}, "there is nothing to set")}

    def probe(self) -> Capabilities:
        return Capabilities(np.__version__, DEVICES)

    def load(self, model: ModelFile | None, target: Target, io: IOSpec) -> ReferenceSession:
        targets.require(self, target, DEVICES)
        options = targets.settings(self, target)
        for key, known in (("fault", FAULTS), ("when", MOMENTS)):
            if key in options and options[key] not in known:
                raise UnsupportedCase(
                    f"reference: no {key} {options[key]!r}", hint=did_you_mean(str(options[key]), known)
                )
        session = ClockedSession if "own_share" in options else ReferenceSession
        return session(target, io, options)


def _rows(path: Path, io: IOSpec) -> Rows:
    """Bytes of a sample's inputs → its outputs."""
    with np.load(path, allow_pickle=False) as file:
        inputs = [file[f"in:{t.name}"].astype(t.dtype, copy=False) for t in io.inputs]
        outputs = {t.name: file[f"out:{t.name}"].astype(t.dtype) for t in io.fetched}
    samples = range(len(inputs[0]))
    return {_key([a[i] for a in inputs]): {name: a[i] for name, a in outputs.items()} for i in samples}


def _key(arrays: list[Array]) -> bytes:
    return b"".join(np.ascontiguousarray(array).tobytes() for array in arrays)


BACKEND = ReferenceBackend()
