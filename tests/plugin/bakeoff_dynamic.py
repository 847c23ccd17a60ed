"""A backend of somebody else's: ONNX Runtime, int8 by its own dynamic quantiser as it comes."""

from __future__ import annotations

import hashlib
from pathlib import Path

from backends import support
from backends.base import IOSpec, ModelFile, Role, Support, Target
from backends.onnxruntime import ATTRIBUTES, CONFIG_KEYS, OnnxRuntimeBackend, OnnxRuntimeSession

DEVICES = {"cpu": {"fp32": Support("native"), "int8:dynamic": Support("native")}}


class DynamicBackend(OnnxRuntimeBackend):
    name = "onnxruntime-dynamic"
    summary = "ONNX Runtime, int8 by quantize_dynamic."
    role: Role = "test"  # in no list of runtimes

    def build(self, model: ModelFile, target: Target, io: IOSpec, folder: Path) -> ModelFile:
        """The ONNX file itself, or quantised: weights int8 per channel, activations uint8 at run time."""
        if target.arithmetic == "fp32":
            return model
        import onnx
        from onnxruntime.quantization import QuantType, quantize_dynamic

        graph = onnx.load(model.path)
        del graph.graph.value_info[:]  # the quantiser turns weights around and trips over their old shapes
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / "dynamic.onnx"
        quantize_dynamic(graph, path, weight_type=QuantType.QInt8, per_channel=True)
        step = {"kind": "quantize_dynamic", "weights": "int8 per channel", "parent": model.sha256}
        sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
        return ModelFile("onnx", path, sha256, (step, *model.lineage))

    def load(self, model: ModelFile | None, target: Target, io: IOSpec) -> OnnxRuntimeSession:
        assert model is not None
        support.import_runtime(self)
        support.require(self, target, DEVICES)
        settings = support.settings(self, target, (*ATTRIBUTES, *CONFIG_KEYS))
        return OnnxRuntimeSession(model, target, io, settings)


BACKEND = DynamicBackend()
