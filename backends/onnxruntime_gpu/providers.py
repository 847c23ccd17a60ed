"""What an environment has of ONNX Runtime for NVIDIA's GPUs: packages, providers, and libraries behind them.

The packages `onnxruntime` and `onnxruntime-gpu` are the same files: where both are installed, whichever came
last is there, and removing one breaks the other. The plugin of TensorRT for RTX is a package of its own, for
which NVIDIA asks for the plain one beside it (TensorRT-RTX-EP-ABI, 'Installation').
"""

from __future__ import annotations

import functools
import importlib.util
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING

from backends.onnxruntime_gpu import elf
from backends.support import targets
from backends.support.cuda_driver import LIBRARY, NoDriver, capabilities
from backends.support.ort_packages import named, packages, require_one_package
from bench.interfaces.backend import Backend, Devices, Support
from bench.interfaces.errors import BackendUnavailable
from bench.plugins import runtimes

if TYPE_CHECKING:
    pass

CUDA, TENSORRT = "CUDAExecutionProvider", "TensorrtExecutionProvider"
GPU_PACKAGE, PLUGIN_PACKAGE = "onnxruntime-gpu", "onnxruntime-ep-nv-tensorrt-rtx-cu13"
PLUGIN = "onnxruntime_ep_nv_tensorrt_rtx"  # the module of any of its packages
# Opened by name when a convolution is first met, and so in no list of what the provider needs.
LATE = {CUDA: ("libcudnn.so.9",)}
LIBRARIES = {CUDA: "libonnxruntime_providers_cuda.so", TENSORRT: "libonnxruntime_providers_tensorrt.so"}
MENDS = {
    CUDA: "pip install 'onnxruntime-gpu[cuda,cudnn]' brings CUDA's",
    TENSORRT: "pip install tensorrt-cu13~=10.0: ONNX Runtime takes no TensorRT 11",
}
INTEGERS = ("int8:native", "int8-weight", "int4-weight")
NOT_ON_CUDA = {
    "int8:qdq": "its CUDA provider has no integer products: it dequantises before each",
    "int8:native": "its CUDA provider has no integer products: it dequantises before each",
    "int8-dynamic": "its CUDA provider has no DynamicQuantizeLinear",
    "fp8:qdq": "its CUDA provider dequantises fp8 before each product",
}
NOT_IN_ENGINES = {
    "int8:qdq": "TensorRT has no unsigned activations: int8:native is its own symmetric file",
    "int8-dynamic": "TensorRT takes no DynamicQuantizeLinear of this file",
    "int8-weight": "TensorRT has no MatMulNBits",
    "int4-weight": "TensorRT has no MatMulNBits",
}


def require_gpu_package(backend: Backend) -> None:
    """Raises BackendUnavailable where ONNX Runtime's GPU package is not there, or another one as well."""
    require_one_package(backend)
    found = packages()
    if GPU_PACKAGE not in found and not importlib.util.find_spec(PLUGIN):
        raise BackendUnavailable(
            f"{backend.name}: the package here is {named(found)}, which has no provider for GPUs",
            hint=backend.install,
        )


def why_no_gpu() -> str:
    """'' where the driver shows one."""
    try:
        return "" if capabilities() else "NVIDIA's driver shows no GPU"
    except NoDriver as error:
        return str(error)


@functools.cache
def lacking(provider: str) -> str:
    """Why a session would not get the provider, by the names of what is missing; '' where it should."""
    import onnxruntime as ort

    if provider not in ort.get_available_providers():
        return f"this build of ONNX Runtime has no {provider}"
    preload()
    folder = Path(ort.__file__).with_name("capi")
    wanted = [*elf.needed(folder / LIBRARIES[provider]), *LATE.get(provider, ())]
    missing = elf.missing(wanted, _tensorrt_folders())
    mend = "it comes with NVIDIA's driver" if missing == [LIBRARY] else MENDS[provider]
    return f"missing: {', '.join(missing)} ({mend})" if missing else ""


@functools.cache
def preload() -> None:
    """CUDA's libraries from the packages beside ONNX Runtime, which it does not look into by itself."""
    import onnxruntime as ort

    if hasattr(ort, "preload_dlls"):
        with redirect_stdout(StringIO()):  # it prints what is missing, which `lacking` tells
            ort.preload_dlls(msvc=False, directory="")


def _tensorrt_folders() -> list[Path]:
    spec = importlib.util.find_spec("tensorrt_libs")
    return [Path(place) for place in (spec.submodule_search_locations or ())] if spec else []


@functools.cache
def register_plugin() -> str:
    """Registers TensorRT for RTX once; why it is not to be had, or ''."""
    import onnxruntime as ort

    if not importlib.util.find_spec(PLUGIN):
        return f"its plugin is not installed (pip install {PLUGIN_PACKAGE}, into an environment of its own)"
    plugin = importlib.import_module(PLUGIN)
    try:
        ort.register_execution_provider_library(plugin.get_ep_name(), plugin.get_library_path())
    except Exception as error:
        said = runtimes.first_line(error)
        return f"its plugin does not load: {said.rpartition('with error: ')[2]}"
    return "" if plugin_devices() else "its plugin finds no GPU that it takes (Ampere and later)"


def plugin_devices() -> list[object]:
    """Those of the registered plugin."""
    import onnxruntime as ort

    name = importlib.import_module(PLUGIN).get_ep_name()
    return [device for device in ort.get_ep_devices() if device.ep_name == name]


def table(variant: str) -> Devices:
    """Device → precision → support of a variant; {} where no GPU is."""
    if why_no_gpu():
        return {}
    why = register_plugin() if variant == "tensorrt-rtx" else lacking(TENSORRT if variant else CUDA)
    why = why or (lacking(CUDA) if variant == "tensorrt" else "")
    return {f"cuda:{i}": _precisions(here, variant, why) for i, here in enumerate(capabilities())}


def _precisions(capability: tuple[int, int], variant: str, why: str) -> dict[str, Support]:
    """By compute capability."""
    ampere, ada = (targets.since(least, capability) for least in ((8, 0), (8, 9)))
    refused = NOT_IN_ENGINES if variant else NOT_ON_CUDA
    here = {name: Support("native") for name in ("fp32", "fp16", *INTEGERS) if name not in refused}
    everything = {**here, "tf32": ampere, "bf16": ampere, "fp8:qdq": ada}
    everything |= {name: Support("none", reason) for name, reason in refused.items()}
    return dict.fromkeys(everything, Support("none", why)) if why else everything
