"""Switches that keep a runtime from reporting its use are set for that runtime's processes alone."""

from __future__ import annotations

from typing import Any

import pytest

from bench.interfaces.backend import Target
from bench.plugins import backend_registry
from bench.plugins.converter_registry import converters
from bench.prepare.graph import Node

OPENVINOS = {"openvino-int8", "openvino-weight"}
ONNX_RUNTIMES = {"onnx-dynamic", "onnx-qdq", "onnx-qdq-symmetric", "onnx-weight", "onnx-fp8"}


def variables(kind: str) -> dict[str, Any]:
    return dict(Node(kind, "resnet50", "", "", ()).variables)


@pytest.mark.parametrize("kind", sorted(converters()))
def test_a_converter_has_those_of_the_runtimes_that_it_imports(kind: str) -> None:
    if converters()[kind].open:
        return  # its process has its backend's variables
    assert (variables(kind).get("CI") == "true") == (kind in OPENVINOS)
    assert (variables(kind).get("ORT_DISABLE_TELEMETRY") == "1") == (kind in ONNX_RUNTIMES)


@pytest.mark.parametrize("name", backend_registry.names("runtime"))
def test_a_backend_has_its_own(name: str) -> None:
    backend = backend_registry.get(name)
    found = backend.environment(Target(preset="stock"))
    assert ("CI" in found) == (name == "openvino")
    assert ("ORT_DISABLE_TELEMETRY" in found) == name.startswith("onnxruntime")
