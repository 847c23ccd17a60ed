"""ExecuTorch on the CPU: a program of its runtime, whose products the XNNPACK delegate computes.

The bindings are imported as they are, beside torch, whose tensors they take. `executorch.runtime`, the thin
wrapper of them, would import the exporter too.

Over 150 lines: threads belong to a pool of the process, which has to be made anew and counted, and a program
of one shape has to be held against the case's.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import numpy as np

from backends.executorch import profile
from backends.support import arrays, faults, targets
from backends.support import threads as support_threads
from bench.interfaces.backend import (
    Actual,
    BaseBackend,
    BaseSession,
    Capabilities,
    Fact,
    Preset,
    Support,
    Target,
)
from bench.interfaces.errors import BackendUnavailable, ModelFileError
from bench.interfaces.options import Option
from bench.interfaces.tensors import Array, IOSpec, ModelFile, TensorSpec
from bench.plugins import runtimes

BINDINGS = "executorch.extension.pybindings._C"
DELEGATE = "XnnpackBackend"
METHOD = "forward"
CLONE = "clone_outputs"
NO_RECIPE = "its quantisers for XNNPACK quantise activations too: int8:native, int8-dynamic"
DEVICES = {
    "cpu": {
        "fp32": Support("native"),
        "bf16": Support("none", "XnnpackPartitioner leaves it to reference kernels (enable_bf16 is off)"),
        "fp16": Support("none", "XNNPACK's kernels of fp16 add in fp32 where a CPU has no fp16"),
        "int8:qdq": Support("none", "its own quantiser's static model is int8:native"),
        "int8:native": Support("native"),
        "int8-dynamic": Support("native"),
        "int8-weight": Support("none", NO_RECIPE),
        "int4-weight": Support("native"),
    }
}

Staged = tuple[Any, ...]  # a tensor for each input


class ExecuTorchSession(BaseSession):
    """One loaded method. Staged tensors share the memory of host arrays; the runtime copies them into the
    program's own within `run`, and outputs out of it, unless told otherwise."""

    def __init__(self, model: ModelFile, target: Target, io: IOSpec, settings: Mapping[str, Any]) -> None:
        self._model, self._io, self._settings = model, io, settings
        self._threads = _pool(target.threads)
        self._clone = bool(settings[CLONE])
        self._program, self._method = _open(model)
        _require_shapes(model, self._method.method_meta(), io)
        places = {spec.name: place for place, spec in enumerate(io.outputs)}
        self._outputs = tuple((spec.name, places[spec.name]) for spec in io.fetched)

    def stage(self, inputs: Mapping[str, Array], onto: Staged | None = None) -> Staged:
        from torch import from_numpy

        return tuple(
            from_numpy(np.ascontiguousarray(inputs[spec.name]))
            if onto is None or spec.name in inputs
            else onto[place]
            for place, spec in enumerate(self._io.inputs)
        )

    def run(self, staged: Staged) -> list[Any]:
        return self._method(staged, self._clone)  # type: ignore[no-any-return]

    def fetch(self, outputs: list[Any]) -> dict[str, Array]:
        if self._clone:
            return {name: outputs[place].numpy() for name, place in self._outputs}
        return {name: outputs[place].numpy().copy() for name, place in self._outputs}

    def close(self) -> None:
        del self._method, self._program

    def actual(self) -> Actual:
        untimed = self.stage(arrays.untimed_inputs(self._io))
        found = profile.executed(_bindings(), self._model.path, untimed)
        told = f"{_bindings()._threadpool_get_thread_count()} by its own count"
        return Actual(
            precision=found.precision,
            device=Fact("cpu", "reported", "XNNPACK and its own kernels have no other"),
            provider=found.provider,
            threads=Fact(str(self._threads), "reported", f"the caller and those of its pool; {told}"),
            settings={**found.shares, **self._settings},
        )


class ExecuTorchBackend(BaseBackend):
    name = "executorch"
    summary = "ExecuTorch (PyTorch Mobile's successor) with its XNNPACK delegate."
    formats: tuple[str, ...] = ("executorch",)
    quantised: Mapping[str, tuple[str, ...]] = {
        "int8:native": ("executorch-int8",),
        "int8-dynamic": ("executorch-dynamic",),
        "int4-weight": ("executorch-weight",),
    }
    install = "bakeoff setup executorch"
    runtime: tuple[str, ...] = ("executorch.version", "torch", BINDINGS)
    options: Mapping[str, Option] = {CLONE: Option("outputs are copied out of the runtime's memory")}
    presets: Mapping[str, Preset] = {
        "stock": Preset(
            {CLONE: True},
            "ExecuTorch's README, 'Quick Start' in Python: load_method, execute, with their defaults",
        ),
        "expert": Preset(
            {CLONE: False},
            "extension/pybindings, clone_outputs: outputs stay in the program's memory until its next run",
        ),
    }

    def probe(self) -> Capabilities:
        runtimes.import_runtime(self)
        delegates = _bindings()._get_registered_backend_names()
        if DELEGATE not in delegates:
            raise BackendUnavailable(
                f"executorch: this build has no {DELEGATE} (it has {', '.join(delegates) or 'none'})",
                hint=self.install,
            )
        return Capabilities(_version(), DEVICES, {"delegates in this build": ", ".join(delegates)})

    def load(self, model: ModelFile | None, target: Target, io: IOSpec) -> ExecuTorchSession:
        runtimes.import_runtime(self)
        targets.require(self, target, DEVICES)
        model = targets.given(self, model)
        return ExecuTorchSession(model, target, io, targets.settings(self, target))


@functools.lru_cache(maxsize=1)
def _pool(threads: int) -> int:
    """Threads that compute, the caller among them, once the process's pool has been made anew.

    Programs that are loaded keep the pool that they were loaded with: those of one number of threads must be
    closed before one of another is loaded.
    """
    bindings = _bindings()
    bindings._unsafe_reset_threadpool(1)
    before = support_threads.tasks()
    bindings._unsafe_reset_threadpool(threads)
    return 1 + support_threads.tasks() - before if before else int(bindings._threadpool_get_thread_count())


def _bindings() -> Any:
    from importlib import import_module

    return import_module(BINDINGS)


def _version() -> str:
    try:
        return version("executorch")
    except PackageNotFoundError:
        return "?"


def _open(model: ModelFile) -> tuple[Any, Any]:
    """The program and its method. Raises ModelFileError, UnsupportedCase."""
    try:
        program = _bindings()._load_program(str(model.path))
    except RuntimeError as error:
        raise faults.broken(model, error) from error
    with faults.refusals("executorch", "bakeoff doctor", RuntimeError):
        return program, program.load_method(METHOD)


def _require_shapes(model: ModelFile, meta: Any, io: IOSpec) -> None:
    """Raises ModelFileError where the method's tensors are not the case's."""

    def differ(of: Any, count: int, specs: tuple[TensorSpec, ...]) -> bool:
        return [tuple(of(place).sizes()) for place in range(count)] != [spec.shape for spec in specs]

    sides = (
        (meta.input_tensor_meta, meta.num_inputs(), io.inputs),
        (meta.output_tensor_meta, meta.num_outputs(), io.outputs),
    )
    for side in sides:
        if differ(*side):
            raise ModelFileError(f"{model.path}: {meta} are not the tensors of the case")


BACKEND = ExecuTorchBackend()
