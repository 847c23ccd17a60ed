"""The backends' suites on the first GPU; each skips, with what its probe says, where there is none."""

from __future__ import annotations

import json
import os
import time
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from backends.onnxruntime_gpu import backend as onnxruntime_gpu_backend
from backends.onnxruntime_gpu.session import TF32_OVERRIDE
from backends.support.ort_packages import packages
from backends.tensorrt import backend as tensorrt_backend
from backends.torch import backend as torch_backend
from backends.tvm import backend as tvm_backend
from backends.xla import backend as xla_backend
from bench.contract.models import SAMPLES, Tiny
from bench.contract.suite import BackendContract
from bench.interfaces.backend import Target, Timing
from bench.interfaces.errors import BackendUnavailable, ModelFileError, UnsupportedCase
from bench.interfaces.precision import runs_as

# What holds of a backend for GPUs where there is none.
ANYWHERE = {
    *("test_is_a_backend", "test_importing_the_file_loads_no_runtime", "test_unknown_device_is_refused"),
    *("test_missing_dependency_names_its_mend", "test_requirements_stand_beside_the_file"),
    "test_without_a_gpu_it_says_what_is_missing",
}
QUANTISED = ("int8:native", "int8-weight", "int4-weight", "fp8:qdq", "fp8-dynamic")
HAS_NO_GPU_PACKAGE = pytest.mark.skipif(
    "onnxruntime-gpu" not in packages(), reason="bakeoff env create onnxruntime-gpu"
)


@pytest.mark.gpu
class OnAGpu(BackendContract):
    """A backend on the first GPU; skipped, with what its probe says, where there is none."""

    @pytest.fixture(autouse=True)
    def _needs_a_gpu(self, request: pytest.FixtureRequest) -> None:
        if getattr(request.node, "originalname", "") in ANYWHERE:
            return
        table = self.devices.get(self.target.device)
        if table is None:
            pytest.skip(
                f"{self.backend.name} has no {self.target.device} here: {dict(self.capabilities.detail)}"
            )
        if all(support.level == "none" for support in table.values()):
            pytest.skip(f"{self.backend.name}: {next(iter(table.values())).why}")

    def test_without_a_gpu_it_says_what_is_missing(self, first: Tiny) -> None:
        if self.target.device in self.devices:
            pytest.skip("a GPU is here")
        with pytest.raises(UnsupportedCase, match=self.target.device) as caught, self.session(first):
            pass
        assert caught.value.hint
        assert self.capabilities.detail["cuda"], "the probe says why there is none"

    def test_the_devices_own_time_lies_within_the_wall_time(self, first: Tiny) -> None:
        with self.session(first, batch=SAMPLES) as session:
            if not isinstance(session, Timing):
                pytest.skip(f"{self.backend.name} does not tell the device's own time")
            staged = session.stage(first.inputs(SAMPLES))
            for _ in range(20):
                start = time.perf_counter_ns()
                session.run(staged)
                wall = time.perf_counter_ns() - start
                assert 0 < session.device_ns() <= wall

    def test_tf32_is_asked_for_and_proven(self, tiny: Tiny) -> None:
        support = self.devices[self.target.device].get("tf32")
        if support is None or support.level != "native":
            pytest.skip(f"{self.backend.name} claims no tf32")
        with self.session(tiny, precision="tf32") as session:
            assert session.actual().precision.value == "tf32"

    @pytest.mark.parametrize("precision", QUANTISED)
    def test_what_is_quantised_runs_as_such_and_within_its_band(self, tiny: Tiny, precision: str) -> None:
        support = self.devices[self.target.device].get(precision)
        if support is None or support.level != "native":
            pytest.skip(f"{self.backend.name} claims no {precision}: {support.why if support else 'unknown'}")
        try:
            low, high = tiny.band(self.backend, precision)
            with self.session(tiny, precision=precision) as session:
                error, ran = self.worst_error(session, tiny), session.actual()
        except UnsupportedCase as error:
            pytest.skip(error.message)
        assert low <= error <= high
        assert runs_as(precision) in ran.settings["products_by_precision"]


class TestTorchCuda(OnAGpu):
    backend = torch_backend.BACKEND
    target = Target(device="cuda:0")

    def test_run_waits_for_a_long_kernel_and_the_clocks_agree(
        self, first: Tiny, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        import torch as pytorch

        with self.session(first) as session:
            forward = session._forward  # type: ignore[attr-defined]

            def slow(*inputs: Any) -> Any:
                pytorch.cuda._sleep(100_000_000)  # cycles: some 50 ms
                return forward(*inputs)

            staged = session.stage(first.inputs(1))
            session.run(staged)
            monkeypatch.setattr(session, "_forward", slow)
            shares = []
            for _ in range(10):
                start = time.perf_counter_ns()
                session.run(staged)
                wall = time.perf_counter_ns() - start
                assert wall > 20_000_000, "it came back while the kernel ran"
                shares.append(session.device_ns() / wall)  # type: ignore[attr-defined]
            # The host's own share is what a busy machine adds to, and the least of it tells of the clocks.
            assert max(shares) == pytest.approx(1, rel=0.03)


class TestTorchCudaAoti(OnAGpu):
    backend = torch_backend.BACKEND
    target = Target(device="cuda:0", variant="aoti")
    loads = 3


class TestTorchCudaCompile(OnAGpu):
    backend = torch_backend.BACKEND
    target = Target(device="cuda:0", variant="compile")
    loads = 3


class TestTorchCudaGraphs(OnAGpu):
    backend = torch_backend.BACKEND
    target = Target(device="cuda:0", variant="cudagraphs")
    loads = 3


class OnnxRuntimeOnAGpu(OnAGpu):
    """Where its GPU package is; the environment of the CPU's never has both."""

    backend = onnxruntime_gpu_backend.BACKEND

    def test_tf32_is_asked_for_and_proven(self, tiny: Tiny) -> None:
        if os.environ.get(TF32_OVERRIDE) == "0":
            pytest.skip(f"{TF32_OVERRIDE}=0 bars TF32 in this process, as in a worker of fp32")
        super().test_tf32_is_asked_for_and_proven(tiny)


@HAS_NO_GPU_PACKAGE
class TestOnnxRuntimeCuda(OnnxRuntimeOnAGpu):
    target = Target(device="cuda:0")

    def test_a_replayed_graph_is_right(self, first: Tiny) -> None:
        with self.session(first, batch=3, options={"enable_cuda_graph": True}) as session:
            for start in (0, 3, 6, 9):
                outputs = session.fetch(session.run(session.stage(first.inputs(3, start))))
                assert first.error(outputs, start) <= 3 * first.bands["fp32"][1]


@HAS_NO_GPU_PACKAGE
class TestOnnxRuntimeCudaTensorRt(OnnxRuntimeOnAGpu):
    target = Target(device="cuda:0", variant="tensorrt")
    loads = 3


@HAS_NO_GPU_PACKAGE
class TestOnnxRuntimeCudaRtx(OnnxRuntimeOnAGpu):
    target = Target(device="cuda:0", variant="tensorrt-rtx")
    loads = 3


@pytest.mark.skipif(find_spec("jax") is None, reason="jax is not installed here")
class TestXlaCuda(OnAGpu):
    backend = xla_backend.BACKEND
    target = Target(device="cuda:0", threads=2)


@pytest.mark.skipif(find_spec("tvm") is None, reason="tvm lives in an environment of its own")
class TestTvmCuda(OnAGpu):
    backend = tvm_backend.BACKEND
    target = Target(device="cuda:0", threads=2)


class OnTensorRt(OnAGpu):
    """Skipped, with what its probe says, where TensorRT, its libraries, a driver or a GPU is missing."""

    backend = tensorrt_backend.BACKEND
    target = Target(device="cuda:0")
    loads = 6

    @pytest.fixture(autouse=True)
    def _needs_a_gpu(self) -> None:
        try:
            assert self.target.device in self.devices
        except BackendUnavailable as error:
            pytest.skip(error.message)


class TestTensorRtCuda(OnTensorRt):
    def test_a_file_of_another_shape_is_refused(self, first: Tiny, tmp_path: Path) -> None:
        model = self.model(first)
        assert model is not None
        built = self.backend.build(model, self.target, first.io(1), tmp_path)
        with pytest.raises(ModelFileError, match="in this case"):
            self.backend.load(built, self.target, first.io(3))

    def test_an_engine_of_another_version_is_refused(self, first: Tiny, tmp_path: Path) -> None:
        model = self.model(first)
        assert model is not None
        built = self.backend.build(model, self.target, first.io(1), tmp_path)
        beside = tmp_path / "engine.json"
        beside.write_text(json.dumps({**json.loads(beside.read_text()), "tensorrt": "10.0.0"}))
        with pytest.raises(ModelFileError, match=r"built by TensorRT 10\.0\.0"):
            self.backend.load(built, self.target, first.io(1))


class TestTensorRtCudaGraph(OnTensorRt):
    target = Target(device="cuda:0", options={"cuda_graph": True})
