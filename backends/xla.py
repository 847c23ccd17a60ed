"""XLA's compiler for CPUs by way of JAX: a StableHLO program, compiled ahead of time for the case's shapes.

There is no next step of a decoder, whose shapes are others: each would be a compilation.
Over 150 lines: what was compiled ahead of time may be refused by the very CPU that it was compiled for, and
what ran is read from two sources.
"""

from __future__ import annotations

import functools
import os
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from backends import _hlo, _xla_profile, support
from backends._stablehlo import WEIGHTS
from backends._xla_program import Program
from backends.base import (
    Actual,
    Array,
    BaseBackend,
    BaseSession,
    Capabilities,
    Fact,
    IOSpec,
    ModelFile,
    Preset,
    Support,
    Target,
)
from bench.errors import UnsupportedCase

if TYPE_CHECKING:
    import jax

PROGRAM = "program.jax"
EXECUTABLE = "executable.xla"
POOL = "tf_XLAEigen"  # how XLA names the threads that compute
OPTIONS = ("jax_cpu_enable_async_dispatch", "xla_cpu_enable_fast_math")
NO_INTEGERS = "no converter makes a StableHLO program with products of integers"
Arrays = tuple["jax.Array", ...]


class XlaSession(BaseSession):
    """Weights are on the device once, and no input; outputs are new arrays at each run."""

    def __init__(
        self,
        program: Program,
        compiled: jax.stages.Compiled,
        target: Target,
        io: IOSpec,
        settings: Mapping[str, Any],
        emulated: bool,
    ) -> None:
        import jax

        self._compiled, self._io, self._settings, self._emulated = compiled, io, settings, emulated
        self._put, self._wait = jax.device_put, jax.block_until_ready
        # Copies: what the program has of them may be a mapped file.
        self._weights = self._wait(self._put(program.weights, may_alias=False))
        self._inputs = tuple((t.name, aval.dtype) for t, aval in zip(io.inputs, program.inputs, strict=True))
        places = {t.name: i for i, t in enumerate(io.outputs)}
        self._fetched = tuple((t.name, places[t.name], np.dtype(t.dtype)) for t in io.fetched)

    def stage(self, inputs: Mapping[str, Array], onto: Arrays | None = None) -> Arrays:
        """Ids go from int64 to int32, the integer that JAX has by default."""
        kept = onto or (None,) * len(self._inputs)
        staged = [
            self._put(inputs[name].astype(dtype, copy=False)) if name in inputs else old
            for (name, dtype), old in zip(self._inputs, kept, strict=True)
        ]
        return tuple(self._wait(staged))

    def run(self, staged: Arrays) -> Arrays:
        return self._wait(self._compiled(self._weights, *staged))  # type: ignore[no-any-return]

    def fetch(self, outputs: Arrays) -> dict[str, Array]:
        return {name: np.asarray(outputs[i], dtype) for name, i, dtype in self._fetched}

    def close(self) -> None:
        del self._compiled, self._weights

    def actual(self) -> Actual:
        """From JAX's profile of untimed runs, and what the optimised program says of its instructions."""
        staged = self.stage(support.untimed_inputs(self._io))
        outputs = self.run(staged)
        runs = [_xla_profile.profiled(lambda: self.run(staged)) for _ in range(support.PROFILED)]
        operations = _hlo.operations(self._compiled.as_text() or "", runs)
        precision, shares = support.weigh(operations, "JAX's profile of an untimed run")
        products = Counter(one.kind for one in operations if one.product)
        named = ", ".join(f"{count} {kind}" for kind, count in products.most_common())
        pool, cpus = support.tasks(POOL), len(os.sched_getaffinity(0))
        return Actual(
            precision=precision,
            device=Fact(",".join({d.platform for d in outputs[0].devices()}), "reported", "of its outputs"),
            provider=Fact("XLA:CPU", "executed", named),
            threads=Fact(
                str(min(pool + 1, cpus)),
                "reported",
                f"{pool} threads of XLA's pool and the one that submits, on {cpus} CPUs of the affinity",
            ),
            emulated=self._emulated,
            settings={**shares, "pool_threads": pool, **_costs(self._compiled), **self._settings},
        )


class XlaBackend(BaseBackend):
    name = "xla"
    summary = "XLA's CPU compiler through JAX, from StableHLO."
    formats: tuple[str, ...] = ("stablehlo",)
    install = "bakeoff setup xla"
    runtime: tuple[str, ...] = ("jax",)
    presets: Mapping[str, Preset] = {
        "stock": Preset({}, "JAX docs, 'Ahead-of-time lowering and compilation': lower and compile"),
        "expert": Preset(
            {"jax_cpu_enable_async_dispatch": False},
            "JAX change log, 0.4.31: inline execution of CPU computations instead of asynchronous dispatch",
        ),
    }

    def environment(self, target: Target) -> Mapping[str, str]:
        """XLA sizes its pool by PJRT_NPROC (xla/pjrt/utils.cc), else by the affinity of the process."""
        threads = {"PJRT_NPROC": str(target.threads)}
        return {**super().environment(target), **threads, "JAX_PLATFORMS": target.device_kind}

    def probe(self) -> Capabilities:
        support.import_runtime(self)
        import jax
        import jaxlib

        devices = {"cpu": {precision: _support(precision) for precision in PRECISIONS}}
        return Capabilities(jax.__version__, devices, {"jaxlib": jaxlib.__version__})

    def build(self, model: ModelFile, target: Target, io: IOSpec, folder: Path) -> ModelFile:
        """The executable, with the program and the weights beside it, which it is called with."""
        settings, _ = self._settle(target)
        from jax.experimental import serialize_executable

        program = Program(model, io)
        try:
            compiled = program.compile(settings)
        except Exception as error:
            raise UnsupportedCase(
                f"xla cannot compile this program: {support.first_line(error)}",
                hint="leave this backend out for this workload",
            ) from error
        path = folder / EXECUTABLE
        path.write_bytes(serialize_executable.serialize(compiled)[0])
        for source, name in ((model.path, PROGRAM), (model.path.parent / WEIGHTS, WEIGHTS)):
            support.place(source, folder / name)
        return ModelFile("xla-executable", path, model.sha256)

    def load(self, model: ModelFile | None, target: Target, io: IOSpec) -> XlaSession:
        settings, how = self._settle(target)
        model = support.given(self, model)
        import jax
        from jax.experimental import serialize_executable

        program = Program(ModelFile("stablehlo", model.path.with_name(PROGRAM), ""), io)
        made = {"compiled": "ahead of time"}
        try:
            compiled = serialize_executable.deserialize_and_load(
                model.path.read_bytes(), *program.trees(), execution_devices=jax.devices()[:1]
            )
        except Exception as error:
            # On some CPUs XLA refuses what it compiled for them (its issue 44565).
            made = {"compiled": f"while loading: {support.first_line(error)}"}
            compiled = program.compile(settings)
        return XlaSession(program, compiled, target, io, made | settings, how.level == "emulated")

    def _settle(self, target: Target) -> tuple[dict[str, Any], Support]:
        support.import_runtime(self)
        import jax

        # Of narrow floats the one that is asked for: to know of one takes a compilation.
        asked = (p for p in PRECISIONS if p not in NARROW or p == target.arithmetic)
        how = support.require(self, target, {"cpu": {precision: _support(precision) for precision in asked}})
        settings = support.settings(self, target, OPTIONS)
        for name, value in settings.items():
            if name.startswith("jax_"):
                jax.config.update(name, value)
        return settings, how


NARROW = {"bf16": "bfloat16", "fp16": "float16"}
PRECISIONS = ("fp32", "bf16", "fp16", "int8:qdq", "int8:native", "int8-dynamic", "int8-weight", "int4-weight")


def _support(precision: str) -> Support:
    if precision == "fp32":
        return Support("native")
    if precision not in NARROW:
        return Support("none", NO_INTEGERS)
    if not support.cpu_computes(precision):
        return Support("emulated", f"this CPU has no {precision} arithmetic; XLA converts to fp32 and back")
    if _widens(precision):
        return Support("emulated", "XLA converts to fp32 and back, though this CPU computes it")
    return Support("native")


@functools.cache
def _widens(precision: str) -> bool:
    """Whether XLA compiles a small product of that type to none of that type."""
    import jax

    operand = jax.ShapeDtypeStruct((64, 64), NARROW[precision])
    text = jax.jit(jax.numpy.matmul).lower(operand, operand).compile().as_text() or ""
    return all(one.precision != precision for one in _hlo.instructions(text).values() if one.product)


def _costs(compiled: jax.stages.Compiled) -> dict[str, float]:
    """What XLA says of the program: operations and bytes of an inference, and its scratch memory."""
    cost, memory = compiled.cost_analysis() or {}, compiled.memory_analysis()
    found = {"flops": cost.get("flops"), "bytes_accessed": cost.get("bytes accessed")}
    found["temporary_bytes"] = getattr(memory, "temp_size_in_bytes", None)
    return {name: float(value) for name, value in found.items() if value is not None}


BACKEND = XlaBackend()
