"""PyTorch: eager, operation by operation as plain Python over ATen, and its graph compilers.

Over 150 lines: four variants on two kinds of device differ in what they compute and how that is found out.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from backends.support import arrays as support_arrays
from backends.support import faults, targets
from backends.torch import cuda, fp8, graph, int8, peaks
from backends.torch import variants as torch_variants
from backends.torch.cuda import CudaCompiledSession, CudaSession
from backends.torch.session import DTYPES, CompiledSession, EagerSession, TorchSession, mover
from bench.interfaces.backend import BaseBackend, Capabilities, Devices, Preset, Support, Target
from bench.interfaces.errors import ModelFileError
from bench.interfaces.options import Option, Options
from bench.interfaces.recipe import Recipe
from bench.interfaces.tensors import IOSpec, ModelFile
from bench.interfaces.workload import Traits
from bench.machine import instructions
from bench.plugins import runtimes

if TYPE_CHECKING:
    import torch
    from torch.fx import GraphModule

NO_ONNX = "it takes no ONNX files"
WIDENS = "PyTorch widens fp8 on a CPU"
NOT_EAGER = {
    **dict.fromkeys(("int8:qdq", "fp8:qdq"), NO_ONNX),
    "int8-weight": "eager PyTorch has no fast kernel for fp32 activations with integer weights",
    "int4-weight": "eager PyTorch has no fast kernel for fp32 activations with integer weights",
}
NOT_COMPILED = {
    **dict.fromkeys(("int8:qdq", "fp8:qdq"), NO_ONNX),
    "int8-dynamic": "its packed weights are objects of eager PyTorch's, which compilers do not take",
    "int8-weight": "no kernel for fp32 activations with integer weights is reached from this graph",
    "int4-weight": "no kernel for fp32 activations with integer weights is reached from this graph",
}
NOT_ON_CUDA = "PyTorch's quantised kernels of this graph are for CPUs"
NO_INTEGERS_ON_CUDA = ("int8:qdq", "int8:native", "int8-dynamic", "int8-weight", "int4-weight")
OPTIONS = {
    "channels_last": Option("images and weights of convolutions with channels last"),
    "cudnn_benchmark": Option("cuDNN times its convolutions and takes the fastest"),
    "flush_denormal": Option("denormal numbers are zero"),
}


class TorchBackend(BaseBackend):
    name = "torch"
    summary = "PyTorch on a CPU or a CUDA GPU: eager, compiled, ahead of time, TorchScript."
    formats: tuple[str, ...] = ("torch-graph",)
    quantised: Mapping[str, tuple[str, ...]] = {
        "int8:native": ("torch-int8",),
        **dict.fromkeys(("int8-dynamic", "fp8-dynamic"), ("torch-graph",)),  # quantised while loading
    }
    install = "pip install 'bakeoff[torch]'"
    runtime: tuple[str, ...] = ("torch",)
    variants: Mapping[str, str] = {"": "eager, operation by operation", **torch_variants.VARIANTS}
    options: Options | None = OPTIONS
    presets: Mapping[str, Preset] = {
        "stock": Preset({}, "PyTorch docs, 'Inference mode': defaults"),
        "expert": Preset(
            {"channels_last": True, "cudnn_benchmark": True},
            "PyTorch 'Performance Tuning Guide': channels_last memory format for vision models, and 'Enable "
            "cuDNN auto-tuner'",
        ),
    }

    def probe(self) -> Capabilities:
        runtimes.import_runtime(self)
        import torch

        detail = {"cpu": torch.backends.cpu.get_cpu_capability(), "CUDA": torch.version.cuda or "none"}
        if torch.cuda.is_available():
            detail["architectures"] = " ".join(torch.cuda.get_arch_list())
        else:
            detail["cuda"] = "no usable GPU"
        for i in range(torch.cuda.device_count()):
            detail[f"cuda:{i}"] = torch.cuda.get_device_name(i)
        compiled = {variant: _devices(variant) for variant in torch_variants.VARIANTS}
        return Capabilities(torch.__version__, _devices(), detail, compiled)

    def ceilings(self, device: str) -> dict[str, float]:
        runtimes.import_runtime(self)
        return peaks.measure(device) if device.startswith("cuda") else {}

    def recipe(self, target: Target, traits: Traits) -> Recipe:
        return fp8.RECIPE if target.arithmetic == "fp8-dynamic" else int8.RECIPE

    def builds(self, target: Target) -> bool:
        return bool(target.variant)

    def build(self, model: ModelFile, target: Target, io: IOSpec, folder: Path) -> ModelFile:
        if not target.variant:
            return model
        import torch

        settings, _ = self._settle(target)
        module = _module(model, target, io, settings)
        example = _example(target, io, settings)
        what = f"torch:{target.variant} cannot compile this model"
        kinds = (RuntimeError, torch.jit.frontend.FrontendError)  # Dynamo's and Inductor's are of the first
        with faults.refusals(what, "leave this variant out for this workload", kinds):
            path = torch_variants.build(target.variant, module, example, folder, target.device)
        return ModelFile(f"torch-{target.variant}", path, model.sha256)

    def load(self, model: ModelFile | None, target: Target, io: IOSpec) -> TorchSession:
        settings, how = self._settle(target)
        model = targets.given(self, model)
        emulated = how.level == "emulated"
        if target.variant:
            example = _example(target, io, settings)
            try:
                run = torch_variants.load(target.variant, model.path, example, target.device)
            except Exception as error:
                raise faults.broken(model, error) from error
            compiled = CudaCompiledSession if target.device_kind == "cuda" else CompiledSession
            return compiled(run, target, io, settings, emulated)
        session = CudaSession if target.device_kind == "cuda" else EagerSession
        # `forward` itself, without what `__call__` does for hooks.
        return session(_module(model, target, io, settings).forward, target, io, settings, emulated)

    def _settle(self, target: Target) -> tuple[dict[str, Any], Support]:
        """The settings and how the precision is computed, once the process is set for them."""
        runtimes.import_runtime(self)
        import torch

        how = targets.require(self, target, _devices(target.variant))
        settings = targets.settings(self, target)
        torch.set_num_threads(target.threads)
        if torch.get_num_interop_threads() != 1:
            torch.set_num_interop_threads(1)
        cuda.set_arithmetic(target)
        torch.backends.cudnn.benchmark = bool(settings.get("cudnn_benchmark", False))
        torch.set_flush_denormal(bool(settings.get("flush_denormal", False)))
        if target.arithmetic == "int8:native":
            import torch.ao.quantization.fx._decomposed  # registers the operations that its programs hold
        return settings, how


def _module(model: ModelFile, target: Target, io: IOSpec, settings: Mapping[str, Any]) -> GraphModule:
    """The graph in the target's precision and layout."""
    import torch

    module = _graph(model, target.device)
    if target.arithmetic == "int8-dynamic":
        int8.quantise_dynamically(module)
    elif target.arithmetic in ("bf16", "fp16", "fp8-dynamic"):
        _cast(module, getattr(torch, DTYPES[target.arithmetic]))
    if target.arithmetic == "fp8-dynamic":
        fp8.quantise(module, _example(target, io, settings))
    if settings.get("channels_last"):
        module.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return module


def _example(target: Target, io: IOSpec, settings: Mapping[str, Any]) -> tuple[torch.Tensor, ...]:
    """Inputs of the case's shapes and types, as the session stages them."""
    import torch

    device, arrays = torch.device(target.device), support_arrays.untimed_inputs(io)
    return tuple(mover(device, target, settings, t.dtype, len(t.shape))(arrays[t.name]) for t in io.inputs)


def _cpu(variant: str) -> dict[str, Support]:
    import torch

    cpu = {"fp32": Support("native")}
    for precision in ("bf16", "fp16"):
        native = instructions.cpu_computes(precision)
        why = "" if native else f"this CPU has no {precision} arithmetic; PyTorch converts to fp32 and back"
        cpu[precision] = Support("native" if native else "emulated", why)
    cpu["fp8-dynamic"] = Support("emulated", WIDENS)
    if variant:
        fuses = variant != "script"
        why = "" if fuses else "TorchScript dequantises before each product"
        cpu["int8:native"] = Support("native" if fuses else "emulated", why)
        return cpu | {precision: Support("none", why) for precision, why in NOT_COMPILED.items()}
    engine = torch.backends.quantized.engine
    cpu["int8-dynamic"] = Support("native" if engine != "none" else "none", f"engine {engine}")
    cpu["int8:native"] = Support("emulated", "eager PyTorch dequantises before each product")
    return cpu | {precision: Support("none", why) for precision, why in NOT_EAGER.items()}


def _devices(variant: str = "") -> Devices:
    import torch

    devices = {} if variant in torch_variants.ON_CUDA_ALONE else {"cpu": _cpu(variant)}
    if variant not in torch_variants.ON_CPU_ALONE:
        for i in range(torch.cuda.device_count()):
            devices[f"cuda:{i}"] = _cuda(*torch.cuda.get_device_capability(i))
    return devices


def _cuda(major: int, minor: int) -> dict[str, Support]:
    """What a GPU of that compute capability computes."""
    return {
        "fp32": Support("native"),
        "tf32": targets.since((8, 0), (major, minor)),
        "bf16": targets.since((8, 0), (major, minor), "emulated"),
        "fp16": Support("native"),
        "fp8-dynamic": targets.since((8, 9), (major, minor)),
        "fp8:qdq": Support("none", NO_ONNX),
        **{precision: Support("none", NOT_ON_CUDA) for precision in NO_INTEGERS_ON_CUDA},
    }


def _graph(model: ModelFile, device: str) -> GraphModule:
    try:
        return graph.load(model.path, device)
    except ModelFileError:
        raise
    except Exception as error:
        raise faults.broken(model, error) from error


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


BACKEND = TorchBackend()
