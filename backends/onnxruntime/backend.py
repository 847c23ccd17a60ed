"""ONNX Runtime on its CPU provider, on other providers for CPUs that a build has, or from its own format."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from backends.support import files, ort_packages, ort_session, targets
from backends.support.ort_session import OPTIMISED, PROVIDERS
from bench.interfaces.backend import BaseBackend, Capabilities, Devices, Preset, Support, Target
from bench.interfaces.errors import UnsupportedCase
from bench.interfaces.options import Options
from bench.interfaces.tensors import IOSpec, ModelFile
from bench.plugins import runtimes

NO_KERNELS = "its CPU provider has no kernels of that type and casts to fp32"
DEVICES = {
    "cpu": {
        "fp32": Support("native"),
        "bf16": Support("none", NO_KERNELS),
        "fp16": Support("none", NO_KERNELS),
        "int8:qdq": Support("native"),
        "int8:native": Support("none", "its own quantiser's static model is int8:qdq"),
        "int8-dynamic": Support("native"),
        "int8-weight": Support("native"),
        "int4-weight": Support("native"),
        "fp8:qdq": Support("emulated", "its CPU provider dequantises before each product"),
    }
}


class OnnxRuntimeBackend(BaseBackend):
    name = "onnxruntime"
    summary = "ONNX Runtime with its CPU provider (MLAS kernels)."
    formats: tuple[str, ...] = ("onnx",)
    quantised: Mapping[str, tuple[str, ...]] = {
        "int8:qdq": ("onnx-qdq",),
        "int8-dynamic": ("onnx-dynamic",),
        "int8-weight": ("onnx-weight",),
        "int4-weight": ("onnx-weight",),
        "fp8:qdq": ("onnx-fp8",),
    }
    install = "pip install 'bakeoff[onnxruntime]'"
    runtime: tuple[str, ...] = ("onnxruntime",)
    variants: Mapping[str, str] = {
        "": "its CPU provider (MLAS)",
        OPTIMISED: "the same, from a file in the ORT format that the build optimises: for phones and boards",
        **{name: f"{provider}, where the installed build has it" for name, provider in PROVIDERS.items()},
    }
    no_telemetry: Mapping[str, str] = {"ORT_DISABLE_TELEMETRY": "1"}
    options: Options | None = ort_session.OPTIONS
    presets: Mapping[str, Preset] = {
        "stock": Preset({}, "ONNX Runtime's README and 'Get started: Python': a session with its defaults"),
        "expert": Preset(
            {"session.dynamic_block_base": "4", "session.set_denormal_as_zero": "1"},
            "onnxruntime_session_options_config_keys.h: dynamic block sizing 'helps to reduce the variance "
            "of E2E inference latency and boost performance' (its example value, 4); ONNX Runtime docs, "
            "'Troubleshooting performance': denormals flushed to zero",
        ),
    }

    def probe(self) -> Capabilities:
        runtimes.import_runtime(self)
        ort_packages.require_one_package(self)
        import onnxruntime as ort

        detail = {"providers in this build": ", ".join(ort.get_available_providers())}
        variants = {name: _table(name) for name in PROVIDERS}
        return Capabilities(ort.__version__, DEVICES, detail, variants)

    def builds(self, target: Target) -> bool:
        return target.variant == OPTIMISED or target.variant in PROVIDERS

    def build(self, model: ModelFile, target: Target, io: IOSpec, folder: Path) -> ModelFile:
        """The file in the ORT format. For another provider the file as it is, once that provider is seen to
        run some of it: what it does not take goes to the CPU provider in silence."""
        self._settle(target)
        settings = targets.settings(self, target)
        if target.variant == OPTIMISED:
            path = folder / "model.ort"
            ort_session.write_optimised(model, target, io, settings, path)
            return ModelFile(OPTIMISED, path, model.sha256)
        with ort_session.OnnxRuntimeSession(model, target, io, settings) as session:
            ran = session.providers()
        if PROVIDERS[target.variant] not in ran:
            raise UnsupportedCase(
                f"onnxruntime: {PROVIDERS[target.variant]} takes no operation of this model, "
                f"which would run on {', '.join(ran)}",
                hint=f"--backend {self.name}",
            )
        for file in model.path.parent.glob(f"{model.path.name}*"):
            files.place(file, folder / file.name)
        return ModelFile(model.format, folder / model.path.name, model.sha256)

    def load(self, model: ModelFile | None, target: Target, io: IOSpec) -> ort_session.OnnxRuntimeSession:
        how = self._settle(target)
        model = targets.given(self, model)
        settings = targets.settings(self, target)
        session = ort_session.StatefulSession if io.state else ort_session.OnnxRuntimeSession
        return session(model, target, io, settings, how.level == "emulated")

    def _settle(self, target: Target) -> Support:
        runtimes.import_runtime(self)
        return targets.require(self, target, _table(target.variant))


def _table(variant: str) -> Devices:
    """Device → precision → support of a variant."""
    if variant not in PROVIDERS:
        return DEVICES
    import onnxruntime as ort

    provider = PROVIDERS[variant]
    if provider not in ort.get_available_providers():
        lacks = Support("none", f"this build of ONNX Runtime has no {provider}")
        return {"cpu": dict.fromkeys(DEVICES["cpu"], lacks)}
    others = dict.fromkeys(DEVICES["cpu"], Support("none", f"{provider} is measured in fp32 alone"))
    return {"cpu": {**others, "fp32": Support("native")}}


BACKEND = OnnxRuntimeBackend()
