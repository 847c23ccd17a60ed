"""A session of ONNX Runtime on one of its providers for CPUs, and what its profile says of it."""

from __future__ import annotations

import json
import math
import tempfile
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from backends.support import arrays, faults, onnx_file, profiles
from backends.support.profiles import PRECISIONS, Operation
from bench.interfaces.backend import Actual, BaseSession, Fact, Target
from bench.interfaces.errors import ModelFileError, UnsupportedCase
from bench.interfaces.options import Option
from bench.interfaces.tensors import Array, IOSpec, ModelFile
from bench.plugins import runtimes

if TYPE_CHECKING:
    import onnxruntime as ort

Provider = str | tuple[str, dict[str, str]]  # with its settings
CPU = "CPUExecutionProvider"
# Variant → provider; all others run on the CPU provider, which also takes what these leave.
PROVIDERS = {
    "xnnpack": "XnnpackExecutionProvider",
    "dnnl": "DnnlExecutionProvider",
    "openvino": "OpenVINOExecutionProvider",
}
OPTIMISED = "ort"  # a variant, and the format of its file: optimised once, loaded without optimising
WEIGHTS = "weights.txt"  # beside such a file: what its MatMulNBits stand for
# How its operators that multiply matrices begin (`MatMulNBits`, `QLinearConv`, `FusedConv` …).
PRODUCTS = (
    *("MatMul", "FusedMatMul", "QLinearMatMul", "DynamicQuantizeMatMul", "Gemm", "FusedGemm", "QGemm"),
    *("Conv", "FusedConv", "NhwcConv", "NhwcFusedConv", "QLinearConv", "Attention", "MultiHeadAttention"),
)
# Files whose biases stay floats: this optimiser would make int32 of them, which TensorRT's parser does not
# read, and in fp16 what it divides overflows (a small CNN in fp8 errs by 1.06, else by .20; 1.32).
FLOAT_BIASES = ("onnx-fp8", "onnx-qdq-symmetric")
BIAS_OPTIMISER = "WeightBiasQuantization"
# Attributes of SessionOptions, and keys of onnxruntime_session_options_config_keys.h. The list is closed
# because ONNX Runtime takes any key in silence.
ATTRIBUTES = ("enable_cpu_mem_arena", "enable_mem_pattern", "enable_mem_reuse", "use_deterministic_compute")
# ONNX Runtime docs, 'Python API: SessionOptions', and onnxruntime_session_options_config_keys.h
OPTIONS = {
    "enable_cpu_mem_arena": Option("memory from an arena"),
    "enable_mem_pattern": Option("one allocation for all activations of known shape"),
    "enable_mem_reuse": Option("memory of activations is used again"),
    "use_deterministic_compute": Option("kernels whose results do not vary"),
    "session.disable_prepacking": Option("weights are not packed for the kernels"),
    "session.dynamic_block_base": Option("base of the size of blocks of work; 0: fixed", "whole", 0),
    "session.enable_gemm_fastmath_arm64_bfloat16": Option("matrix products in bf16 on Arm"),
    "session.force_spinning_stop": Option("threads stop waiting actively when a run ends"),
    "session.intra_op.allow_spinning": Option("threads wait actively"),
    "session.intra_op_thread_affinities": Option("CPUs of each thread", "text"),
    "session.set_denormal_as_zero": Option("denormal numbers are zero"),
    "session.use_device_allocator_for_initializers": Option("weights are not in the arena"),
    "mlas.enable_gemm_fastmath_arm64_bfloat16": Option("matrix products in bf16 on Arm"),
}


class OnnxRuntimeSession(BaseSession):
    """Runs through `InferenceSession.run`: the call that people write. It hands its outputs over as NumPy
    arrays, so their copy is within the `device` boundary too."""

    def __init__(
        self,
        model: ModelFile,
        target: Target,
        io: IOSpec,
        settings: Mapping[str, Any],
        emulated: bool = False,
    ) -> None:
        self._model, self._target, self._io, self._settings = model, target, io, settings
        self._emulated = emulated
        self._session = self._open()
        self._inputs = tuple((t.name, t.name_in_file) for t in io.inputs)
        self._names = tuple(t.name for t in io.outputs)
        self._wanted = [t.name_in_file for t in io.outputs]
        self._halves = {x.name for x in self._session.get_inputs() if x.type == "tensor(float16)"}
        self._run = self._session.run

    def _open(self, profile_prefix: str = "") -> ort.InferenceSession:
        return open_session(self._model, self._target, self._io, self._settings, profile_prefix)

    def stage(self, inputs: Mapping[str, Array], onto: Any = None) -> Any:
        if onto is None:
            return {in_file: inputs[name] for name, in_file in self._inputs}
        return {**onto, **{in_file: inputs[name] for name, in_file in self._inputs if name in inputs}}

    def run(self, staged: Any) -> list[Any]:
        return self._run(self._wanted, staged)  # type: ignore[no-any-return]

    def fetch(self, outputs: list[Any]) -> dict[str, Array]:
        return dict(zip(self._names, outputs, strict=True))

    def close(self) -> None:
        del self._session, self._run

    def actual(self) -> Actual:
        """From the profile of a second session."""
        options = self._session.get_session_options()
        runs = self.profile()
        held = weights(self._model)
        operations = profiles.quickest(
            [operation(node["args"], node["dur"] * 1e3, held) for node in nodes] for nodes in runs
        )
        precision, shares = profiles.weigh(operations, "profile of an untimed session")
        providers: Counter[str] = Counter()
        for node in chain.from_iterable(runs):
            providers[node["args"]["provider"]] += max(1, node["dur"])
        provider, spent = providers.most_common(1)[0]
        share = f"{spent / providers.total():.1%} of the profile's time"
        device = "cpu" if set(providers) <= {CPU, *PROVIDERS.values()} else "mixed"
        settings = {
            **shares,
            "time_by_provider": {name: part / providers.total() for name, part in providers.items()},
            "inter_op_num_threads": options.inter_op_num_threads,
            "graph_optimization_level": options.graph_optimization_level.name,
            **self._settings,
        }
        return Actual(
            precision=precision,
            device=Fact(device, "executed", ", ".join(providers)),
            provider=Fact(provider, "executed", share),
            threads=self._threads(options.intra_op_num_threads),
            emulated=self._emulated,
            settings=settings,
        )

    def providers(self) -> set[str]:
        """Those that ran an operation in an untimed run."""
        return {node["args"]["provider"] for node in chain.from_iterable(self.profile())}

    def _threads(self, of_the_session: int) -> Fact:
        name = PROVIDERS.get(self._target.variant)
        said = self._session.get_provider_options().get(name, {}) if name else {}
        for key in ("intra_op_num_threads", "num_of_threads"):
            if key in said:
                return Fact(str(said[key]), "reported", f"{key} of {name}")
        return Fact(str(of_the_session), "reported", "intra_op_num_threads")

    def profile(self) -> list[list[dict[str, Any]]]:
        """Of each run the nodes; a first one is not counted."""
        with tempfile.TemporaryDirectory(prefix="bakeoff-ort-") as folder:
            prefix = str(Path(folder) / "profile")
            session = self._open(prefix)
            once = self._untimed(session)
            for _ in range(1 + profiles.PROFILED):
                once()
            events = json.loads(Path(session.end_profiling()).read_text())
        nodes = [event for event in events if event.get("cat") == "Node" and "op_name" in event["args"]]
        _, *starts = sorted(event["ts"] for event in events if event["name"] == "model_run")
        ends = [*starts[1:], math.inf]
        return [
            [node for node in nodes if start <= node["ts"] < end]
            for start, end in zip(starts, ends, strict=True)
        ]

    def _untimed(self, session: ort.InferenceSession) -> Callable[[], Any]:
        """A run of that session that only shows what executes."""
        untimed = arrays.untimed_inputs(self._io)
        feeds = {in_file: self._typed(in_file, untimed[name]) for name, in_file in self._inputs}
        return lambda: session.run(self._wanted, feeds)

    def _typed(self, in_file: str, array: Array) -> Array:
        """State is in the file's own type, which may be fp16."""
        return array.astype(np.float16) if in_file in self._halves else array


class StatefulSession(OnnxRuntimeSession):
    """Runs on OrtValues, so that outputs that carry state stay with ONNX Runtime: NumPy sees none of them."""

    def __init__(self, *arguments: Any) -> None:
        import onnxruntime as ort

        super().__init__(*arguments)
        self._run = self._session.run_with_ort_values
        self._value = ort.OrtValue.ortvalue_from_numpy
        io, in_file = self._io, dict(self._inputs)
        places = {t.name: i for i, t in enumerate(io.outputs)}
        self._fetched = tuple((t.name, places[t.name]) for t in io.fetched)
        self._carried = tuple((in_file[into], places[out]) for out, into in io.state if into in in_file)

    def stage(self, inputs: Mapping[str, Array], onto: Mapping[str, Any] | None = None) -> dict[str, Any]:
        value, typed = self._value, self._typed
        fresh = {
            in_file: value(typed(in_file, inputs[name])) for name, in_file in self._inputs if name in inputs
        }
        return {**(onto or {}), **fresh}

    def fetch(self, outputs: list[Any]) -> dict[str, Array]:
        return {name: outputs[i].numpy() for name, i in self._fetched}

    def advance(
        self, staged: Mapping[str, Any], outputs: list[Any], inputs: Mapping[str, Array]
    ) -> dict[str, Any]:
        return self.stage(inputs, {**staged, **{in_file: outputs[i] for in_file, i in self._carried}})


def open_session(
    model: ModelFile,
    target: Target,
    io: IOSpec,
    settings: Mapping[str, Any],
    profile_prefix: str = "",
    optimised: Path | None = None,
) -> ort.InferenceSession:
    """A session with its graph optimised for the case's shapes; `optimised` is where to write that graph.

    Raises ModelFileError, UnsupportedCase.
    """
    options = session_options(target, settings, profile_prefix)
    if target.variant == "xnnpack":
        # It has threads of its own (ONNX Runtime docs, 'XNNPACK execution provider': give those to it alone).
        options.intra_op_num_threads = 1
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    if optimised is not None:
        options.optimized_model_filepath = str(optimised)
        options.add_session_config_entry("session.save_model_format", "ORT")
    return loaded(model, io, options, _providers(target))


def session_options(
    target: Target, settings: Mapping[str, Any], profile_prefix: str = ""
) -> ort.SessionOptions:
    """Those of the target; settings are attributes of them or keys of their configuration."""
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.intra_op_num_threads = target.threads
    options.inter_op_num_threads = 1
    options.execution_mode = ort.ExecutionMode.ORT_SEQUENTIAL
    options.log_severity_level = 3
    for key, value in settings.items():
        if key in ATTRIBUTES:
            setattr(options, key, bool(value))
        else:
            options.add_session_config_entry(key, str(int(value) if isinstance(value, bool) else value))
    if profile_prefix:
        options.enable_profiling = True
        options.profile_file_prefix = profile_prefix
    return options


def loaded(
    model: ModelFile, io: IOSpec, options: ort.SessionOptions, wanted: Sequence[Provider]
) -> ort.InferenceSession:
    """A session with these providers and no others, its graph optimised for the case's shapes.

    Raises ModelFileError, UnsupportedCase.
    """
    import onnxruntime as ort
    from onnxruntime.capi import onnxruntime_pybind11_state as state

    try:
        if model.format != OPTIMISED:
            for dimension, extent in onnx_file.extents(model.path, io).items():
                options.add_free_dimension_override_by_name(dimension, extent)
        # It would fall back to other providers, and print that it does.
        session = ort.InferenceSession(
            str(model.path),
            options,
            providers=list(wanted) or None,
            enable_fallback=0,
            disabled_optimizers=[BIAS_OPTIMISER] if model.format in FLOAT_BIASES else None,
        )
    except state.NotImplemented as error:
        raise UnsupportedCase(f"onnxruntime: {runtimes.first_line(error)}", hint="bakeoff doctor") from error
    except (
        OSError,
        ValueError,
        state.Fail,
        state.InvalidArgument,
        state.InvalidGraph,
        state.InvalidProtobuf,
        state.NoModel,
        state.NoSuchFile,
    ) as error:
        raise faults.broken(model, error) from error
    _require_providers(session, wanted)
    _require_interface(session, model, io)
    return session


def _require_providers(session: ort.InferenceSession, wanted: Sequence[Provider]) -> None:
    """Raises UnsupportedCase unless the session has those that were asked for."""
    names = [one if isinstance(one, str) else one[0] for one in wanted]
    # Where the CPU's is left out it is there all the same, and takes nothing if it is told so.
    if names and session.get_providers() not in (names, [*names, CPU]):
        raise UnsupportedCase(
            f"onnxruntime: {', '.join(names)} was asked for, {', '.join(session.get_providers())} came",
            hint="bakeoff doctor",
        )


def _require_interface(session: ort.InferenceSession, model: ModelFile, io: IOSpec) -> None:
    """Raises ModelFileError unless the file has all inputs and outputs."""
    has = {value.name for value in (*session.get_inputs(), *session.get_outputs())}
    missing = [t.name_in_file for t in (*io.inputs, *io.outputs) if t.name_in_file not in has]
    if missing:
        raise ModelFileError(f"{model.path}: has no {', '.join(missing)} (it has {', '.join(sorted(has))})")


def write_optimised(
    model: ModelFile, target: Target, io: IOSpec, settings: Mapping[str, Any], path: Path
) -> None:
    """The model in the ORT format, as a session with these settings makes it of the file for this shape."""
    open_session(model, target, io, settings, optimised=path)
    path.with_name(WEIGHTS).write_text(onnx_file.weights(model.path))


def _providers(target: Target) -> list[Provider]:
    """In the order in which they are offered each operation, with their settings."""
    name, threads = PROVIDERS.get(target.variant), str(target.threads)
    if name is None:
        return [CPU]
    settings = {
        "xnnpack": {"intra_op_num_threads": threads},
        "openvino": {"device_type": "CPU", "num_of_threads": threads, "precision": "FP32"},
    }
    return [(name, settings.get(target.variant, {})), CPU]


def weights(model: ModelFile) -> str:
    """As `_onnx_file.weights`; of an optimised file it stands beside it."""
    if model.format != OPTIMISED:
        return onnx_file.weights(model.path)
    return model.path.with_name(WEIGHTS).read_text()


def operation(args: Mapping[str, Any], ns: float, held: str) -> Operation:
    """A node of a profile; `held` is the precision that MatMulNBits stands for in this model."""
    kind = args["op_name"]
    if kind == "MatMulNBits":
        precision = held
    elif kind.startswith("DynamicQuantize"):
        precision = "int8"  # its first input is what it quantises
    else:
        precision = _precision(args)
    return Operation(kind, precision, ns, kind.startswith(PRODUCTS))


def _precision(args: Mapping[str, Any]) -> str:
    """A node's arithmetic: the type of its first input, or of its output where that is a mask or an index."""
    for tensors in (args["input_type_shape"], args["output_type_shape"]):
        for tensor in tensors[:1]:
            for dtype in tensor:
                if dtype in PRECISIONS:
                    return PRECISIONS[dtype]
    return ""
