"""What stands in for TensorRT 10 and 11 and for the CUDA runtime where no GPU is: as lazy as they are.

Device memory is memory of this process; what goes to a stream waits there until that is synchronised, so that
whoever reads, frees or overwrites too early is found out. An engine is its ONNX file, run by onnx's reference
evaluator.
"""

from __future__ import annotations

import ctypes
import enum
import json
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np

NO_DEVICE, INSUFFICIENT_DRIVER = 100, 35
WORDS = {
    NO_DEVICE: b"no CUDA-capable device is detected",
    INSUFFICIENT_DRIVER: b"CUDA driver version is insufficient for CUDA runtime version",
    2: b"out of memory",
}


class Library:
    """libcudart: functions that take what ctypes gives them, and answer a number."""

    def __init__(
        self, error: int = 0, driver: int = 13000, name: bytes = b"Stand-in", capability: int = 90
    ) -> None:
        self.memory: dict[int, Any] = {}
        self.queue: list[Callable[[], None]] = []
        self.graphs: dict[int, list[Callable[[], None]]] = {}
        self.recorded: list[Callable[[], None]] | None = None
        self.handles: set[int] = set()
        self.calls: list[str] = []
        self.clock = 0
        self.events: dict[int, int] = {}
        for key, function in self._functions(error, driver, name, capability).items():
            setattr(self, key, function)

    def __getitem__(self, name: str) -> Any:
        return getattr(self, name)

    def enqueue(self, work: Callable[[], None]) -> None:
        (self.queue if self.recorded is None else self.recorded).append(work)

    def _functions(self, error: int, driver: int, name: bytes, capability: int) -> dict[str, Any]:
        def made(pointer: Any, handle: int | None = None) -> int:
            handle = handle or 1000 + len(self.calls) + len(self.handles)
            while handle in self.handles:
                handle += 1
            self.handles.add(handle)
            pointer._obj.value = handle
            return 0

        def allocate(pointer: Any, nbytes: int) -> int:
            block = ctypes.create_string_buffer(b"\xa5" * nbytes, nbytes)
            self.memory[ctypes.addressof(block)] = block
            pointer._obj.value = ctypes.addressof(block)
            return 0

        def free(address: int) -> int:
            del self.memory[address]
            return 0

        def copy(to: int, source: int, nbytes: int, kind: int, stream: int) -> int:
            assert stream in self.handles
            assert kind in (1, 2)

            def work() -> None:
                assert {to, source} <= set(self.memory), "memory that is freed, or is no memory of CUDA's"
                ctypes.memmove(to, source, nbytes)

            self.enqueue(work)
            return 0

        def synchronize(stream: int) -> int:
            assert stream in self.handles
            assert self.recorded is None, "a stream that is captured cannot be waited for"
            work, self.queue = self.queue, []
            for one in work:
                one()
            return 0

        def record(event: int, stream: int) -> int:
            def work() -> None:
                self.clock += 1
                self.events[event] = self.clock

            self.enqueue(work)
            return 0

        def elapsed(pointer: Any, begin: int, end: int) -> int:
            pointer._obj.value = (self.events[end] - self.events[begin]) * 0.25
            return 0

        def begin_capture(stream: int, mode: int) -> int:
            self.recorded = []
            return 0

        def end_capture(stream: int, pointer: Any) -> int:
            recorded, self.recorded = self.recorded, None
            made(pointer)
            self.graphs[pointer._obj.value] = recorded or []
            return 0

        def instantiate(pointer: Any, graph: int, flags: int) -> int:
            made(pointer)
            self.graphs[pointer._obj.value] = self.graphs[graph]
            return 0

        def launch(graph: int, stream: int) -> int:
            self.queue += self.graphs[graph]
            return 0

        def drop(handle: int) -> int:
            self.handles.remove(handle)
            return 0

        def number(value: int) -> Callable[..., int]:
            def answer(pointer: Any, *_: Any) -> int:
                pointer._obj.value = value
                return 0

            return answer

        def count(pointer: Any) -> int:
            pointer._obj.value = 0 if error else 1
            return error

        def attribute(pointer: Any, which: int, device: int) -> int:
            pointer._obj.value = capability // 10 if which == 75 else capability % 10
            return 0

        def properties(buffer: Any, device: Any) -> int:
            buffer.value = name
            return 0

        def words(code: int) -> bytes:
            return WORDS[code]

        plain: dict[str, Any] = {
            "cudaRuntimeGetVersion": number(13020),
            "cudaDriverGetVersion": number(driver),
            "cudaGetDeviceCount": count,
            "cudaDeviceGetAttribute": attribute,
            "cudaSetDevice": lambda device: 0,
            "cudaMalloc": allocate,
            "cudaFree": free,
            "cudaMallocHost": allocate,
            "cudaFreeHost": free,
            "cudaMemcpyAsync": copy,
            "cudaStreamSynchronize": synchronize,
            "cudaEventRecord": record,
            "cudaStreamCreateWithFlags": lambda pointer, flags: made(pointer),
            "cudaStreamDestroy": drop,
            "cudaEventCreate": made,
            "cudaEventDestroy": drop,
            "cudaEventElapsedTime": elapsed,
            "cudaStreamBeginCapture": begin_capture,
            "cudaStreamEndCapture": end_capture,
            "cudaGraphInstantiateWithFlags": instantiate,
            "cudaGraphLaunch": launch,
            "cudaGraphDestroy": drop,
            "cudaGraphExecDestroy": drop,
            "cudaGetDeviceProperties": properties,
            "cudaGetErrorString": words,
        }
        return {key: self._counted(key, function) for key, function in plain.items()}

    def _counted(self, name: str, function: Any) -> Any:
        def call(*arguments: Any) -> Any:
            self.calls.append(name)
            return function(*arguments)

        return call


class Severity(enum.Enum):
    INTERNAL_ERROR, ERROR, WARNING, INFO = range(4)


DataType = enum.Enum("DataType", ["FLOAT", "HALF", "BF16", "INT8", "INT32", "INT64", "BOOL", "UINT8", "FP8"])
ErrorCode = enum.Enum("ErrorCode", ["MODEL_DESERIALIZE_FAILED", "UNSUPPORTED_NODE"])
TYPES = {"float32": "FLOAT", "float16": "HALF", "int64": "INT64", "int32": "INT32"}


class Config:
    def __init__(self) -> None:
        self.flags_set, self.limits, self.profiles = {"TF32"}, {}, []  # type: ignore[var-annotated]
        self.profiling_verbosity = "LAYER_NAMES_ONLY"

    def set_flag(self, flag: Any) -> None:
        self.flags_set.add(flag)

    def clear_flag(self, flag: Any) -> None:
        self.flags_set.discard(flag)

    def set_memory_pool_limit(self, pool: Any, nbytes: int) -> None:
        self.limits[pool] = nbytes

    def create_timing_cache(self, content: bytes) -> Any:
        return SimpleNamespace(serialize=lambda: b"timings")

    def set_timing_cache(self, cache: Any, ignore_mismatch: bool) -> bool:
        return True

    def add_optimization_profile(self, profile: Any) -> int:
        self.profiles.append(profile)
        return len(self.profiles) - 1


class Network:
    def __init__(self, flags: int) -> None:
        self.flags, self.model, self.num_layers = flags, None, 0
        self.inputs: list[Any] = []
        self.outputs: list[Any] = []

    num_inputs = property(lambda self: len(self.inputs))
    num_outputs = property(lambda self: len(self.outputs))

    def get_input(self, index: int) -> Any:
        return self.inputs[index]

    def get_output(self, index: int) -> Any:
        return self.outputs[index]


class Parser:
    """Takes what onnx can read; `Det` is what it does not hold."""

    def __init__(self, network: Network, log: Any) -> None:
        self._network, self._errors = network, []  # type: ignore[var-annotated]

    num_errors = property(lambda self: len(self._errors))

    def get_error(self, index: int) -> Any:
        code, node, operator, text = self._errors[index]
        return SimpleNamespace(
            code=lambda: ErrorCode[code],
            node_name=lambda: node,
            node_operator=lambda: operator,
            desc=lambda: text,
        )

    def parse_from_file(self, path: str) -> bool:
        import onnx

        try:
            model = onnx.load(path)
        except Exception:
            self._errors.append(("MODEL_DESERIALIZE_FAILED", "", "", "Failed to parse the ONNX model"))
            return False
        for node in model.graph.node:
            if node.op_type == "Det":
                self._errors.append(("UNSUPPORTED_NODE", node.name, "Det", "no importer registered for it"))
        self._network.model, self._network.num_layers = path, len(model.graph.node)  # type: ignore[assignment]
        for values, into in (
            (model.graph.input, self._network.inputs),
            (model.graph.output, self._network.outputs),
        ):
            for value in values:
                shape = [
                    d.dim_value if d.HasField("dim_value") else -1 for d in value.type.tensor_type.shape.dim
                ]
                into.append(
                    SimpleNamespace(name=value.name, shape=shape, type=value.type.tensor_type.elem_type)
                )
        return not self._errors


class Engine:
    device_memory_size_v2 = 4096

    def __init__(self, trt: Any, facts: dict[str, Any]) -> None:
        self._trt, self._facts = trt, facts
        self.num_io_tensors = len(facts["tensors"])

    def get_tensor_name(self, index: int) -> str:
        return list(self._facts["tensors"])[index]

    def get_tensor_dtype(self, name: str) -> Any:
        return DataType[self._facts["tensors"][name]["dtype"]]

    def get_tensor_mode(self, name: str) -> str:
        return "INPUT" if self._facts["tensors"][name]["input"] else "OUTPUT"

    def get_tensor_location(self, name: str) -> str:
        return "HOST" if name in self._trt.on_the_host else "DEVICE"

    def get_tensor_shape(self, name: str) -> list[int]:
        return list(self._facts["tensors"][name]["shape"])

    def create_execution_context(self) -> Context:
        return Context(self._trt, self, self._facts)

    def create_engine_inspector(self) -> Any:
        layers = self._trt.layers or [self._product()]
        return SimpleNamespace(get_engine_information=lambda form: json.dumps({"Layers": layers}))

    def _product(self) -> dict[str, Any]:
        """One of the type that the file's weights have."""
        import onnx

        kinds = {one.data_type for one in onnx.load(self._facts["onnx"]).graph.initializer}
        held = [{"Name": "w", "Datatype": "Half" if onnx.TensorProto.FLOAT16 in kinds else "Float"}]
        return {"Name": "product", "LayerType": "gemm", "Inputs": held, "Outputs": held, "TacticName": ""}


class Context:
    def __init__(self, trt: Any, engine: Engine, facts: dict[str, Any]) -> None:
        self._trt, self._engine, self._facts = trt, engine, facts
        self._addresses: dict[str, int] = {}
        self.profiler: Any = None
        self.nvtx_verbosity = "DETAILED"
        self._cold = True
        trt.contexts.append(self)

    def set_input_shape(self, name: str, shape: tuple[int, ...]) -> bool:
        return list(shape) == self._engine.get_tensor_shape(name)

    def get_tensor_shape(self, name: str) -> list[int]:
        return self._engine.get_tensor_shape(name)

    def set_tensor_address(self, name: str, address: int) -> bool:
        self._addresses[name] = address
        return True

    def execute_async_v3(self, stream: int) -> bool:
        addresses = dict(self._addresses)
        if self._trt.cuda.recorded is not None and self._trt.uncapturable:
            self._trt.loggers[-1].log(Severity.ERROR, "a loop on the host cannot be captured")
            return False
        self._trt.cuda.enqueue(lambda: self._run(addresses))
        if self.profiler is not None:
            for name, ms in self._trt.times:
                self.profiler.report_layer_time(name, 0.0 if self._cold else ms)
        self._cold = False
        return True

    def _run(self, addresses: dict[str, int]) -> None:
        from onnx.reference import ReferenceEvaluator

        tensors, memory = self._facts["tensors"], self._trt.cuda.memory
        assert set(addresses) == set(tensors), "an input or output has no address"
        places = {name: self._place(memory[address], tensors[name]) for name, address in addresses.items()}
        feeds = {name: places[name].copy() for name, one in tensors.items() if one["input"]}
        outputs = [name for name, one in tensors.items() if not one["input"]]
        for name, found in zip(
            outputs, ReferenceEvaluator(self._facts["onnx"]).run(outputs, feeds), strict=True
        ):
            np.copyto(places[name], found)

    @staticmethod
    def _place(block: Any, one: dict[str, Any]) -> Any:
        numpy_name = next(key for key, value in TYPES.items() if value == one["dtype"])
        return np.frombuffer(block, numpy_name)[: int(np.prod(one["shape"]))].reshape(one["shape"])


def tensorrt(version: str, cuda: Library) -> Any:
    """The module of that version; `layers` and `times` are what its inspector and its profiler tell."""
    trt = SimpleNamespace(
        __version__=version, cuda=cuda, layers=[], times=[], uncapturable=False, loggers=[], on_the_host=[]
    )
    flags = {"STRONGLY_TYPED": 1} if version.startswith("11") else {"EXPLICIT_BATCH": 0, "STRONGLY_TYPED": 1}
    trt.NetworkDefinitionCreationFlag = SimpleNamespace(**flags)
    trt.BuilderFlag = SimpleNamespace(TF32="TF32")
    trt.ProfilingVerbosity = SimpleNamespace(DETAILED="DETAILED", NONE="NONE")
    trt.MemoryPoolType = SimpleNamespace(WORKSPACE="WORKSPACE")
    trt.TensorIOMode = SimpleNamespace(INPUT="INPUT", OUTPUT="OUTPUT")
    trt.TensorLocation = SimpleNamespace(HOST="HOST", DEVICE="DEVICE")
    trt.LayerInformationFormat = SimpleNamespace(JSON="JSON")
    trt.OnnxParser, trt.ErrorCode = Parser, ErrorCode
    trt.networks, trt.configs, trt.contexts = [], [], []

    class ILogger:
        def __init__(self) -> None:
            trt.loggers.append(self)

    class IProfiler:
        pass

    def build(network: Network, config: Config) -> bytes | None:
        trt.networks.append(network)
        trt.configs.append(config)
        import onnx

        names = {code: np.dtype(onnx.helper.tensor_dtype_to_np_dtype(code)).name for code in (1, 6, 7, 10)}
        case = {name: shapes[1] for one in config.profiles for name, shapes in one.shapes.items()}
        tensors = {}
        for values, is_input in ((network.inputs, True), (network.outputs, False)):
            for value in values:
                shape = case.get(value.name) or [
                    n if n != -1 else next(iter(case.values()))[0] for n in value.shape
                ]
                dtype = TYPES[names[value.type]]
                tensors[value.name] = {"dtype": dtype, "shape": list(shape), "input": is_input}
        return json.dumps({"onnx": network.model, "tensors": tensors}).encode()

    def profile() -> Any:
        one = SimpleNamespace(shapes={})
        one.set_shape = lambda name, low, best, high: one.shapes.__setitem__(name, (low, best, high))
        return one

    trt.Builder = lambda log: SimpleNamespace(
        create_network=Network,
        create_builder_config=Config,
        create_optimization_profile=profile,
        build_serialized_network=build,
    )

    def deserialise(plan: bytes) -> Engine | None:
        try:
            return Engine(trt, json.loads(plan))
        except ValueError:
            trt.loggers[-1].log(
                Severity.ERROR, "IRuntime::deserializeCudaEngine: Error Code 1: Serialization"
            )
            return None

    trt.Runtime = lambda log: SimpleNamespace(max_threads=1, deserialize_cuda_engine=deserialise)
    trt.ILogger, trt.IProfiler = ILogger, IProfiler
    return trt
