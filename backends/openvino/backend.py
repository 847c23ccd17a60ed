"""OpenVINO on its CPU plugin.

Over 150 lines: a plugin may accept a precision hint and not follow it, so that it is asked, twice.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from backends.openvino.session import OpenVinoSession
from backends.support import faults, files, targets
from backends.support.profiles import PRECISIONS
from bench.interfaces.backend import BaseBackend, Capabilities, Preset, Support, Target
from bench.interfaces.errors import ModelFileError, UnsupportedCase
from bench.interfaces.options import Options
from bench.interfaces.precision import scheme, word
from bench.interfaces.tensors import IOSpec, ModelFile, TensorSpec
from bench.machine import instructions
from bench.plugins import runtimes

if TYPE_CHECKING:
    import openvino as ov

DYNAMIC = "int8-dynamic"
CACHED = "cached"
HINTS = {"fp32": "f32", "bf16": "bf16", "fp16": "f16"}
# What the case itself says may not be said again as an option.
OF_THE_CASE = {"INFERENCE_NUM_THREADS", "INFERENCE_PRECISION_HINT", "PERF_COUNT", "DEVICE_ID"}


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
    variants: Mapping[str, str] = {
        "": "compiled while loading",
        CACHED: "compiled in the build, and taken from the plugin's model cache while loading",
    }
    # An import sends an event from a thread; `CI` is the one variable by which it leaves that be.
    no_telemetry: Mapping[str, str] = {"CI": "true"}
    # Its plugin lists its properties, and they change from version to version.
    options: Options | None = None
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
        runtimes.import_runtime(self)
        import openvino as ov

        core = ov.Core()
        name = core.get_property("CPU", "FULL_DEVICE_NAME")
        plugins = ", ".join(core.available_devices)
        devices = {
            "cpu": {precision: _support(precision) for precision in (*HINTS, *self.quantised, DYNAMIC)}
        }
        detail = {"cpu": name, "devices seen": plugins}
        return Capabilities(ov.__version__.split("-")[0], devices, detail, options=tuple(_options()))

    def builds(self, target: Target) -> bool:
        return target.variant == CACHED

    def build(self, model: ModelFile, target: Target, io: IOSpec, folder: Path) -> ModelFile:
        """Fills the model cache beside a copy of the model, which the plugin finds its entry by."""
        for file in model.path.parent.glob(f"{model.path.stem}.*"):
            files.place(file, folder / file.name)
        copied = ModelFile(model.format, folder / model.path.name, model.sha256)
        with self.load(copied, target, io):
            return copied

    def load(self, model: ModelFile | None, target: Target, io: IOSpec) -> OpenVinoSession:
        runtimes.import_runtime(self)
        asked = word(target.arithmetic)
        known = {precision: Support("none") for precision in HINTS} | {asked: _support(asked)}
        how = targets.require(self, target, {"cpu": known})
        model = targets.given(self, model)
        config = {
            **targets.settings(self, target, _options()),
            "INFERENCE_NUM_THREADS": target.threads,
            # Always said: the default of the hint is lower than fp32 where the CPU has it.
            "INFERENCE_PRECISION_HINT": HINTS.get(target.arithmetic, "f32"),
        }
        if target.variant == CACHED:
            config["CACHE_DIR"] = str(model.path.parent / "cache")
        session = OpenVinoSession(_read(model, io), target, io, config, how.level == "emulated")
        if target.arithmetic in HINTS and session.precision_hint() != target.arithmetic:
            said = _accepted(target.arithmetic, session.precision_hint())
            raise UnsupportedCase(said, hint=f"--precision {session.precision_hint()}")
        return session


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
    if instructions.cpu_computes(precision):
        return Support("native")
    return Support("emulated", f"this CPU has no {precision} arithmetic and OpenVINO runs it all the same")


def _read(model: ModelFile, io: IOSpec) -> ov.Model:
    """The model at the shapes of the case. Raises ModelFileError."""
    import openvino as ov

    try:
        network = ov.Core().read_model(str(model.path))
    except RuntimeError as error:
        raise faults.broken(model, error) from error
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
