"""A model compiled by OpenVINO's CPU plugin, and what its execution graph says of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from backends.support import arrays, profiles
from backends.support.profiles import PRECISIONS, Operation
from bench.interfaces.backend import Actual, BaseSession, Fact, Target
from bench.interfaces.tensors import Array, IOSpec

if TYPE_CHECKING:
    import openvino as ov

WEIGHTS = {"i8": "int8-weight", "u8": "int8-weight", "i4": "int4-weight", "u4": "int4-weight"}
# Elsewhere u8 and i8 are masks, and tables of weights.
MATRIX_OPERATIONS = {"Convolution", "Deconvolution", "FullyConnected", "MatMul"}


class Staged:
    """Input tensors by port, and which of the session's requests they are for."""

    __slots__ = ("request", "tensors")

    def __init__(self, tensors: dict[int, ov.Tensor], request: int = 0) -> None:
        self.tensors, self.request = tensors, request


class OpenVinoSession(BaseSession):
    """One infer request; staged inputs are tensors over the host's own memory.

    Two requests where state is carried: each step reads the other's outputs, which its own do not overwrite.
    """

    def __init__(
        self, model: ov.Model, target: Target, io: IOSpec, config: Mapping[str, Any], emulated: bool
    ) -> None:
        import openvino as ov

        self._model, self._target, self._io = model, target, io
        self._config, self._emulated = config, emulated
        self._compiled = ov.Core().compile_model(model, "CPU", dict(config))
        turns = 2 if io.carried else 1
        self._requests = [self._compiled.create_infer_request() for _ in range(turns)]
        self._bound = [Staged({}) for _ in range(turns)]
        self._tensor = ov.Tensor
        ports = {name: i for i, port in enumerate(model.inputs) for name in port.get_names()}
        self._inputs = tuple((t.name, ports[t.name_in_file]) for t in io.inputs)
        out_ports = {name: i for i, port in enumerate(model.outputs) for name in port.get_names()}
        in_file = {t.name: t.name_in_file for t in io.outputs}
        self._outputs = tuple((t.name, out_ports[t.name_in_file]) for t in io.fetched)
        carried = dict(self._inputs)
        self._carried = tuple(
            (carried[into], out_ports[in_file[out]]) for out, into in io.state if into in carried
        )

    def stage(self, inputs: Mapping[str, Array], onto: Staged | None = None) -> Staged:
        tensor = self._tensor
        fresh = {
            port: tensor(_shareable(inputs[name]), shared_memory=True)
            for name, port in self._inputs
            if name in inputs
        }
        return Staged(fresh) if onto is None else Staged({**onto.tensors, **fresh}, onto.request)

    def run(self, staged: Staged) -> ov.InferRequest:
        request, bound = self._requests[staged.request], self._bound[staged.request]
        if staged is not bound:
            for port, tensor in staged.tensors.items():
                if bound.tensors.get(port) is not tensor:
                    request.set_input_tensor(port, tensor)
            self._bound[staged.request] = staged
        request.infer(share_outputs=True)
        return request

    def fetch(self, outputs: ov.InferRequest) -> dict[str, Array]:
        return {name: outputs.get_output_tensor(port).data.copy() for name, port in self._outputs}

    def advance(self, staged: Staged, outputs: ov.InferRequest, inputs: Mapping[str, Array]) -> Staged:
        carried = {port: outputs.get_output_tensor(out) for port, out in self._carried}
        onto = Staged({**staged.tensors, **carried}, len(self._requests) - 1 - staged.request)
        return self.stage(inputs, onto)

    def close(self) -> None:
        del self._bound, self._requests, self._compiled, self._model

    def precision_hint(self) -> str:
        """The precision that the plugin settled on, under our name for it."""
        return PRECISIONS[self._compiled.get_property("INFERENCE_PRECISION_HINT").to_string()]

    def loaded_from_cache(self) -> bool:
        """Whether the plugin took the compiled model from its cache."""
        return bool(self._compiled.get_property("LOADED_FROM_CACHE"))

    def actual(self) -> Actual:
        """From the execution graph of a second compiled model with counters."""
        import openvino as ov

        counted = ov.Core().compile_model(self._model, "CPU", {**self._config, "PERF_COUNT": True})
        request = counted.create_infer_request()
        for port, tensor in self.stage(arrays.untimed_inputs(self._io)).tensors.items():
            request.set_input_tensor(port, tensor)
        request.infer()
        runs = []
        for _ in range(profiles.PROFILED):
            request.infer()
            runs.append({one.node_name: one.real_time for one in request.get_profiling_info()})
        operations, kernels = [], {}
        for node in counted.get_runtime_model().get_ops():
            info = {key: value.astype(str) for key, value in node.get_rt_info().items()}
            spent = [run[node.friendly_name] for run in runs if node.friendly_name in run]
            if info["execTimeMcs"].isdigit() and spent:
                kind, dtype = info["layerType"], info["runtimePrecision"]
                arithmetic = _arithmetic(kind, dtype, info["primitiveType"])
                nanoseconds = min(spent).total_seconds() * 1e9
                operations.append(Operation(kind, arithmetic, nanoseconds, kind in MATRIX_OPERATIONS))
                kernels[info["primitiveType"]] = kind
        precision, shares = profiles.weigh(operations, "execution graph of an untimed compiled model")
        devices = self._compiled.get_property("EXECUTION_DEVICES")
        get = self._compiled.get_property
        return Actual(
            precision=precision,
            device=Fact(",".join(devices).lower(), "reported", "EXECUTION_DEVICES"),
            provider=Fact("CPU plugin", "reported", get("RUNTIME_REQUIREMENTS")),
            threads=Fact(str(get("INFERENCE_NUM_THREADS")), "reported", "INFERENCE_NUM_THREADS"),
            emulated=self._emulated,
            settings={
                **shares,
                "kernels": sorted(kernels),
                "precision_hint": self.precision_hint(),
                "loaded_from_cache": self.loaded_from_cache(),
                "streams": get("NUM_STREAMS"),
                "execution_mode": get("EXECUTION_MODE_HINT").name,
                "cpu_pinning": get("ENABLE_CPU_PINNING"),
                "dynamic_quantization_group_size": get("DYNAMIC_QUANTIZATION_GROUP_SIZE"),
            },
        )


def _arithmetic(kind: str, dtype: str, kernel: str) -> str:
    """A node's precision. Of a product with integer weights alone the plugin tells the type of the weights,
    and its kernel (`brgemm_avx2_f32`) that of the arithmetic."""
    if kind not in MATRIX_OPERATIONS:
        return "" if dtype in WEIGHTS else PRECISIONS.get(dtype, "")
    if dtype in WEIGHTS and kernel.endswith(("_f32", "_f16", "_bf16")):
        return WEIGHTS[dtype]
    return PRECISIONS.get(dtype, "")


def _shareable(array: Array) -> Array:
    """The array, or a copy where OpenVINO could not share its memory."""
    return array if array.flags.carray else array.copy()
