"""Apache TVM: an ONNX file is compiled ahead of time into a library that its virtual machine runs.

The library is compiled for one shape, so that a decoder's cache grows by none: such cases run, step by step
generation is left out. TVM would bind its threads to cores of its own choice; that is switched off, since
where a worker runs is the harness's to say.

Over 150 lines: what ran is not told by the runtime, and is read from each kernel's call.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from backends.support import arrays, faults, profiles, targets
from backends.support.profiles import PRECISIONS, Operation
from backends.tvm import build as tvm_build
from backends.tvm import cuda, tuned
from bench.interfaces.backend import (
    Actual,
    BaseBackend,
    BaseSession,
    Capabilities,
    Devices,
    Fact,
    Preset,
    Support,
    Target,
)
from bench.interfaces.options import Option, Options
from bench.interfaces.tensors import Array, IOSpec, ModelFile
from bench.plugins import runtimes

LIBRARY = "model.so"
PLAIN = ""
CASTS = "its ONNX frontend keeps the file's fp32, and its code for a CPU computes narrower floats in fp32"
DEQUANTISES = "its ONNX frontend dequantises before each product"
NO_QUANTISER = "it has no quantiser of its own"
INTEGERS = {
    "int8:qdq": Support("none", DEQUANTISES),
    "int8:native": Support("none", NO_QUANTISER),
    "int8-dynamic": Support("none", DEQUANTISES),
    "int8-weight": Support("none", NO_QUANTISER),
    "int4-weight": Support("none", NO_QUANTISER),
}
CPU = {
    "cpu": {
        "fp32": Support("native"),
        "bf16": Support("none", CASTS),
        "fp16": Support("none", CASTS),
        **INTEGERS,
    }
}
OPTIONS = {
    "fast_math": Option("exponentials by polynomials"),
    "trials": Option("candidates that are compiled and timed", "whole", 1, 1_000_000, variants=("tuned",)),
    # Of the thirty minutes that a build may take: the rest is for the compiler.
    "minutes": Option("time of the search", "number", 0.01, 20, variants=("tuned",)),
}


class TvmSession(BaseSession):
    """The virtual machine's `main` on tensors of TVM's own: its kernels want them aligned to 64 bytes."""

    provider = Fact("llvm", "reported", "the library's target")

    def __init__(self, library: Any, device: str, io: IOSpec, settings: Mapping[str, Any]) -> None:
        import tvm
        from tvm.runtime.vm import VirtualMachine

        self._io, self._settings = io, settings
        self._library = library
        self._device = tvm.cpu() if device == "cpu" else tvm.cuda(int(device.partition(":")[2]))
        self._machine = VirtualMachine(self._library, self._device)
        self._main = self._machine["main"]
        self._tensor = tvm.runtime.tensor
        self._names = tuple(t.name for t in io.inputs)
        self._fetched = tuple((t.name, i) for i, t in enumerate(io.outputs) if t in io.fetched)
        self._alone = len(io.outputs) == 1  # then it is no tuple

    def stage(self, inputs: Mapping[str, Array], onto: tuple[Any, ...] = ()) -> tuple[Any, ...]:
        return tuple(
            self._tensor(inputs[name], self._device) if name in inputs else onto[i]
            for i, name in enumerate(self._names)
        )

    def run(self, staged: tuple[Any, ...]) -> Any:
        return self._main(*staged)

    def fetch(self, outputs: Any) -> dict[str, Array]:
        values = (outputs,) if self._alone else outputs
        return {name: values[i].numpy() for name, i in self._fetched}

    def close(self) -> None:
        del self._main, self._machine, self._library

    def actual(self) -> Actual:
        """From a second machine whose calls are timed one by one."""
        import tvm

        runs, where = self._profile()
        source = "each kernel's call in an untimed virtual machine"
        precision, shares = profiles.weigh(profiles.quickest(runs), source)
        threads = tvm.get_global_func("runtime.NumThreads")()
        return Actual(
            precision=precision,
            device=Fact(",".join(sorted(where)), "executed", "the tensors of each call"),
            provider=self.provider,
            threads=Fact(str(threads), "reported", "runtime.NumThreads"),
            settings={**shares, **self._settings},
        )

    def _settled(self) -> None:
        """Returns when the device has done what it was given."""

    def _profile(self) -> tuple[list[list[Operation]], set[str]]:
        """The operations of each of several runs, and where outputs were; a first one is not counted."""
        from tvm.runtime.vm import VirtualMachine

        machine = VirtualMachine(self._library, self._device)
        calls: list[Operation] = []
        where: set[str] = set()
        starts: list[int] = []

        def watch(function: Any, name: str, before: bool, result: Any, *arguments: Any) -> None:
            if before:
                starts.append(time.perf_counter_ns())
                return
            self._settled()
            spent = time.perf_counter_ns() - starts.pop()
            if not name.startswith("vm."):
                calls.append(_operation(name, arguments, spent))
                tensors = [argument for argument in arguments if hasattr(argument, "dtype")]
                where.update(str(tensor.device).replace("cpu:0", "cpu") for tensor in tensors[-1:])

        machine.set_instrument(watch)
        staged = self.stage(arrays.untimed_inputs(self._io))
        runs = []
        for _ in range(1 + profiles.PROFILED):
            calls.clear()
            machine["main"](*staged)
            runs.append(list(calls))
        return runs[1:], where


class CudaSession(TvmSession):
    """On a GPU, where calls only start what they do: `run` waits for its stream."""

    provider = Fact("cuda", "reported", "the library's target")

    def stage(self, inputs: Mapping[str, Array], onto: tuple[Any, ...] = ()) -> tuple[Any, ...]:
        staged = super().stage(inputs, onto)
        self._settled()
        return staged

    def run(self, staged: tuple[Any, ...]) -> Any:
        outputs = self._main(*staged)
        self._settled()
        return outputs

    def _settled(self) -> None:
        self._device.sync()


class TvmBackend(BaseBackend):
    name = "tvm"
    summary = "Apache TVM: its own code as it comes, and on a CPU by a schedule of ours, or searched for."
    formats: tuple[str, ...] = ("onnx",)
    install = "bakeoff setup tvm"
    runtime: tuple[str, ...] = ("tvm",)
    revision = 2
    variants: Mapping[str, str] = {
        PLAIN: "as it comes: plain loops on one thread of a CPU, TVM's default schedules on a GPU",
        "schedule": "by bakeoff's own deterministic CPU schedule",
        "tuned": "products by MetaSchedule's search, where it beats that schedule; the rest by the schedule",
    }
    options: Options | None = OPTIONS
    presets: Mapping[str, Preset] = {
        "stock": Preset({}, "TVM docs, 'Quick Start': the zero pipeline and tvm.compile"),
        "expert": Preset(
            {"fast_math": True},
            "TVM docs, relax.transform.FastMathTransform: 'convert the expensive nonlinear functions to "
            "their fast but approximate counterparts'",
        ),
    }

    def environment(self, target: Target) -> Mapping[str, str]:
        threads = {"TVM_NUM_THREADS": str(target.threads), "TVM_BIND_THREADS": "0"}
        return {**super().environment(target), **threads}

    def probe(self) -> Capabilities:
        runtimes.import_runtime(self)
        import tvm

        found, why_not = cuda.gpus()
        detail = {"cpu": tvm_build.cpu(), "CUDA": cuda.built_for() or "none"}
        detail |= {"cuda": why_not} if why_not else {"compiler": cuda.compiler() or "none"}
        others = dict.fromkeys((name for name in self.variants if name != PLAIN), CPU)
        return Capabilities(tvm.__version__, _devices(len(found)), detail, others)

    def build(self, model: ModelFile, target: Target, io: IOSpec, folder: Path) -> ModelFile:
        settings = self._settle(target)
        path = folder / LIBRARY
        tvm_build.build(model, target, io, settings, path)
        return ModelFile("tvm-library", path, model.sha256)

    def load(self, model: ModelFile | None, target: Target, io: IOSpec) -> TvmSession:
        settings = self._settle(target)
        model = targets.given(self, model)
        import tvm_ffi

        session = CudaSession if target.device_kind == "cuda" else TvmSession
        try:
            settings |= tuned.told(model.path.parent)
            # tvm's own way to load it never lets go of the weights in it.
            library = tvm_ffi.load_module(model.path, keep_module_alive=False)
        except (OSError, RuntimeError) as error:
            raise faults.broken(model, error) from error
        return session(library, target.device, io, settings)

    def _settle(self, target: Target) -> dict[str, Any]:
        runtimes.import_runtime(self)
        gpus = target.device_kind == "cuda" and target.variant == PLAIN
        targets.require(self, target, _devices(len(cuda.gpus()[0])) if gpus else CPU)
        searches = target.variant == "tuned"
        settings = targets.settings(self, target)
        return {**tuned.BUDGET, **settings} if searches else settings


def _devices(gpus: int) -> Devices:
    """What the plain variant has, with that many GPUs."""
    return {**CPU, **{f"cuda:{i}": cuda.table(INTEGERS) for i in range(gpus)}}


def _operation(name: str, arguments: tuple[Any, ...], ns: float) -> Operation:
    """A kernel's call: its arithmetic is its first tensor's type, or its output's where that is an index."""
    types = [str(argument.dtype) for argument in arguments if hasattr(argument, "dtype")]
    floats = [PRECISIONS[dtype] for dtype in (*types[:1], *types[-1:]) if dtype in PRECISIONS]
    return Operation(name, floats[0] if floats else "", ns, any(kind in name for kind in tuned.PRODUCTS))


BACKEND = TvmBackend()
