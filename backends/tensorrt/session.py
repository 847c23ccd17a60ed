"""A session of TensorRT: tensors in device memory, a stream of its own, and what its layers computed in.

Inputs pass through pinned memory on their way to the GPU, as in NVIDIA's samples: the copy into it is also
the cast.
"""

from __future__ import annotations

import ctypes
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from math import prod
from typing import Any

import numpy as np

from backends.support import arrays
from backends.support import profiles as support_profiles
from backends.tensorrt import api, layers
from backends.tensorrt.cuda import (
    NON_BLOCKING,
    THREAD_LOCAL,
    TO_DEVICE,
    TO_HOST,
    Block,
    Cuda,
    CudaError,
    Pool,
)
from backends.tensorrt.engine import Engine
from backends.tensorrt.layers import UNTOLD
from bench.interfaces.backend import Actual, BaseSession, Evidence, Fact, Target
from bench.interfaces.errors import UnsupportedCase
from bench.interfaces.tensors import Array, IOSpec, TensorSpec

Blocks = Mapping[str, Block]  # name in the file → device memory


@dataclass(frozen=True, slots=True)
class Passage:
    """How a tensor gets to the device and back: its dtype there, and pinned memory as an array."""

    spec: TensorSpec
    dtype: str
    pinned: Array

    @property
    def nbytes(self) -> int:
        return self.pinned.nbytes


class TensorRtSession(BaseSession):
    """Staged inputs are blocks of device memory; outputs have fixed places, which the next run writes."""

    def __init__(
        self,
        trt: Any,
        cuda: Cuda,
        engine: Engine,
        target: Target,
        io: IOSpec,
        settings: Mapping[str, Any],
        gpu: str,
    ) -> None:
        self._trt, self._cuda, self._engine, self._io, self._gpu = trt, cuda, engine, io, gpu
        self._target, self._settings = target, dict(settings)
        self._stream = cuda.made("cudaStreamCreateWithFlags", NON_BLOCKING)
        self._begin, self._end = cuda.made("cudaEventCreate"), cuda.made("cudaEventCreate")
        self._pool = Pool(cuda)
        self._addresses: list[int] = []
        self._inputs = tuple(self._passage(spec) for spec in engine.inputs)
        self._fetched = tuple(self._passage(spec) for spec in io.fetched)
        self._outputs = {spec.name_in_file: self._pool.take(self._nbytes(spec)) for spec in io.outputs}
        self._places = {in_file: block.address for in_file, block in self._outputs.items()}
        self._context = engine.context(io, self._places)
        self._bound: Blocks | None = None

    def _nbytes(self, spec: TensorSpec) -> int:
        return prod(spec.shape) * np.dtype(api.stored(self._engine.dtypes[spec.name_in_file])).itemsize

    def _passage(self, spec: TensorSpec) -> Passage:
        dtype, nbytes = self._engine.dtypes[spec.name_in_file], self._nbytes(spec)
        self._addresses.append(self._cuda.made("cudaMallocHost", max(1, nbytes)))
        held = memoryview((ctypes.c_byte * nbytes).from_address(self._addresses[-1])).cast("B")
        return Passage(spec, dtype, np.ndarray(spec.shape, api.stored(dtype), held))

    def stage(self, inputs: Mapping[str, Array], onto: Blocks | None = None) -> Blocks:
        staged = dict(onto or {})
        for one in self._inputs:
            if one.spec.name in inputs:
                block = self._pool.take(one.nbytes)
                self._send(one, inputs[one.spec.name], block)
                staged[one.spec.name_in_file] = block
        self._wait()
        return staged

    def _send(self, one: Passage, array: Array, block: Block) -> None:
        api.place(array, one.pinned, one.dtype)
        self._cuda(
            "cudaMemcpyAsync", block.address, one.pinned.ctypes.data, one.nbytes, TO_DEVICE, self._stream
        )

    def _wait(self) -> None:
        self._cuda("cudaStreamSynchronize", self._stream)

    def run(self, staged: Blocks) -> Blocks:
        cuda, stream = self._cuda, self._stream
        if staged is not self._bound:
            _bind(self._context, staged)
            self._bound = staged
        cuda("cudaEventRecord", self._begin, stream)
        self._start()
        cuda("cudaEventRecord", self._end, stream)
        cuda("cudaStreamSynchronize", stream)
        return self._outputs

    def _start(self) -> None:
        self._enqueue(self._context)

    def _enqueue(self, context: Any) -> None:
        if not context.execute_async_v3(self._stream):
            raise CudaError(f"TensorRT did not start: {self._engine.failure()}")

    def fetch(self, outputs: Blocks) -> dict[str, Array]:
        for one in self._fetched:
            source = outputs[one.spec.name_in_file].address
            self._cuda("cudaMemcpyAsync", one.pinned.ctypes.data, source, one.nbytes, TO_HOST, self._stream)
        self._wait()
        return {one.spec.name: api.taken(one.pinned, one.dtype, one.spec.dtype) for one in self._fetched}

    def device_ns(self) -> int:
        """Time between the events around the last run, in ns (the events resolve about 500 ns)."""
        return self._cuda.elapsed_ns(self._begin, self._end)

    def close(self) -> None:
        self._bound = None
        self._outputs = {}
        del self._context  # before the engine whose weights it reads
        self._engine.close()
        for address in self._addresses:
            self._cuda("cudaFreeHost", address)
        self._pool.close()
        for event in (self._begin, self._end):
            self._cuda("cudaEventDestroy", event)
        self._cuda("cudaStreamDestroy", self._stream)

    def actual(self) -> Actual:
        """From the layers' times in untimed runs of a second context, and what the inspector tells."""
        inspected, runs = self._profiled()
        known, made = layers.layers(inspected), self._engine.made
        profiles = [layers.profile(known, times, made.tf32) for times in runs]
        untold, unknown = (max(getattr(one, share) for one in profiles) for share in ("untold", "unknown"))
        source = "TensorRT's profile of untimed runs, types by its engine inspector"
        precision, shares = support_profiles.weigh(
            support_profiles.quickest(one.operations for one in profiles), source
        )
        if precision.evidence == "executed" and max(untold, unknown) > UNTOLD:
            detail = (
                f"{precision.detail}; {untold:.0%} of the products untold, {unknown:.0%} of the time unknown"
            )
            evidence: Evidence = "none" if unknown > UNTOLD else "reported"
            precision = replace(precision, evidence=evidence, detail=detail)
        products = Counter(layer.kind for layer in known if layer.product)
        named = ", ".join(f"{count} {kind}" for kind, count in products.most_common(4))
        return Actual(
            precision=precision,
            device=Fact(self._target.device, "reported", f"{self._gpu}, the only one that this process sees"),
            provider=Fact("TensorRT", "executed", f"{len(known)} layers; products by {named or 'none'}"),
            threads=Fact(str(self._engine.runtime.max_threads), "reported", "IRuntime.max_threads"),
            settings={
                **shares,
                "kernels_ns": round(min(sum(one.ns for one in found.operations) for found in profiles)),
                "tf32_allowed": made.tf32,
                "layers_before_fusion": made.layers,
                "context_bytes": self._engine.context_bytes(),
                "products_untold": round(untold, 4),
                "time_of_no_known_layer": round(unknown, 4),
                **self._settings,
            },
        )

    def _profiled(self) -> tuple[str, list[list[tuple[str, float]]]]:
        """The inspector's JSON, and of each run the layers' times; a first run is not counted."""
        profiler = api.profiler(self._trt)
        context = self._engine.context(self._io, self._places, profiler)
        untimed = TensorRtSession.stage(self, arrays.untimed_inputs(self._io))
        _bind(context, untimed)
        runs = []
        for _ in range(1 + support_profiles.PROFILED):
            profiler.times = []
            self._enqueue(context)
            self._wait()
            runs.append(profiler.times)
        return self._engine.inspect(context), runs[1:]


class GraphSession(TensorRtSession):
    """Launches what it captured once as a CUDA graph; the graph reads inputs where they were then."""

    staged_sets = 1

    def __init__(self, *given: Any) -> None:
        super().__init__(*given)
        self._fixed = dict(super().stage(arrays.untimed_inputs(self._io)))
        # The first run after a change of shapes does more than a graph can hold.
        super().run(self._fixed)
        self._graph = self._captured()

    def _captured(self) -> int:
        """Raises UnsupportedCase for an engine that cannot be captured."""
        cuda = self._cuda
        cuda("cudaStreamBeginCapture", self._stream, THREAD_LOCAL)
        failed: CudaError | None = None
        try:
            self._enqueue(self._context)
        except CudaError as error:
            failed = error
        try:
            graph = cuda.made_last("cudaStreamEndCapture", self._stream)
        except CudaError as error:
            failed = failed or error
        if failed is not None:
            raise UnsupportedCase(
                f"tensorrt: this engine cannot be captured as a CUDA graph: {failed}",
                hint="cuda_graph: false",
            ) from failed
        executable = cuda.made("cudaGraphInstantiateWithFlags", graph, 0)
        cuda("cudaGraphDestroy", graph)
        return executable

    def stage(self, inputs: Mapping[str, Array], onto: Blocks | None = None) -> Blocks:
        for one in self._inputs:
            if one.spec.name in inputs:
                self._send(one, inputs[one.spec.name], self._fixed[one.spec.name_in_file])
        self._wait()
        return self._fixed

    def _start(self) -> None:
        if (graph := getattr(self, "_graph", 0)) == 0:
            super()._start()
        else:
            self._cuda("cudaGraphLaunch", graph, self._stream)

    def close(self) -> None:
        self._cuda("cudaGraphExecDestroy", self._graph)
        self._fixed = {}
        super().close()


def _bind(context: Any, staged: Blocks) -> None:
    for in_file, block in staged.items():
        context.set_tensor_address(in_file, block.address)
