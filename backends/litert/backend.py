"""LiteRT (TensorFlow Lite) on the CPU: the interpreter with its XNNPACK delegate.

The interpreter has one buffer for each input. `run` copies into them what they do not hold yet: inputs that
have run before stay where they are, fresh ones are copied within `run`. `fetch` copies outputs.

Over 150 lines: the interpreter orders its tensors by rules of its own, and tells its threads to nobody.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from typing import Any

from backends.litert import graph
from backends.support import faults, targets, threads
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
from bench.interfaces.errors import ModelFileError
from bench.interfaces.tensors import Array, IOSpec, ModelFile, TensorSpec
from bench.plugins import runtimes

NO_KERNELS = "its kernels compute files with such weights in fp32"
DEVICES = {
    "cpu": {
        "fp32": Support("native"),
        "bf16": Support("none", NO_KERNELS),
        "fp16": Support("none", NO_KERNELS),
        "int8:qdq": Support("none", "its own quantiser's static model is int8:native"),
        "int8:native": Support("native"),
        "int8-dynamic": Support("native"),
        "int8-weight": Support("none", "XNNPACK unpacks such weights to fp32 when the model is loaded"),
        "int4-weight": Support("native"),
    }
}


def _module() -> str:
    """The package that is there: LiteRT's own, or the one that it was before."""
    try:
        old = find_spec("ai_edge_litert") is None and find_spec("tflite_runtime") is not None
    except ImportError:
        old = False
    return "tflite_runtime.interpreter" if old else "ai_edge_litert.interpreter"


class LiteRtSession(BaseSession):
    """One interpreter; staged inputs are arrays by tensor index, in the types of the file."""

    def __init__(self, model: ModelFile, target: Target, io: IOSpec, settings: Mapping[str, Any]) -> None:
        self._model, self._target, self._io, self._settings = model, target, io, settings
        before = threads.tasks()
        self._interpreter = _open(model, target, settings)
        self._started = threads.tasks() - before
        runner = self._interpreter.get_signature_runner()
        ins = _in_order(model, io.inputs, runner.get_input_details())
        outs = _in_order(model, io.outputs, runner.get_output_details())
        self._inputs = tuple((t.name, d["index"], d["dtype"]) for t, d in zip(io.inputs, ins, strict=True))
        places = {t.name: d["index"] for t, d in zip(io.outputs, outs, strict=True)}
        self._outputs = tuple((t.name, places[t.name]) for t in io.fetched)
        self._bound: dict[int, Array] = {}

    def stage(self, inputs: Mapping[str, Array], onto: Mapping[int, Array] | None = None) -> dict[int, Array]:
        # A view is an object of its own, by which `run` tells fresh inputs from those that it holds.
        fresh = {
            place: inputs[name].astype(dtype, copy=False).view()
            for name, place, dtype in self._inputs
            if name in inputs
        }
        return fresh if onto is None else {**onto, **fresh}

    def run(self, staged: Mapping[int, Array]) -> Any:
        bound, interpreter = self._bound, self._interpreter
        for place, array in staged.items():
            if bound.get(place) is not array:
                interpreter.set_tensor(place, array)
                bound[place] = array
        interpreter.invoke()
        return interpreter

    def fetch(self, outputs: Any) -> dict[str, Array]:
        return {name: outputs.get_tensor(place) for name, place in self._outputs}

    def close(self) -> None:
        del self._interpreter, self._bound

    def actual(self) -> Actual:
        """From a profile of the same file by LiteRT's C API, else from the interpreter's execution plan."""
        found = graph.executed(self._interpreter, self._model.path, self._target.threads)
        return Actual(
            precision=found.precision,
            device=Fact("cpu", "reported", "no delegate but XNNPACK is in the execution plan"),
            provider=found.provider,
            threads=self._threads(),
            settings={**found.shares, **self._settings},
        )

    def _threads(self) -> Fact:
        if not threads.tasks():
            return Fact(str(self._target.threads), "none", "num_threads; this system lists no threads")
        return Fact(str(1 + self._started), "reported", "the caller, and what the interpreter started")


class LiteRtBackend(BaseBackend):
    name = "litert"
    summary = "LiteRT (TensorFlow Lite) with its XNNPACK delegate."
    formats: tuple[str, ...] = ("tflite",)
    quantised: Mapping[str, tuple[str, ...]] = {
        "int8:native": ("tflite-int8",),
        "int8-dynamic": ("tflite-dynamic",),
        "int4-weight": ("tflite-weight",),
    }
    install = "bakeoff setup litert"
    runtime: tuple[str, ...] = (_module(),)
    presets: Mapping[str, Preset] = {
        "stock": Preset({}, "LiteRT docs, 'Run LiteRT models in Python': an Interpreter with its defaults"),
    }

    def probe(self) -> Capabilities:
        runtimes.import_runtime(self)
        package = self.runtime[0].partition(".")[0].replace("_", "-")
        return Capabilities(_version(package), DEVICES, {"package": package})

    def load(self, model: ModelFile | None, target: Target, io: IOSpec) -> LiteRtSession:
        runtimes.import_runtime(self)
        targets.require(self, target, DEVICES)
        model = targets.given(self, model)
        return LiteRtSession(model, target, io, targets.settings(self, target))


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "?"


def _open(model: ModelFile, target: Target, settings: Mapping[str, Any]) -> Any:
    """An interpreter with its tensors allocated. Raises ModelFileError, UnsupportedCase."""
    from importlib import import_module

    interpreter = import_module(_module()).Interpreter
    try:
        opened = interpreter(str(model.path), num_threads=target.threads, **settings)
    except (OSError, ValueError) as error:
        raise faults.broken(model, error) from error
    with faults.refusals("litert", "bakeoff doctor", RuntimeError):
        opened.allocate_tensors()
    return opened


def _in_order(
    model: ModelFile, specs: tuple[TensorSpec, ...], details: Mapping[str, Mapping[str, Any]]
) -> list[Mapping[str, Any]]:
    """Tensors in the workload's order: by the number at the end of their names. Raises ModelFileError."""
    ordered = [details[name] for name in sorted(details, key=lambda name: int(name.rpartition("_")[2]))]
    shapes = [tuple(int(extent) for extent in tensor["shape"]) for tensor in ordered]
    if shapes != [spec.shape for spec in specs]:
        raise ModelFileError(
            f"{model.path}: has tensors of {shapes}, the case those of {[spec.shape for spec in specs]}"
        )
    return ordered


BACKEND = LiteRtBackend()
