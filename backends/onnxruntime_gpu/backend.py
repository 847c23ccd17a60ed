"""ONNX Runtime on NVIDIA's GPUs: its CUDA provider, TensorRT's, and the plugin of TensorRT for RTX.

Over 150 lines: three providers are opened in two ways, with options of different names.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from backends.onnxruntime_gpu import providers as ort_gpu
from backends.onnxruntime_gpu.providers import CUDA, TENSORRT
from backends.onnxruntime_gpu.session import TF32_OVERRIDE, BoundSession, ClockedSession, GraphSession, Place
from backends.support import files, ort_session, targets
from backends.support.cuda_driver import Clock, NoDriver
from backends.support.ort_session import CPU, Provider
from bench.interfaces.backend import BaseBackend, Capabilities, Preset, Target
from bench.interfaces.errors import ModelFileError, UnsupportedCase
from bench.interfaces.options import Option, Options
from bench.interfaces.tensors import IOSpec, ModelFile
from bench.plugins import runtimes

if TYPE_CHECKING:
    import onnxruntime as ort

RTX = "NvTensorRTRTXExecutionProvider"
NVIDIA = 0x10DE  # on the PCI bus; how a device of a plugin is named
PLACES = {
    "": Place(CUDA, ("cuda", 0)),
    "tensorrt": Place(TENSORRT, ("cuda", 0), engine=True),
    "tensorrt-rtx": Place(RTX, ("gpu", 0, NVIDIA), engine=True),
}
GRAPH, NO_FALLBACK = "enable_cuda_graph", "session.disable_cpu_ep_fallback"
# With a stream of ours a provider leaves the waiting to us, if it is told to (microsoft/onnxruntime#19094).
STREAM = "user_compute_stream"
# ONNX Runtime docs, 'CUDA execution provider', 'TensorRT execution provider'; TensorRT-RTX-EP-ABI, 'Provider
# options'. Others are refused: device, stream, precision and caches are the case's.
_BOTH, _ENGINE, _RTX = ("", "tensorrt"), ("tensorrt",), ("tensorrt-rtx",)
CUDA_OPTIONS = {
    "arena_extend_strategy": Option("how the arena grows", "text", variants=_BOTH),
    "cudnn_conv1d_pad_to_nc1d": Option("windows in one dimension as if in two", variants=_BOTH),
    "cudnn_conv_algo_search": Option("how convolutions are chosen", "text", variants=_BOTH),
    "cudnn_conv_use_max_workspace": Option("convolutions may take any workspace", variants=_BOTH),
    "enable_skip_layer_norm_strict_mode": Option("layer normalisation in fp32", variants=_BOTH),
    "fuse_conv_bias": Option("convolution and bias in one kernel", variants=_BOTH),
    "gpu_mem_limit": Option("bytes of the arena", "whole", 1, variants=_BOTH),
    "prefer_nhwc": Option("channels last", variants=_BOTH),
    "sdpa_kernel": Option("bits that allow kinds of attention kernels", "whole", 0, variants=_BOTH),
    "tunable_op_enable": Option("kernels that can be tuned", variants=_BOTH),
    "tunable_op_tuning_enable": Option("tuning them while running", variants=_BOTH),
}
TENSORRT_OPTIONS = {
    "trt_auxiliary_streams": Option(
        "streams besides; -1: as many as it likes", "whole", -1, variants=_ENGINE
    ),
    "trt_build_heuristics_enable": Option("kernels chosen by heuristics", variants=_ENGINE),
    "trt_builder_optimization_level": Option("how long it searches", "whole", 0, 5, variants=_ENGINE),
    "trt_context_memory_sharing_enable": Option("engines share their memory", variants=_ENGINE),
    "trt_layer_norm_fp32_fallback": Option("layer normalisation in fp32", variants=_ENGINE),
    "trt_max_workspace_size": Option("bytes that a kernel may take", "whole", 1, variants=_ENGINE),
    "trt_min_subgraph_size": Option("operators that are worth an engine", "whole", 1, variants=_ENGINE),
    "trt_sparsity_enable": Option("kernels for sparse weights", variants=_ENGINE),
}
RTX_OPTIONS = {
    "nv_max_shared_mem_size": Option("bytes of shared memory of a kernel", "whole", 1, variants=_RTX),
    "nv_max_workspace_size": Option("bytes that a kernel may take", "whole", 1, variants=_RTX),
}
OPTIONS = {
    **ort_session.OPTIONS,
    NO_FALLBACK: Option("a model that is not whole on the GPU is refused"),
    GRAPH: Option("runs replay a CUDA graph"),
    **CUDA_OPTIONS,
    **TENSORRT_OPTIONS,
    **RTX_OPTIONS,
}
# What ONNX Runtime says where a model is not whole on the GPU, which these two settings ask for.
REFUSALS = ("graph capture feature", "assigned to the default CPU EP")
CACHES = "built"  # beside the model file: what TensorRT compiled of it


class OnnxRuntimeGpuBackend(BaseBackend):
    name = "onnxruntime-gpu"
    summary = "ONNX Runtime on NVIDIA's GPUs (CUDA, TensorRT), inputs and outputs bound on the device."
    formats: tuple[str, ...] = ("onnx",)
    quantised: Mapping[str, tuple[str, ...]] = {
        "fp16": ("onnx-half",),
        "bf16": ("onnx-half",),
        "int8:native": ("onnx-qdq-symmetric",),
        "int8-weight": ("onnx-weight",),
        "int4-weight": ("onnx-weight",),
        "fp8:qdq": ("onnx-fp8",),
    }
    install = "bakeoff setup onnxruntime-gpu"
    runtime: tuple[str, ...] = ("onnxruntime",)
    variants: Mapping[str, str] = {
        "": "its CUDA provider (cuDNN, cuBLAS and kernels of its own)",
        "tensorrt": "TensorRT's provider where TensorRT 10 is installed, what it leaves on CUDA",
        "tensorrt-rtx": f"TensorRT for RTX, where its plugin is installed ({ort_gpu.PLUGIN_PACKAGE})",
    }
    no_telemetry: Mapping[str, str] = {"ORT_DISABLE_TELEMETRY": "1"}
    options: Options | None = OPTIONS
    presets: Mapping[str, Preset] = {
        "stock": Preset(
            {}, "ONNX Runtime docs, 'CUDA execution provider' and 'I/O binding': defaults, bound"
        ),
        "expert": Preset(
            {
                "arena_extend_strategy": "kSameAsRequested",
                "cudnn_conv_algo_search": "EXHAUSTIVE",
                "cudnn_conv_use_max_workspace": "1",
                "prefer_nhwc": "1",
            },
            "ONNX Runtime docs, 'CUDA execution provider', and for search and workspace 'Convolution-heavy "
            "models and the CUDA EP'; microsoft/onnxruntime#22648: 'NHWC is faster than NCHW for convolution "
            "in Nvidia GPUs with Tensor Cores'",
        ),
    }

    def environment(self, target: Target) -> Mapping[str, str]:
        """cuDNN's graphs and TensorRT take TF32 by default, and the former may where `use_tf32` says no
        (microsoft/onnxruntime#21752): the variable holds for all of NVIDIA's libraries."""
        barred = {} if target.arithmetic == "tf32" else {TF32_OVERRIDE: "0"}
        return {**super().environment(target), **barred}

    def probe(self) -> Capabilities:
        self._here()
        import onnxruntime as ort

        detail = {
            "CUDA": getattr(ort, "cuda_version", "") or "none",
            "providers in this build": ", ".join(ort.get_available_providers()),
        }
        reasons = {
            "cuda": ort_gpu.why_no_gpu(),
            CUDA: ort_gpu.lacking(CUDA),
            TENSORRT: ort_gpu.lacking(TENSORRT),
        }
        detail |= {name: why for name, why in (*reasons.items(), (RTX, ort_gpu.register_plugin())) if why}
        variants = {name: ort_gpu.table(name) for name in PLACES if name}
        return Capabilities(ort.__version__, ort_gpu.table(""), detail, variants)

    def builds(self, target: Target) -> bool:
        return PLACES[target.variant].engine if target.variant in PLACES else False

    def build(self, model: ModelFile, target: Target, io: IOSpec, folder: Path) -> ModelFile:
        """TensorRT's engine for the case's shape, in its cache beside the model file."""
        settings = self._settle(target, io)
        for file in model.path.parent.glob(f"{model.path.name}*"):
            files.place(file, folder / file.name)
        (folder / CACHES).mkdir(exist_ok=True)
        placed = ModelFile(model.format, folder / model.path.name, model.sha256)
        with _session(placed, target, io, settings) as session:
            ran = session.providers()
        if PLACES[target.variant].provider not in ran:
            raise UnsupportedCase(
                f"onnxruntime-gpu: {PLACES[target.variant].provider} takes no operation of this model, "
                f"which would run on {', '.join(ran)}",
                hint=f"--backend {self.name}",
            )
        return placed

    def load(self, model: ModelFile | None, target: Target, io: IOSpec) -> BoundSession:
        settings = self._settle(target, io)
        return _session(targets.given(self, model), target, io, settings)

    def _here(self) -> None:
        runtimes.import_runtime(self)
        ort_gpu.require_gpu_package(self)

    def _settle(self, target: Target, io: IOSpec) -> dict[str, Any]:
        self._here()
        if target.variant in self.variants and target.device_kind == "cuda" and (why := ort_gpu.why_no_gpu()):
            raise UnsupportedCase(
                f"{self.name} has no device {target.device} here: {why}", hint="bakeoff doctor"
            )
        targets.require(self, target, ort_gpu.table(target.variant))
        settings = targets.settings(self, target)
        if _on(settings.get(GRAPH)) and io.state:
            raise UnsupportedCase(
                f"{self.name}: {GRAPH} holds no state, which moves", hint=f"leave {GRAPH} out"
            )
        return settings


def _session(model: ModelFile, target: Target, io: IOSpec, settings: Mapping[str, Any]) -> BoundSession:
    """Replaying a graph if that was asked for; else on a stream with a clock, if the driver lends one."""
    number = int(_number(target))
    kind, _, *vendor = PLACES[target.variant].device
    place = replace(PLACES[target.variant], device=(kind, number, *vendor))

    def opened(profile_prefix: str = "", stream: int | None = None) -> ort.InferenceSession:
        # A profile sees each node once: without the graph that would replay them.
        chosen = {key: value for key, value in settings.items() if not (profile_prefix and key == GRAPH)}
        return open_session(model, target, io, chosen, profile_prefix, stream)

    if _on(settings.get(GRAPH)):
        return GraphSession(model, target, io, settings, place, opened)
    try:
        clock = Clock(number)
    except NoDriver:
        return BoundSession(model, target, io, settings, place, opened)
    handle = clock.stream.value
    return ClockedSession(
        model, target, io, settings, place, lambda prefix: opened(prefix, handle), clock=clock
    )


def open_session(
    model: ModelFile,
    target: Target,
    io: IOSpec,
    settings: Mapping[str, Any],
    profile_prefix: str = "",
    stream: int | None = None,
) -> ort.InferenceSession:
    """A session on the variant's providers, in the order in which they are offered each operation."""
    own = {k: v for k, v in settings.items() if k in (*ort_session.OPTIONS, NO_FALLBACK)}
    options = ort_session.session_options(target, own, profile_prefix)
    wanted = [] if _on(settings.get(NO_FALLBACK)) else [CPU]
    told = {k: _text(v) for k, v in settings.items() if k not in own}
    if stream is not None:
        told |= {STREAM: str(stream)}
    folder = str(model.path.parent / CACHES)
    try:
        if target.variant == "tensorrt-rtx":
            lent = {"has_user_compute_stream": "1"} if stream is not None else {}
            told |= {**lent, "nv_runtime_cache_path": folder}
            devices = ort_gpu.plugin_devices()
            options.add_provider_for_devices([devices[int(_number(target))]], told)
            return ort_session.loaded(model, io, options, ())
        providers: list[Provider] = [(CUDA, _cuda(target, told))]
        if target.variant == "tensorrt":
            providers.insert(0, (TENSORRT, _tensorrt(target, told, folder)))
        return ort_session.loaded(model, io, options, (*providers, *wanted))
    except ModelFileError as error:
        if any(said in error.message for said in REFUSALS):
            raise UnsupportedCase(
                f"onnxruntime-gpu: {error.message}", hint=f"without {GRAPH}, {NO_FALLBACK}"
            ) from error
        raise


def _cuda(target: Target, told: Mapping[str, str]) -> dict[str, str]:
    graph = {} if target.variant else {GRAPH: told.get(GRAPH, "0")}
    chosen = {k: v for k, v in told.items() if k in (*CUDA_OPTIONS, STREAM)}
    return {"device_id": _number(target), "use_tf32": _text(target.arithmetic == "tf32"), **graph, **chosen}


def _tensorrt(target: Target, told: Mapping[str, str], folder: str) -> dict[str, str]:
    """No precision is among them: its networks are then strongly typed, of the file's own types
    (microsoft/onnxruntime#18707)."""
    caches = {"trt_engine_cache_enable": "1", "trt_timing_cache_enable": "1"}
    caches |= {"trt_engine_cache_path": folder, "trt_timing_cache_path": folder}
    chosen = {k: v for k, v in told.items() if k in (*TENSORRT_OPTIONS, STREAM)}
    return {
        "device_id": _number(target),
        "trt_cuda_graph_enable": told.get(GRAPH, "0"),
        **caches,
        **chosen,
    }


def _number(target: Target) -> str:
    """`cuda:1` → `1`; a worker sees its own GPU alone, as the first."""
    return target.device.partition(":")[2] or "0"


def _on(value: Any) -> bool:
    return _text(value) in ("1", "true", "True")


def _text(value: Any) -> str:
    return str(int(value)) if isinstance(value, bool) else str(value)


BACKEND = OnnxRuntimeGpuBackend()
