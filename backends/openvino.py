"""OpenVINO on its CPU plugin.

Over 150 lines: what a precision hint did is asked of the plugin, and the proof is read from its graph.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from backends import support
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
    TensorSpec,
)
from backends.precision import scheme, word
from backends.support import PRECISIONS, Operation
from bench.errors import ModelFileError, UnsupportedCase

if TYPE_CHECKING:
    import openvino as ov

DYNAMIC = "int8-dynamic"
HINTS = {"fp32": "f32", "bf16": "bf16", "fp16": "f16"}
# What the case itself says may not be said again as an option.
OF_THE_CASE = {"INFERENCE_NUM_THREADS", "INFERENCE_PRECISION_HINT", "PERF_COUNT", "DEVICE_ID"}
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

    def actual(self) -> Actual:
        """From the execution graph of a second compiled model with counters."""
        import openvino as ov

        counted = ov.Core().compile_model(self._model, "CPU", {**self._config, "PERF_COUNT": True})
        request = counted.create_infer_request()
        for port, tensor in self.stage(support.untimed_inputs(self._io)).tensors.items():
            request.set_input_tensor(port, tensor)
        request.infer()
        runs = []
        for _ in range(support.PROFILED):
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
        precision, shares = support.weigh(operations, "execution graph of an untimed compiled model")
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
                "streams": get("NUM_STREAMS"),
                "execution_mode": get("EXECUTION_MODE_HINT").name,
                "cpu_pinning": get("ENABLE_CPU_PINNING"),
                "dynamic_quantization_group_size": get("DYNAMIC_QUANTIZATION_GROUP_SIZE"),
            },
        )


class OpenVinoBackend(BaseBackend):
    name = "openvino"
    summary = "OpenVINO with its CPU plugin (oneDNN kernels)."
    formats: tuple[str, ...] = ("onnx",)
    quantised: Mapping[str, tuple[str, ...]] = {
        "int8:qdq": ("onnx-qdq",),
        "int8:native": ("openvino-int8",),
        "int8-weight": ("openvino-weight",),
        "int4-weight": ("openvino-weight",),
    }
    install = "pip install 'bakeoff[openvino]'"
    runtime: tuple[str, ...] = ("openvino",)
    # An import sends an event from a thread; `CI` is the one variable by which it leaves that be.
    no_telemetry: Mapping[str, str] = {"CI": "true"}
    presets: Mapping[str, Preset] = {
        "stock": Preset(
            {"PERFORMANCE_HINT": "LATENCY", "NUM_STREAMS": 1},
            "OpenVINO docs, 'High-level performance hints': LATENCY, the default, is one stream on a CPU",
        ),
        "expert": Preset(
            {"PERFORMANCE_HINT": "LATENCY", "NUM_STREAMS": 1, "CPU_DENORMALS_OPTIMIZATION": True},
            "OpenVINO docs, 'CPU device: denormals optimization': denormals flushed to zero, 'could "
            "significantly improve the performance'",
        ),
    }

    def probe(self) -> Capabilities:
        support.import_runtime(self)
        import openvino as ov

        core = ov.Core()
        name = core.get_property("CPU", "FULL_DEVICE_NAME")
        plugins = ", ".join(core.available_devices)
        devices = {
            "cpu": {precision: _support(precision) for precision in (*HINTS, *self.quantised, DYNAMIC)}
        }
        return Capabilities(ov.__version__.split("-")[0], devices, {"cpu": name, "devices seen": plugins})

    def load(self, model: ModelFile | None, target: Target, io: IOSpec) -> OpenVinoSession:
        support.import_runtime(self)
        asked = word(target.arithmetic)
        known = {precision: Support("none") for precision in HINTS} | {asked: _support(asked)}
        how = support.require(self, target, {"cpu": known})
        if model is None:
            raise ModelFileError("openvino: no model file was given", hint="prepare an onnx file")
        config = {
            **support.settings(self, target, _options()),
            "INFERENCE_NUM_THREADS": target.threads,
            # Always said: the default of the hint is lower than fp32 where the CPU has it.
            "INFERENCE_PRECISION_HINT": HINTS.get(target.arithmetic, "f32"),
        }
        session = OpenVinoSession(_read(model, io), target, io, config, how.level == "emulated")
        if target.arithmetic in HINTS and session.precision_hint() != target.arithmetic:
            said = _accepted(target.arithmetic, session.precision_hint())
            raise UnsupportedCase(said, hint=f"--precision {session.precision_hint()}")
        return session


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


def _accepted(asked: str, ran: str) -> str:
    return f"openvino accepts the {HINTS[asked]} hint on this CPU and runs {HINTS[ran]}"


def _options() -> list[str]:
    import openvino as ov

    properties = ov.Core().get_property("CPU", "SUPPORTED_PROPERTIES")
    return [name for name, access in properties.items() if access == "RW" and name not in OF_THE_CASE]


def _support(precision: str) -> Support:
    """Asked of the plugin itself: a model of one operation is compiled and the hint read back."""
    import openvino as ov
    from openvino import opset13 as ops

    if precision == DYNAMIC:
        return Support("none", "it quantises blocks of activations as part of int8-weight and int4-weight")
    if scheme(precision):
        return Support("native")
    if precision not in HINTS:
        return Support("none", "it knows no such precision")
    if precision == "fp32":
        return Support("native")
    value = ops.parameter([1, 16], np.float32)
    probe = ov.Model([ops.relu(value)], [value])
    compiled = ov.Core().compile_model(probe, "CPU", {"INFERENCE_PRECISION_HINT": HINTS[precision]})
    ran = PRECISIONS[compiled.get_property("INFERENCE_PRECISION_HINT").to_string()]
    if ran != precision:
        return Support("none", _accepted(precision, ran).removeprefix("openvino "))
    if support.cpu_computes(precision):
        return Support("native")
    return Support("emulated", f"this CPU has no {precision} arithmetic and OpenVINO runs it all the same")


def _read(model: ModelFile, io: IOSpec) -> ov.Model:
    """The model at the shapes of the case. Raises ModelFileError."""
    import openvino as ov

    try:
        network = ov.Core().read_model(str(model.path))
    except RuntimeError as error:
        raise support.broken(model, error) from error
    has = {name for port in (*network.inputs, *network.outputs) for name in port.get_names()}
    missing = [t.name_in_file for t in (*io.inputs, *io.outputs) if t.name_in_file not in has]
    if missing:
        raise ModelFileError(f"{model.path}: has no {', '.join(missing)} (it has {', '.join(sorted(has))})")
    network.reshape({t.name_in_file: _shape(t, io.growing.get(t.name)) for t in io.inputs})
    return network


def _shape(tensor: TensorSpec, growing: int | None) -> ov.PartialShape:
    """The case's own, open along the axis that grows from step to step."""
    import openvino as ov

    extents = [ov.Dimension(extent) for extent in tensor.shape]
    if growing is not None:
        extents[growing] = ov.Dimension(*tensor.dynamic[growing])
    return ov.PartialShape(extents)


BACKEND = OpenVinoBackend()
