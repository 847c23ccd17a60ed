"""Sessions of what XLA compiled: on a CPU, and on a CUDA GPU, where other things tell what ran."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from backends.support import arrays, hlo, profiles, threads
from backends.support.cuda_kernels import UNNAMED, fullness
from backends.support.profiles import Operation
from backends.xla import cuda, profile
from backends.xla.program import Program
from bench.interfaces.backend import Actual, BaseSession, Fact, Target
from bench.interfaces.tensors import Array, IOSpec
from bench.machine import topology

if TYPE_CHECKING:
    import jax

POOL = "tf_XLAEigen"  # how XLA names the threads that compute on a CPU
POOL_SIZE = "PJRT_NPROC"  # what XLA sizes its pools on the host by (xla/pjrt/utils.cc), else by the affinity
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
        device: jax.Device | None,
    ) -> None:
        import jax

        self._compiled, self._io, self._settings, self._emulated = compiled, io, settings, emulated
        self._target, self._device = target, device
        self._put, self._wait = jax.device_put, jax.block_until_ready
        # Copies: what the program has of them may be a mapped file.
        self._weights = self._wait(self._put(program.weights, device, may_alias=False))
        self._inputs = tuple((t.name, aval.dtype) for t, aval in zip(io.inputs, program.inputs, strict=True))
        places = {t.name: i for i, t in enumerate(io.outputs)}
        self._fetched = tuple((t.name, places[t.name], np.dtype(t.dtype)) for t in io.fetched)

    def stage(self, inputs: Mapping[str, Array], onto: Arrays | None = None) -> Arrays:
        """Ids go from int64 to int32, the integer that JAX has by default."""
        kept = onto or (None,) * len(self._inputs)
        staged = [
            self._put(inputs[name].astype(dtype, copy=False), self._device) if name in inputs else old
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
        staged = self.stage(arrays.untimed_inputs(self._io))
        outputs = self.run(staged)
        runs = [profile.profiled(lambda: self.run(staged)) for _ in range(profiles.PROFILED)]
        operations = hlo.operations(self._compiled.as_text() or "", runs)
        precision, shares = profiles.weigh(operations, "JAX's profile of an untimed run")
        pool, cpus = threads.tasks(POOL), topology.usable_cpus()
        return Actual(
            precision=precision,
            device=Fact(",".join({d.platform for d in outputs[0].devices()}), "reported", "of its outputs"),
            provider=Fact("XLA:CPU", "executed", _products(operations)),
            threads=Fact(
                str(min(pool + 1, cpus)),
                "reported",
                f"{pool} threads of XLA's pool and the one that submits, on {cpus} CPUs of the affinity",
            ),
            emulated=self._emulated,
            settings={**shares, "pool_threads": pool, **_costs(self._compiled), **self._settings},
        )


class CudaSession(XlaSession):
    """On a GPU: `run` returns when the outputs are complete there. JAX shows no stream to put events on, so
    there is no time of the device's own."""

    def actual(self) -> Actual:
        """From the kernels in JAX's profile of untimed runs: their names and the instructions behind them."""
        staged = self.stage(arrays.untimed_inputs(self._io))
        outputs = self.run(staged)
        runs = [profile.kernels(lambda: self.run(staged)) for _ in range(profiles.PROFILED)]
        ran = max(runs, key=lambda one: fullness([kernel.ns for kernel in one]))
        text = self._compiled.as_text() or ""
        operations, untold = cuda.operations(text, ran, self._target.arithmetic)
        source = "the kernels in JAX's profile of an untimed run"
        if untold:
            source += f", {untold:.0%} of the products' time in some of which nothing tells the arithmetic"
        precision, shares = profiles.weigh(operations, source)
        if untold > UNNAMED:
            precision = replace(precision, evidence="reported")
        device = Fact(_named(kernel.gpu for kernel in ran), "executed", f"{len(ran)} kernels and copies")
        if not ran:
            device = Fact(_named(d.id for d in outputs[0].devices()), "reported", "of its outputs")
        memory = (self._device.memory_stats() if self._device else None) or {}
        used = {"device_peak_bytes": memory["peak_bytes_in_use"]} if "peak_bytes_in_use" in memory else {}
        if ran:
            used["kernels_ns"] = round(sum(kernel.ns for kernel in ran))
        return Actual(
            precision=precision,
            device=device,
            provider=Fact("XLA:GPU", "executed", _products(operations)),
            threads=Fact(os.environ.get(POOL_SIZE, "all"), "reported", f"{POOL_SIZE}, of a pool on the host"),
            emulated=self._emulated,
            settings={**shares, **used, **_costs(self._compiled), **self._settings},
        )


def _named(numbers: Iterable[int]) -> str:
    return ",".join(f"{cuda.PLATFORM}:{number}" for number in sorted(set(numbers)))


def _products(operations: Iterable[Operation]) -> str:
    """The products by what made them, the most frequent first."""
    counted = Counter(one.kind for one in operations if one.product)
    return ", ".join(f"{count} {kind}" for kind, count in counted.most_common())


def _costs(compiled: jax.stages.Compiled) -> dict[str, float]:
    """What XLA says of the program: operations and bytes of an inference, and its scratch memory."""
    cost, memory = compiled.cost_analysis() or {}, compiled.memory_analysis()
    found = {"flops": cost.get("flops"), "bytes_accessed": cost.get("bytes accessed")}
    found["temporary_bytes"] = getattr(memory, "temp_size_in_bytes", None)
    return {name: float(value) for name, value in found.items() if value is not None}
