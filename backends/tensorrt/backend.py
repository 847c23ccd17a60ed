"""NVIDIA TensorRT: an engine that is built of the ONNX file for the case's shapes on the GPU at hand.

Its folder is named as the runtime: imports are absolute, and no process has `backends` itself on its path.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping
from importlib.metadata import distributions
from pathlib import Path
from typing import Any

from backends.support import targets
from backends.tensorrt import api
from backends.tensorrt import build as tensorrt_build
from backends.tensorrt import cuda as tensorrt_cuda
from backends.tensorrt.cuda import Cuda, CudaError, Gpu
from backends.tensorrt.engine import Engine
from backends.tensorrt.session import GraphSession, TensorRtSession
from bench.interfaces.backend import BaseBackend, Capabilities, Devices, Preset, Support, Target
from bench.interfaces.errors import BackendUnavailable
from bench.interfaces.options import Options
from bench.interfaces.tensors import IOSpec, ModelFile
from bench.plugins import runtimes

ASYMMETRIC = "TensorRT takes symmetric int8 alone: int8:native is its file"
NO_FILE = "no converter makes such a file for TensorRT"
ELSEWHERE = (
    "the package index has a stub in its place that fetches it from NVIDIA's index: where that cannot be "
    "reached, bring tensorrt_cu13_libs (or _cu12_libs) of the same version as a file"
)


class TensorRtBackend(BaseBackend):
    name = "tensorrt"
    summary = "NVIDIA TensorRT: engines built from ONNX for one GPU."
    formats: tuple[str, ...] = ("onnx",)
    quantised: Mapping[str, tuple[str, ...]] = {
        **dict.fromkeys(("fp16", "bf16"), ("onnx-half",)),
        "int8:native": ("onnx-qdq-symmetric",),
        "fp8:qdq": ("onnx-fp8",),
    }
    install = "bakeoff setup tensorrt"
    runtime: tuple[str, ...] = ("tensorrt",)
    options: Options | None = tensorrt_build.OPTIONS
    presets: Mapping[str, Preset] = {
        "stock": Preset({}, "TensorRT docs, 'Quick Start Guide': the ONNX parser, a builder's defaults"),
        "expert": Preset(
            {"builder_optimization_level": 5, "cuda_graph": True},
            "TensorRT docs, IBuilderConfig.builder_optimization_level: 5 'always compiles a dynamic kernel "
            "and compares it to static kernels'; 'Optimizing TensorRT Performance': CUDA graphs",
        ),
    }

    def probe(self) -> Capabilities:
        trt = self._import()
        cuda, gpus = self._cuda()
        runtime, driver = cuda.versions()
        detail = {"CUDA": runtime, "driver's CUDA": driver}
        detail |= {f"cuda:{i}": str(gpu) for i, gpu in enumerate(gpus)}
        return Capabilities(str(trt.__version__), _devices(gpus), detail)

    def build(self, model: ModelFile, target: Target, io: IOSpec, folder: Path) -> ModelFile:
        trt, _, gpu, settings = self._settle(target)
        return tensorrt_build.build(trt, model, target, io, settings, gpu, folder)

    def load(self, model: ModelFile | None, target: Target, io: IOSpec) -> TensorRtSession:
        trt, cuda, gpu, settings = self._settle(target)
        model = targets.given(self, model)
        engine = Engine(trt, gpu, model, io, target.threads)
        session = GraphSession if settings.get("cuda_graph") else TensorRtSession
        return session(trt, cuda, engine, target, io, settings, gpu.name)

    def _settle(self, target: Target) -> tuple[Any, Cuda, Gpu, dict[str, Any]]:
        """TensorRT, the CUDA runtime, the GPU and the settings, once the process is set for them."""
        trt = self._import()
        cuda, gpus = self._cuda()
        targets.require(self, target, _devices(gpus))
        settings = targets.settings(self, target)
        index = int(target.device.partition(":")[2])
        cuda("cudaSetDevice", index)
        return trt, cuda, gpus[index], settings

    def _import(self) -> Any:
        try:
            runtimes.import_runtime(self)
        except BackendUnavailable as error:
            raise BackendUnavailable(f"{error.message}; {_missing()}", hint=error.hint) from error
        import tensorrt

        major, _ = api.version(tensorrt)
        if major not in api.MAJORS:
            known = " and ".join(map(str, api.MAJORS))
            raise BackendUnavailable(
                f"tensorrt: this is {tensorrt.__version__}, known are versions {known}", hint=self.install
            )
        return tensorrt

    def _cuda(self) -> tuple[Cuda, list[Gpu]]:
        """Raises BackendUnavailable without a CUDA runtime, a driver that serves it, or a GPU."""
        versions = ""
        try:
            cuda = tensorrt_cuda.runtime()
            runtime, driver = cuda.versions()
            versions = (
                f" (libcudart is CUDA {runtime}; the driver serves {'none' if driver == '0.0' else driver})"
            )
            return cuda, cuda.gpus()
        except CudaError as error:
            raise BackendUnavailable(
                f"tensorrt needs an NVIDIA GPU: {error}{versions}", hint="bakeoff doctor"
            ) from error


def _missing() -> str:
    """What of TensorRT is installed and what is not, by the names of its packages."""
    names = [str(one.metadata["Name"]).lower().replace("-", "_") for one in distributions()]
    have = sorted(name for name in names if name.startswith("tensorrt"))
    if not have:
        return "nothing of TensorRT is installed"
    if not importlib.util.find_spec("tensorrt_libs"):
        return f"of TensorRT there is {', '.join(have)}, and no library (builder, ONNX parser): {ELSEWHERE}"
    return f"of TensorRT there is {', '.join(have)}: they must all be of one version"


def _devices(gpus: list[Gpu]) -> Devices:
    return {f"cuda:{i}": _table(gpu) for i, gpu in enumerate(gpus)}


def _table(gpu: Gpu) -> dict[str, Support]:
    """What that GPU computes."""
    ampere = targets.since((8, 0), gpu.capability)
    return {
        "fp32": Support("native"),
        "tf32": ampere,
        "fp16": Support("native"),
        "bf16": ampere,
        "int8:native": Support("native"),
        "int8:qdq": Support("none", ASYMMETRIC),
        "fp8:qdq": targets.since((8, 9), gpu.capability),
        **dict.fromkeys(
            ("int8-dynamic", "int8-weight", "int4-weight", "fp8-dynamic"), Support("none", NO_FILE)
        ),
    }


BACKEND = TensorRtBackend()
