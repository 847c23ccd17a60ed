"""IREE's compiler for CPUs (LLVM) and its runtime, from the portable form of the StableHLO program.

There is no next step of a decoder, whose shapes are others: each would be a compilation.
Over 150 lines: what ran is read from a profile by IREE's own tools, and calls go to its virtual machine
itself, since its Python wrapper looks at each argument anew at each inference (a decoder's step has 61).
"""

from __future__ import annotations

import json
import re
import subprocess
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from backends.support import faults, files, profiles, targets
from backends.support.profiles import PRECISIONS, Operation
from backends.support.stablehlo import ARGUMENTS
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
from bench.interfaces.options import Option
from bench.interfaces.tensors import Array, IOSpec, ModelFile
from bench.plugins import runtimes

if TYPE_CHECKING:
    import iree.runtime as rt

MODULE = "module.vmfb"
DEVICE = "local-task"
MLIR_BYTECODE = b"ML\xefR"
WORKER = "iree-worker"  # how IREE names the threads that compute
STATIC = ("--iree-llvmcpu-target-cpu=host",)
# How IREE names what it compiled: `main_dispatch_3_matmul_like_16x12544x32_f32`, the operands' types last.
DISPATCH = re.compile(r"_dispatch_\d+_([a-z_]+?)(?:_\d|$)")
TYPE = re.compile(r"(?:bf|f|i)\d+")
PRODUCTS = ("conv", "matmul", "matvec", "vecmat", "batch_", "contract")
DECLARED = re.compile(r"%input\d+: tensor<([^>]+)>")
INTEGERS = {"int32": np.int32, "int64": np.int32}
NOT_TRIED = "the programs that are compiled for it are in fp32"


class Staged:
    """The inputs by place, and those that the program makes use of as its arguments."""

    __slots__ = ("arguments", "inputs")

    def __init__(self, arguments: rt.VmVariantList, inputs: Mapping[int, Any]) -> None:
        self.arguments, self.inputs = arguments, inputs


class IreeSession(BaseSession):
    """Weights are part of the module; outputs are new buffers at each run."""

    def __init__(self, model: ModelFile, target: Target, io: IOSpec, settings: Mapping[str, Any]) -> None:
        import iree.runtime as rt

        self._path, self._io, self._threads, self._settings = model.path, io, target.threads, settings
        self._runtime = rt
        # Read when a device is made, which is at each load.
        rt.flags.parse_flags(f"--task_topology_group_count={target.threads}")
        # What fails here is the device's, the driver's or the system's: the file has not been looked at.
        self._device = rt.get_device(DEVICE, cache=False)
        config = rt.Config(device=self._device)
        self._context = rt.SystemContext(config=config)
        try:
            module = rt.VmModule.mmap(config.vm_instance, str(model.path))
            self._context.add_vm_module(module)
            self._function = module.lookup_function("main")
            self._order: list[int] = json.loads((model.path.parent / ARGUMENTS).read_text())
        except Exception as error:
            raise faults.broken(model, error) from error
        self._names = {t.name: (i, INTEGERS.get(t.dtype, np.float32)) for i, t in enumerate(io.inputs)}
        places = {t.name: i for i, t in enumerate(io.outputs)}
        self._fetched = tuple((t.name, places[t.name], np.dtype(t.dtype)) for t in io.fetched)

    def _buffer(self, array: Array) -> Any:
        return self._runtime.asdevicearray(self._device, np.ascontiguousarray(array))

    def stage(self, inputs: Mapping[str, Array], onto: Staged | None = None) -> Staged:
        """Ids go from int64 to the program's int32."""
        fresh = {
            index: self._buffer(inputs[name].astype(dtype, copy=False))
            for name, (index, dtype) in self._names.items()
            if name in inputs
        }
        found = fresh if onto is None else {**onto.inputs, **fresh}
        arguments = self._runtime.VmVariantList(len(self._order))
        for index in self._order:
            arguments.push_ref(found[index]._buffer_view)
        return Staged(arguments, found)

    def run(self, staged: Staged) -> rt.VmVariantList:
        outputs = self._runtime.VmVariantList(len(self._io.outputs))
        self._context.vm_context.invoke(self._function, staged.arguments, outputs)
        return outputs

    def fetch(self, outputs: rt.VmVariantList) -> dict[str, Array]:
        rt, fetched = self._runtime, {}
        for name, index, dtype in self._fetched:
            view = outputs.get_as_object(index, rt.HalBufferView)
            fetched[name] = np.array(rt.DeviceArray(self._device, view).to_host(), dtype)
        return fetched

    def close(self) -> None:
        del self._function, self._context, self._device

    def actual(self) -> Actual:
        """From a profile that the runtime's own tools take of the module, in a process of theirs."""
        runs = [self._profile() for _ in range(profiles.PROFILED)]
        precision, shares = profiles.weigh(profiles.quickest(runs), "iree-profile of an untimed run")
        products = Counter(one.kind for one in runs[0] if one.product)
        named = ", ".join(f"{count} {kind}" for kind, count in products.most_common())
        names = {path.read_text() for path in Path("/proc/self/task").glob("*/comm")}
        workers = sum(name.startswith(WORKER) for name in names)
        return Actual(
            precision=precision,
            device=Fact("cpu", "reported", f"device {DEVICE}, code for LLVM's CPU target"),
            provider=Fact(DEVICE, "executed", named),
            threads=Fact(str(workers), "reported", f"threads of the process that are named {WORKER}"),
            settings={**shares, **self._settings},
        )

    def _profile(self) -> list[Operation]:
        """What was dispatched in a run whose inputs are ones, with its time."""
        declared = DECLARED.findall(self._function.reflection["iree.abi.declaration"])
        tools = Path(import_module("iree._runtime_libs").__file__ or "").parent
        with tempfile.TemporaryDirectory(prefix="bakeoff-iree-") as folder:
            bundle = f"{folder}/run.ireeprof"
            run = [str(tools / "iree-run-module"), f"--device={DEVICE}", f"--module={self._path}"]
            run += ["--function=main", f"--task_topology_group_count={self._threads}"]
            run += ["--device_profiling_mode=host-execution", f"--device_profiling_output={bundle}"]
            subprocess.run([*run, *(f"--input={t}=1" for t in declared)], capture_output=True, check=True)
            read = [str(tools / "iree-profile"), "dispatch", "--format=jsonl", bundle]
            rows = subprocess.run(read, capture_output=True, check=True, text=True).stdout.splitlines()
        found = (json.loads(row) for row in rows)
        return [_operation(row["key"], row["total_ns"]) for row in found if "key" in row]


class IreeBackend(BaseBackend):
    name = "iree"
    summary = "IREE: compiled by LLVM for this CPU, run by its task system."
    formats: tuple[str, ...] = ("vhlo",)
    install = "bakeoff setup iree"
    runtime: tuple[str, ...] = ("iree.runtime",)
    options: Mapping[str, Option] = {
        "iree-opt-level": Option("how much the compiler optimises", choices=("O0", "O1", "O2", "O3")),
        "iree-llvmcpu-enable-ukernels": Option("which hand-written kernels it takes", "text"),
    }
    presets: Mapping[str, Preset] = {
        "stock": Preset({}, "IREE docs, 'CPU deployment': llvm-cpu for the host's CPU, local-task"),
        "expert": Preset(
            {"iree-opt-level": "O3"},
            "IREE docs, 'Optimization options': O3 enables aggressive optimizations",
        ),
    }

    def probe(self) -> Capabilities:
        runtimes.import_runtime(self)
        import iree.runtime as rt

        detail = {"drivers": ", ".join(rt.query_available_drivers())}
        return Capabilities(version("iree-base-runtime"), {"cpu": TABLE}, detail)

    def build(self, model: ModelFile, target: Target, io: IOSpec, folder: Path) -> ModelFile:
        settings = self._settle(target)
        import iree.compiler.tools as tools

        try:
            readable = model.path.read_bytes()[:4] == MLIR_BYTECODE
        except OSError as error:
            raise faults.broken(model, error) from error
        if not readable:
            raise faults.unfit(model, "it is no MLIR bytecode")
        path = folder / MODULE
        with _refusals(tools.CompilerToolError):
            tools.compile_file(
                str(model.path),
                output_file=str(path),
                input_type="stablehlo",
                target_backends=["llvm-cpu"],
                extra_args=[*STATIC, *(f"--{name}={value}" for name, value in settings.items())],
            )
        files.place(model.path.parent / ARGUMENTS, folder / ARGUMENTS)
        return ModelFile("iree-module", path, model.sha256)

    def load(self, model: ModelFile | None, target: Target, io: IOSpec) -> IreeSession:
        settings = self._settle(target)
        model = targets.given(self, model)
        return IreeSession(model, target, io, settings)

    def _settle(self, target: Target) -> dict[str, Any]:
        runtimes.import_runtime(self)
        targets.require(self, target, {"cpu": TABLE})
        return targets.settings(self, target)


@contextmanager
def _refusals(tool_error: type[Exception]) -> Iterator[None]:
    """What the compiler says of the program is a refusal; a compiler that crashed or was not started, and
    says nothing of it, is a failure."""
    try:
        yield
    except tool_error as error:
        said = [line.partition("error:")[2].strip() for line in str(error).splitlines() if "error:" in line]
        if not said:
            raise
        with faults.refusals("iree cannot compile this program", "leave this backend out for this workload"):
            raise RuntimeError(said[0] or str(error)) from error


TABLE = {
    "fp32": Support("native"),
    **dict.fromkeys(("bf16", "fp16"), Support("none", NOT_TRIED)),
    **dict.fromkeys(
        ("int8:qdq", "int8:native", "int8-dynamic", "int8-weight", "int4-weight"), Support("none", NOT_TRIED)
    ),
}


def _operation(name: str, ns: float) -> Operation:
    """A dispatch; a product's arithmetic is the first type in its name, another's the last."""
    match, types = DISPATCH.search(name), TYPE.findall(name)
    kind = match[1] if match else name
    product = kind.startswith(PRODUCTS)
    dtype = (types[0] if product else types[-1]) if types else ""
    return Operation(kind, PRECISIONS.get(dtype, ""), ns, product)


BACKEND = IreeBackend()
