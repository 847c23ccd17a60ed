"""TensorRT's adapter passes the contract over stand-ins of TensorRT and CUDA, on real model files.

What TensorRT computes is not tried by it; what the adapter does with memory, types, shapes and errors is.
"""

from __future__ import annotations

import sys

import pytest

from backends.tensorrt import cuda
from backends.tensorrt.backend import BACKEND
from bench.contract.suite import BackendContract
from bench.interfaces.backend import Target
from tests.helpers import tensorrt_standin as standin

TURING = 75  # no bf16, which onnx's evaluator does not hold either


@pytest.mark.slow
class TestTensorRtStandIn(BackendContract):
    backend = BACKEND
    target = Target(device="cuda:0", threads=3)  # other than the real one's, whose builds are kept by target
    loads = 4

    @pytest.fixture(autouse=True)
    def _stand_in(self, monkeypatch: pytest.MonkeyPatch) -> None:
        library = standin.Library(capability=TURING)
        module = standin.tensorrt("11.4.0.106", library)
        module.times = [("product", 0.25)]
        monkeypatch.setitem(sys.modules, "tensorrt", module)
        monkeypatch.setattr(cuda, "runtime", lambda: cuda.Cuda(library))
