"""PyTorch, operation by operation: an exported program run as plain Python over ATen."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from backends import _torch_graph, _torch_int8, support
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
from backends.support import PRECISIONS, Operation
from bench.errors import ModelFileError

if TYPE_CHECKING:
    import torch
    from torch.fx import GraphModule

DTYPES = {"fp32": "float32", "bf16": "bfloat16", "fp16": "float16"}
NOT_EAGER = {
    "int8:qdq": "it takes no ONNX files",
    "int8-weight": "eager PyTorch has no fast kernel for fp32 activations with integer weights",
    "int4-weight": "eager PyTorch has no fast kernel for fp32 activations with integer weights",
}
OPTIONS = ("channels_last", "cudnn_benchmark", "flush_denormal")
# Operations that multiply matrices; others are arithmetic as well, and have no say where these are.
PRODUCTS = (
    "addmm",
    "bmm",
    "mm",
    "matmul",
    "linear",
    "convolution",
    "conv2d",
    "_convolution",
    "mkldnn_convolution",
    "scaled_dot_product_attention",
    "_scaled_dot_product_flash_attention_for_cpu",
    "_int_mm",
)
Tensors = tuple["torch.Tensor", ...]


class TorchSession(BaseSession):
    """Inputs are staged as tensors in the target's precision; in fp32 on a CPU they share host memory."""

    def __init__(
        self, module: GraphModule, target: Target, io: IOSpec, settings: Mapping[str, Any], emulated: bool
    ) -> None:
        import torch

        self._target, self._io, self._settings, self._emulated = target, io, settings, emulated
        self._device = torch.device(target.device)
        self._stage = tuple(
            (t.name, _mover(self._device, target, settings, t.dtype, len(t.shape))) for t in io.inputs
        )
        places = {t.name: i for i, t in enumerate(io.outputs)}
        self._fetch = tuple((t.name, places[t.name], getattr(torch, t.dtype)) for t in io.fetched)
        self._carried = {into: places[out] for out, into in io.state}
        self._module = module
        # `forward` itself, without what `__call__` does for hooks.
        self._forward = module.forward
        self._mode = torch.inference_mode()

    def stage(self, inputs: Mapping[str, Array], onto: Tensors | None = None) -> Tensors:
        if onto is None:
            return tuple([move(inputs[name]) for name, move in self._stage])
        kept = zip(self._stage, onto, strict=True)
        return tuple([move(inputs[name]) if name in inputs else old for (name, move), old in kept])

    def run(self, staged: Tensors) -> Tensors:
        with self._mode:
            return self._forward(*staged)  # type: ignore[no-any-return]

    def fetch(self, outputs: Tensors) -> dict[str, Array]:
        return {name: outputs[i].to("cpu", dtype).numpy() for name, i, dtype in self._fetch}

    def advance(self, staged: Tensors, outputs: Tensors, inputs: Mapping[str, Array]) -> Tensors:
        carried = zip(self._stage, staged, strict=True)
        onto = tuple([outputs[self._carried[n]] if n in self._carried else old for (n, _), old in carried])
        return self.stage(inputs, onto)

    def close(self) -> None:
        del self._forward, self._module

    def actual(self) -> Actual:
        """From every ATen operation of untimed runs: its time, dtypes and devices."""
        import torch

        staged = self.stage(support.untimed_inputs(self._io))
        self.run(staged)
        runs = [_watch(lambda: self.run(staged), self._device) for _ in range(support.PROFILED)]
        operations, devices = support.quickest(found for found, _ in runs), runs[0][1]
        precision, shares = support.weigh(operations, "dispatched operations of an untimed run")
        on = ",".join(sorted(devices))
        onednn = torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]
        return Actual(
            precision=precision,
            device=Fact(on, "executed", "devices of the tensors that the operations computed"),
            provider=Fact("eager", "executed", f"{len(operations)} ATen operations"),
            threads=Fact(str(torch.get_num_threads()), "reported", "torch.get_num_threads"),
            emulated=self._emulated,
            settings={
                **shares,
                "interop_threads": torch.get_num_interop_threads(),
                "onednn": onednn and torch.backends.mkldnn.enabled,
                "cpu_capability": torch.backends.cpu.get_cpu_capability(),
                "allow_tf32": torch.backends.cudnn.allow_tf32 or torch.backends.cuda.matmul.allow_tf32,
                **self._settings,
            },
        )


class CudaSession(TorchSession):
    """The same on a GPU: `run` waits for the stream, and events give the device's own time."""

    def __init__(
        self, module: GraphModule, target: Target, io: IOSpec, settings: Mapping[str, Any], emulated: bool
    ) -> None:
        import torch

        super().__init__(module, target, io, settings, emulated)
        torch.cuda.set_device(self._device)
        self._stream = torch.cuda.current_stream(self._device)
        self._begin = torch.cuda.Event(enable_timing=True)  # type: ignore[no-untyped-call]
        self._end = torch.cuda.Event(enable_timing=True)  # type: ignore[no-untyped-call]

    def run(self, staged: Tensors) -> Tensors:
        self._begin.record(self._stream)
        with self._mode:
            outputs: Tensors = self._forward(*staged)
        self._end.record(self._stream)
        self._stream.synchronize()
        return outputs

    def device_ns(self) -> int:
        """Time between the events around the last run, in ns (the events resolve about 500 ns)."""
        return round(float(self._begin.elapsed_time(self._end)) * 1e6)


class TorchBackend(BaseBackend):
    name = "torch"
    summary = "PyTorch eager, on a CPU or a CUDA GPU."
    formats: tuple[str, ...] = ("torch-graph",)
    quantised: Mapping[str, tuple[str, ...]] = {
        "int8:native": ("torch-int8",),
        "int8-dynamic": ("torch-graph",),  # quantised while loading
    }
    install = "pip install 'bakeoff[torch]'"
    runtime: tuple[str, ...] = ("torch",)
    presets: Mapping[str, Preset] = {
        "stock": Preset({}, "PyTorch docs, 'Inference mode': defaults"),
        "expert": Preset(
            {"channels_last": True, "cudnn_benchmark": True},
            "PyTorch 'Performance Tuning Guide': channels_last memory format for vision models, and 'Enable "
            "cuDNN auto-tuner'",
        ),
    }

    def probe(self) -> Capabilities:
        support.import_runtime(self)
        import torch

        detail = {"cpu": torch.backends.cpu.get_cpu_capability()}
        if not torch.cuda.is_available():
            build = torch.version.cuda or "none"
            detail["cuda"] = f"no usable GPU (CUDA of this build: {build})"
        for i in range(torch.cuda.device_count()):
            detail[f"cuda:{i}"] = torch.cuda.get_device_name(i)
        return Capabilities(torch.__version__, _devices(), detail)

    def load(self, model: ModelFile | None, target: Target, io: IOSpec) -> TorchSession:
        support.import_runtime(self)
        import torch

        how = support.require(self, target, _devices())
        settings = support.settings(self, target, OPTIONS)
        if model is None:
            raise ModelFileError("torch: no model file was given", hint="prepare a torch-graph")
        torch.set_num_threads(target.threads)
        if torch.get_num_interop_threads() != 1:
            torch.set_num_interop_threads(1)
        # fp32 means fp32: cuDNN's convolutions default to TF32. Set through the older of torch's two ways:
        # after `fp32_precision` torch.export and torch.compile raise in the same process (2.13).
        torch.backends.cudnn.allow_tf32 = False
        torch.backends.cuda.matmul.allow_tf32 = False
        torch.backends.cudnn.benchmark = bool(settings.get("cudnn_benchmark", False))
        torch.set_flush_denormal(bool(settings.get("flush_denormal", False)))
        if target.arithmetic == "int8:native":
            import torch.ao.quantization.fx._decomposed  # registers the operations that its programs hold
        module = _graph(model, target.device)
        if target.arithmetic == "int8-dynamic":
            _torch_int8.quantise_dynamically(module)
        elif target.arithmetic in ("bf16", "fp16"):
            _cast(module, getattr(torch, DTYPES[target.arithmetic]))
        if settings.get("channels_last"):
            module.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        session = CudaSession if target.device_kind == "cuda" else TorchSession
        return session(module, target, io, settings, how.level == "emulated")


def _devices() -> dict[str, dict[str, Support]]:
    import torch

    cpu = {"fp32": Support("native")}
    for precision in ("bf16", "fp16"):
        native = support.cpu_computes(precision)
        why = "" if native else f"this CPU has no {precision} arithmetic; PyTorch converts to fp32 and back"
        cpu[precision] = Support("native" if native else "emulated", why)
    engine = torch.backends.quantized.engine
    cpu["int8-dynamic"] = Support("native" if engine != "none" else "none", f"engine {engine}")
    cpu["int8:native"] = Support("emulated", "eager PyTorch dequantises before each product")
    cpu |= {precision: Support("none", why) for precision, why in NOT_EAGER.items()}
    devices = {"cpu": cpu}
    for i in range(torch.cuda.device_count()):
        major, _ = torch.cuda.get_device_capability(i)
        bf16 = Support("native") if major >= 8 else Support("emulated", "native from compute capability 8.0")
        devices[f"cuda:{i}"] = {"fp32": Support("native"), "bf16": bf16, "fp16": Support("native")}
    return devices


def _graph(model: ModelFile, device: str) -> GraphModule:
    try:
        return _torch_graph.load(model.path, device)
    except ModelFileError:
        raise
    except Exception as error:
        raise support.broken(model, error) from error


def _cast(module: GraphModule, dtype: torch.dtype) -> None:
    """Parameters, buffers, constants, and the dtypes written into the graph, from fp32 to another type.

    Numbers in the graph that the type does not hold (a mask's least) become the nearest that it does.
    """
    import torch
    from torch.fx.node import map_aggregate

    most = torch.finfo(dtype).max

    def cast(value: Any) -> Any:
        if isinstance(value, float) and not math.isinf(value):
            return max(-most, min(value, most))
        return dtype if value is torch.float32 else value

    module.to(dtype)
    for part in module.modules():
        for name, value in vars(part).items():
            if isinstance(value, torch.Tensor) and value.dtype is torch.float32:
                setattr(part, name, value.to(dtype))
    for node in module.graph.nodes:
        node.args = map_aggregate(node.args, cast)
        node.kwargs = map_aggregate(node.kwargs, cast)
    module.recompile()


def _mover(
    device: torch.device, target: Target, settings: Mapping[str, Any], dtype: str, rank: int
) -> Callable[[Array], torch.Tensor]:
    """How one input gets to the device; integers keep their dtype."""
    import torch

    to_dtype = getattr(torch, DTYPES.get(target.arithmetic, dtype) if dtype == "float32" else dtype)
    if settings.get("channels_last") and rank == 4:
        layout = torch.channels_last
        return lambda array: torch.from_numpy(array).to(device, to_dtype, memory_format=layout)
    if device.type == "cpu" and str(to_dtype) == f"torch.{dtype}":
        return torch.from_numpy
    return lambda array: torch.from_numpy(array).to(device, to_dtype)


def _watch(run: Callable[[], Any], device: torch.device) -> tuple[list[Operation], set[str]]:
    """Every ATen operation of a run, and the devices that computed."""
    import torch
    from torch.utils._python_dispatch import TorchDispatchMode

    operations: list[Operation] = []
    devices: set[str] = set()

    class Watch(TorchDispatchMode):  # type: ignore[no-untyped-call]
        def __torch_dispatch__(
            self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
        ) -> Any:
            start = time.perf_counter_ns()
            output = func(*args, **(kwargs or {}))
            if device.type == "cuda":
                torch.cuda.synchronize(device)
            spent = time.perf_counter_ns() - start
            tensors = [value for value in (*args, output) if isinstance(value, torch.Tensor)]
            precision = ""
            for tensor in tensors:
                precision = precision or PRECISIONS.get(str(tensor.dtype).removeprefix("torch."), "")
            if tensors:
                devices.add(str(tensors[-1].device))
                name = str(func).removeprefix("aten.")
                quantised = name.startswith("quantized.linear")  # its arguments are what it quantises
                product = quantised or name.split(".")[0] in PRODUCTS
                operations.append(Operation(name, "int8" if quantised else precision, spent, product))
            return output

    with Watch():  # type: ignore[no-untyped-call]
        run()
    return operations, devices


BACKEND = TorchBackend()
