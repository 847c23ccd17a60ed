"""XLA's compilers for CPUs and CUDA GPUs, by JAX: a StableHLO program, compiled ahead of time for a case.

There is no next step of a decoder, whose shapes are others: each would be a compilation.
Over 150 lines: what was compiled ahead of time may be refused by the very CPU that it was compiled for, and
two kinds of device take other settings.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from backends.support import faults, files, hlo, targets
from backends.support.stablehlo import WEIGHTS
from backends.xla import cuda
from backends.xla.program import Program
from backends.xla.session import POOL_SIZE, CudaSession, XlaSession
from bench.interfaces.backend import BaseBackend, Capabilities, Preset, Support, Target
from bench.interfaces.options import Option, Options
from bench.interfaces.tensors import IOSpec, ModelFile
from bench.machine import instructions
from bench.plugins import runtimes

if TYPE_CHECKING:
    import jax

PROGRAM = "program.jax"
EXECUTABLE = "executable.xla"
OPTIONS = {
    "jax_cpu_enable_async_dispatch": Option("calls return before they are done", devices=("cpu",)),
    "xla_cpu_enable_fast_math": Option("floats as if numbers were real", devices=("cpu",)),
    "xla_gpu_triton_gemm_any": Option("matrix products by Triton where it can", devices=("cuda",)),
    "xla_gpu_autotune_level": Option("how thoroughly kernels are tuned", "whole", 0, 5, devices=("cuda",)),
    "xla_gpu_enable_command_buffer": Option("commands that a graph holds", "text", devices=("cuda",)),
}
NO_INTEGERS = "no converter makes a StableHLO program with products of integers"


class XlaBackend(BaseBackend):
    name = "xla"
    summary = "XLA's compilers for CPUs and CUDA GPUs through JAX, from StableHLO."
    formats: tuple[str, ...] = ("stablehlo",)
    install = "bakeoff setup xla"
    runtime: tuple[str, ...] = ("jax",)
    options: Options | None = OPTIONS
    presets: Mapping[str, Preset] = {
        "stock": Preset({}, "JAX docs, 'Ahead-of-time lowering and compilation': lower and compile"),
        "expert": Preset(
            {"jax_cpu_enable_async_dispatch": False, "xla_gpu_triton_gemm_any": True},
            "JAX change log, 0.4.31: inline execution of CPU computations instead of asynchronous dispatch; "
            "on a GPU JAX docs, 'GPU performance tips': the Triton emitter for any product that it supports",
        ),
    }

    def environment(self, target: Target) -> Mapping[str, str]:
        """A worker sees the platform of its device alone."""
        shared = cuda.SHARED if target.device_kind == cuda.PLATFORM else {}
        own = {POOL_SIZE: str(target.threads), "JAX_PLATFORMS": target.device_kind, **shared}
        return {**super().environment(target), **own}

    def probe(self) -> Capabilities:
        runtimes.import_runtime(self)
        import jax
        import jaxlib

        cuda.see()
        found, why_not = cuda.gpus()
        detail = {"jaxlib": jaxlib.__version__, "CUDA": cuda.built_for() or "none"}
        if why_not:
            detail["cuda"] = why_not
        devices = {"cpu": {precision: _on_cpu(precision) for precision in PRECISIONS}} if _cpus() else {}
        for i, device in enumerate(found):
            detail[f"cuda:{i}"] = device.device_kind
            devices[f"cuda:{i}"] = _on_cuda(device)
        return Capabilities(jax.__version__, devices, detail)

    def build(self, model: ModelFile, target: Target, io: IOSpec, folder: Path) -> ModelFile:
        """The executable, with the program and the weights beside it, which it is called with."""
        settings, _, device = self._settle(target)
        import jax
        from jax.experimental import serialize_executable

        program = _program(model, target, io, device)
        what = "xla cannot compile this program"
        kinds = (jax.errors.JaxRuntimeError, NotImplementedError)
        with faults.refusals(what, "leave this backend out for this workload", kinds):
            compiled = program.compile(settings)
        path = folder / EXECUTABLE
        path.write_bytes(serialize_executable.serialize(compiled)[0])
        for source, name in ((model.path, PROGRAM), (model.path.parent / WEIGHTS, WEIGHTS)):
            files.place(source, folder / name)
        return ModelFile("xla-executable", path, model.sha256)

    def load(self, model: ModelFile | None, target: Target, io: IOSpec) -> XlaSession:
        settings, how, device = self._settle(target)
        model = targets.given(self, model)
        import jax
        from jax.experimental import serialize_executable

        program = _program(ModelFile("stablehlo", model.path.with_name(PROGRAM), ""), target, io, device)
        made = {"compiled": "ahead of time"}
        runs_on = device or jax.devices()[0]
        try:
            compiled = serialize_executable.deserialize_and_load(
                model.path.read_bytes(), *program.trees(), runs_on.client, [runs_on]
            )
        except Exception as error:
            # On some CPUs XLA refuses what it compiled for them (its issue 44565).
            made = {"compiled": f"while loading: {runtimes.first_line(error)}"}
            compiled = program.compile(settings)
        session = CudaSession if device else XlaSession
        return session(program, compiled, target, io, made | settings, how.level == "emulated", device)

    def _settle(self, target: Target) -> tuple[dict[str, Any], Support, jax.Device | None]:
        """Settings, how the precision is computed, and the GPU; None is the CPU, JAX's default here."""
        runtimes.import_runtime(self)
        import jax

        device = None
        if target.device_kind == cuda.PLATFORM:
            cuda.see()
            there = {f"{cuda.PLATFORM}:{i}": gpu for i, gpu in enumerate(cuda.gpus()[0])}
            how = targets.require(self, target, {"cpu": {}} | {n: _on_cuda(gpu) for n, gpu in there.items()})
            device = there[target.device]
        else:
            # Of narrow floats the one that is asked for: to know of one takes a compilation.
            asked = (p for p in PRECISIONS if p not in NARROW or p == target.arithmetic)
            how = targets.require(self, target, {"cpu": {p: _on_cpu(p) for p in asked}})
        settings = targets.settings(self, target)
        for name, value in settings.items():
            if name.startswith("jax_"):
                jax.config.update(name, value)
        return settings, how, device


NARROW = {"bf16": "bfloat16", "fp16": "float16"}
INTEGERS = ("int8:qdq", "int8:native", "int8-dynamic", "int8-weight", "int4-weight")
PRECISIONS = ("fp32", "bf16", "fp16", *INTEGERS)


def _cpus() -> list[jax.Device]:
    """None in a process that was started for GPUs."""
    import jax

    try:
        return list(jax.devices("cpu"))
    except (RuntimeError, AssertionError):
        return []


def _on_cpu(precision: str) -> Support:
    if precision == "fp32":
        return Support("native")
    if precision not in NARROW:
        return Support("none", NO_INTEGERS)
    if not instructions.cpu_computes(precision):
        return Support("emulated", f"this CPU has no {precision} arithmetic; XLA converts to fp32 and back")
    if _widens(precision):
        return Support("emulated", "XLA converts to fp32 and back, though this CPU computes it")
    return Support("native")


def _on_cuda(device: jax.Device) -> dict[str, Support]:
    integers = dict.fromkeys(INTEGERS, Support("none", NO_INTEGERS))
    return cuda.table(cuda.capability(device), integers)


def _program(model: ModelFile, target: Target, io: IOSpec, device: jax.Device | None) -> Program:
    if device is None:
        return Program(model, io)
    return Program(model, io, device, cuda.order(cuda.capability(device), target.arithmetic))


@functools.cache
def _widens(precision: str) -> bool:
    """Whether XLA compiles a small product of that type to none of that type."""
    import jax

    operand = jax.ShapeDtypeStruct((64, 64), NARROW[precision])
    with jax.default_device(_cpus()[0]):
        text = jax.jit(jax.numpy.matmul).lower(operand, operand).compile().as_text() or ""
    return all(one.precision != precision for one in hlo.instructions(text).values() if one.product)


BACKEND = XlaBackend()
