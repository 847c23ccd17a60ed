"""TensorRT 10 and 11 by one set of calls: what differs between them is here and nowhere else.

| | 10 | 11 |
| --- | --- | --- |
| networks | weakly typed unless STRONGLY_TYPED is asked for | strongly typed, the flag is kept and ignored |
| precisions of the builder, calibrators | `FP16`, `INT8` …, `int8_calibrator` | gone: the model file says |
| `TF32` | on unless cleared, also in strongly typed networks | the same |
| memory of a context | `device_memory_size_v2`, before 10.1 `device_memory_size` | `device_memory_size_v2` |
| a tensor in the inspector's JSON | `Format/Datatype` | `Format` and `Datatype` |

Sources: NVIDIA TensorRT 11.4 documentation, 'Migrating from TensorRT 10.x to 11.x' and 'Removed Python APIs
and Replacements'; names as the Python bindings 10.13.3 and 11.4.0 have them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from backends.support import arrays
from bench.interfaces.errors import BackendUnavailable
from bench.interfaces.tensors import Array

MAJORS = (10, 11)
# How DataType names what a tensor holds → NumPy's name; bfloat16 has none there, and travels as uint16.
DTYPES = {
    "FLOAT": "float32",
    "HALF": "float16",
    "BF16": "bfloat16",
    "BOOL": "bool",
    "INT8": "int8",
    "UINT8": "uint8",
    "INT32": "int32",
    "INT64": "int64",
}
BFLOAT16 = "bfloat16"


@dataclass(frozen=True, slots=True)
class Refusal:
    """An error of the ONNX parser: the node that it is about, what it says, and whether the file is broken
    (else it holds what TensorRT does not take)."""

    node: str
    operator: str
    text: str
    broken: bool = False

    @property
    def words(self) -> str:
        where = f"{self.operator} {self.node}".strip()
        return f"{where}: {self.text}" if where else self.text


def version(trt: Any) -> tuple[int, int]:
    """(major, minor)."""
    major, minor, *_ = str(trt.__version__).split(".")
    return int(major), int(minor)


def started(kind: Any, log: Any) -> Any:
    """A builder or a runtime. Raises BackendUnavailable: what TensorRT cannot make comes as a TypeError of
    its bindings, and why only its logger knows."""
    try:
        return kind(log)
    except TypeError as error:
        raise BackendUnavailable(f"tensorrt does not start: {failure(log)}", hint="bakeoff doctor") from error


def create_network(trt: Any, builder: Any) -> Any:
    """One whose layers compute in the types that the model file gives them, in either version."""
    strongly = getattr(trt.NetworkDefinitionCreationFlag, "STRONGLY_TYPED", None)
    return builder.create_network(0 if strongly is None else 1 << int(strongly))


def configure(trt: Any, config: Any, *, tf32: bool, level: int | None, workspace: int | None) -> None:
    """A builder's settings. `level` of optimisation and bytes of `workspace`: None leaves TensorRT's own.

    All layers are told in detail afterwards, or nothing could be proven.
    """
    (config.set_flag if tf32 else config.clear_flag)(trt.BuilderFlag.TF32)
    config.profiling_verbosity = trt.ProfilingVerbosity.DETAILED
    if level is not None:
        config.builder_optimization_level = level
    if workspace is not None:
        config.set_memory_pool_limit(trt.MemoryPoolType.WORKSPACE, workspace)


def quiet(trt: Any, context: Any) -> None:
    """No NVTX ranges for a context: an engine that was built with DETAILED verbosity is enqueued more slowly
    else (`IExecutionContext.nvtx_verbosity`)."""
    context.nvtx_verbosity = trt.ProfilingVerbosity.NONE


def refusals(trt: Any, parser: Any) -> list[Refusal]:
    """What the ONNX parser complains of."""
    return [_refusal(trt, parser.get_error(i)) for i in range(parser.num_errors)]


def _refusal(trt: Any, error: Any) -> Refusal:
    # Not by the code's `name`: in 10 that is a method, and of something else.
    broken = error.code() == trt.ErrorCode.MODEL_DESERIALIZE_FAILED
    return Refusal(error.node_name(), error.node_operator(), error.desc(), broken)


def tensors(trt: Any, engine: Any) -> Iterator[tuple[str, bool, str]]:
    """(name, is an input, dtype) of an engine's inputs and outputs."""
    for i in range(engine.num_io_tensors):
        name = engine.get_tensor_name(i)
        dtype = engine.get_tensor_dtype(name)
        yield name, engine.get_tensor_mode(name) == trt.TensorIOMode.INPUT, DTYPES.get(dtype.name, dtype.name)


def decide_shapes(trt: Any, engine: Any) -> list[str]:
    """Inputs whose values decide the shapes of others: they would have to lie in the host's memory."""
    return [
        name
        for name, is_input, _ in tensors(trt, engine)
        if is_input and engine.get_tensor_location(name) == trt.TensorLocation.HOST
    ]


def context_bytes(engine: Any) -> int:
    """Device memory that an execution context takes."""
    newer = getattr(engine, "device_memory_size_v2", None)
    return int(engine.device_memory_size if newer is None else newer)


def logger(trt: Any) -> Any:
    """A logger that keeps what TensorRT warns of or fails with, and prints nothing.

    Its attribute `said` is a list of (severity's name, message). It must outlive all that is made with it.
    """

    class Kept(trt.ILogger):  # type: ignore[misc]
        def __init__(self) -> None:
            trt.ILogger.__init__(self)
            self.said: list[tuple[str, str]] = []

        def log(self, severity: Any, msg: str) -> None:
            if severity.name in ("INTERNAL_ERROR", "ERROR", "WARNING"):
                self.said.append((severity.name, msg))

    return Kept()


def failure(log: Any) -> str:
    """What a logger was told last as an error."""
    errors = [text for severity, text in log.said if severity != "WARNING"]
    return errors[-1].strip() if errors else "it does not say why"


def profiler(trt: Any) -> Any:
    """One whose attribute `times` is a list of (layer, ms) in the order in which they were reported."""

    class Times(trt.IProfiler):  # type: ignore[misc]
        def __init__(self) -> None:
            trt.IProfiler.__init__(self)
            self.times: list[tuple[str, float]] = []

        def report_layer_time(self, layer_name: str, ms: float) -> None:
            self.times.append((layer_name, ms))

    return Times()


def inspect(trt: Any, engine: Any, context: Any) -> str:
    """JSON of the engine's layers, with the shapes and formats that they have in a context."""
    inspector = engine.create_engine_inspector()
    inspector.execution_context = context
    return str(inspector.get_engine_information(trt.LayerInformationFormat.JSON))


def stored(dtype: str) -> str:
    """NumPy's name of what carries a dtype."""
    return "uint16" if dtype == BFLOAT16 else dtype


def place(array: Array, into: Array, dtype: str) -> None:
    """An array of any layout into a buffer of `stored(dtype)`, rounded to that dtype."""
    if dtype != BFLOAT16:
        np.copyto(into, array, casting="unsafe")
        return
    np.copyto(into, arrays.bf16_bits(array))


def taken(buffer: Array, dtype: str, wanted: str) -> Array:
    """A copy of a buffer of `stored(dtype)` in the dtype that is wanted."""
    if dtype != BFLOAT16:
        return buffer.astype(wanted)
    return (buffer.astype(np.uint32) << 16).view(np.float32).astype(wanted)
