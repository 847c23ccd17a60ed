"""Every backend of the package passes the suite that is exported for others."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from importlib.util import find_spec
from typing import Any, ClassVar

import numpy as np
import pytest

from backends.anchor import backend as anchor_backend
from backends.ctranslate2 import backend as ctranslate2_backend
from backends.executorch import backend as executorch_backend
from backends.litert import backend as litert_backend
from backends.ncnn import backend as ncnn_backend
from backends.null import backend as null_backend
from backends.onnxruntime import backend as onnxruntime_backend
from backends.openvino import backend as openvino_backend
from backends.reference import backend as reference_backend
from backends.tensorflow import backend as tensorflow_backend
from backends.torch import backend as torch_backend
from bench.contract.models import Tiny, tiny_model
from bench.contract.suite import BackendContract, Failures
from bench.interfaces.backend import Target
from bench.interfaces.errors import ModelFileError, UnsupportedCase
from bench.interfaces.precision import runs_as

SUITE_TARGET = Target(threads=2)  # what the process is started for


class TestTorch(BackendContract):
    backend = torch_backend.BACKEND
    target = Target(threads=2)


@pytest.mark.heavy
class TestTorchCompile(BackendContract):
    backend = torch_backend.BACKEND
    target = Target(threads=2, variant="compile")
    loads = 3
    expected_failures: ClassVar[Failures] = {
        "test_repeated_loads_do_not_grow": (
            "torch 2.13 keeps what Inductor has loaded (7 MB a load); a worker loads once",
            AssertionError,
        )
    }


@pytest.mark.heavy
class TestTorchAoti(BackendContract):
    backend = torch_backend.BACKEND
    target = Target(threads=2, variant="aoti")
    loads = 3

    def test_products_that_no_profile_sees_are_told_by_their_library(self, tiny: Tiny) -> None:
        with self.session(tiny, precision="int8:native") as session:
            ran = session.actual()
        assert (ran.precision.value, ran.precision.evidence) == ("int8", "executed")
        assert set(ran.settings["products_by_precision"]) >= {"int8"}


class TestTorchScript(BackendContract):
    backend = torch_backend.BACKEND
    target = Target(threads=2, variant="script")


class TestOnnxRuntime(BackendContract):
    backend = onnxruntime_backend.BACKEND
    target = Target(threads=2)


class TestOnnxRuntimeFormat(BackendContract):
    backend = onnxruntime_backend.BACKEND
    target = Target(threads=2, variant="ort")


class OnnxRuntimeProvider(BackendContract):
    """Another provider for CPUs, which the installed build may not have."""

    backend = onnxruntime_backend.BACKEND

    @pytest.fixture(autouse=True)
    def _needs_the_provider(self) -> None:
        support = self.capabilities.of(self.target.variant)["cpu"]["fp32"]
        if support.level == "none":
            pytest.skip(f"onnxruntime: {support.why}")


class TestOnnxRuntimeXnnpack(OnnxRuntimeProvider):
    target = Target(threads=2, variant="xnnpack")


class TestOnnxRuntimeDnnl(OnnxRuntimeProvider):
    target = Target(threads=2, variant="dnnl")


class TestOnnxRuntimeOpenVino(OnnxRuntimeProvider):
    target = Target(threads=2, variant="openvino")


class TestOpenVino(BackendContract):
    backend = openvino_backend.BACKEND
    target = Target(threads=2)


class TestOpenVinoCached(BackendContract):
    backend = openvino_backend.BACKEND
    target = Target(threads=2, variant="cached")

    def test_the_compiled_model_comes_from_the_cache(self, tiny: Tiny) -> None:
        with self.session(tiny) as session:
            assert session.loaded_from_cache()  # type: ignore[attr-defined]


TRIES = 3  # of a proof: on a busy machine what was interrupted may seem to take longest in models as small


class Integers(BackendContract):
    """Beside the contract: the precisions of integers that a backend has model files for.

    Attributes:
        floats: model and precision → why it runs in floats all the same.
        coarse: whether its profile's clock has microseconds: which kernel took longest is then chance in
            models as small as these.
    """

    floats: ClassVar[Mapping[tuple[str, str], str]] = {}
    coarse: ClassVar[bool] = False

    @classmethod
    def pytest_generate_tests(cls, metafunc: pytest.Metafunc) -> None:
        super().pytest_generate_tests(metafunc)
        if "integer" in metafunc.fixturenames:
            metafunc.parametrize("integer", list(cls.backend.quantised))

    def test_integers_run_as_such_and_within_their_band(self, tiny: Tiny, integer: str) -> None:
        if why := self.floats.get((tiny.name, integer)):
            pytest.skip(why)
        try:
            low, high = tiny.band(self.backend, integer)
        except UnsupportedCase as error:
            pytest.skip(error.message)
        with self.session(tiny, precision=integer) as session:
            error = self.worst_error(session, tiny)
            for _ in range(TRIES):
                ran = session.actual()
                if ran.precision.value == runs_as(integer):
                    break
        assert low <= error <= high
        assert ran.precision.evidence == "executed"
        assert runs_as(integer) in ran.settings["products_by_precision"]
        assert self.coarse or ran.precision.value == runs_as(integer)


@pytest.mark.skipif(find_spec("ai_edge_litert") is None, reason="bakeoff env create litert")
class TestLiteRt(Integers):
    backend = litert_backend.BACKEND
    target = Target(threads=2)
    floats: ClassVar[Mapping[tuple[str, str], str]] = {
        ("cnn", "int4-weight"): "its convolutions stay floats, and take most of the time"
    }

    def test_what_is_staged_onto_others_joins_them(self) -> None:
        encoder = tiny_model("encoder")
        first, second = encoder.inputs(1, 0), encoder.inputs(1, 1)
        mixed = {"ids": second["ids"], "mask": first["mask"]}
        with self.session(encoder) as session:
            expected = session.fetch(session.run(session.stage(mixed)))
            staged = session.stage(first)
            session.run(session.stage(second))
            found = session.fetch(session.run(session.stage({"ids": second["ids"]}, onto=staged)))
        for name, array in expected.items():
            np.testing.assert_array_equal(found[name], array)

    def test_arrays_that_changed_are_staged_as_they_are(self, first: Tiny) -> None:
        """The same array twice, with other contents: what is staged anew is copied anew."""
        with self.session(first) as session:
            inputs = first.inputs(1, 0)
            session.run(session.stage(inputs))
            inputs["image"][:] = first.inputs(1, 1)["image"]
            found = session.fetch(session.run(session.stage(inputs)))
        assert first.error(found, 1) < 3 * first.bands["fp32"][1]

    def test_a_file_of_another_shape_is_refused(self, first: Tiny) -> None:
        with pytest.raises(ModelFileError, match=r"model.tflite: has tensors of \[\(3, 3, 16, 16\)\]"):
            self.backend.load(first.file("tflite", 3), self.target, first.io(1))

    def test_threads_are_those_that_it_started(self, first: Tiny) -> None:
        for threads in (1, 2, 3):
            with self.session(first, threads=threads) as session:
                assert session.actual().threads.value == str(threads)

    def test_without_a_profile_the_plan_is_reported(
        self, tiny: Tiny, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("backends.litert.profile.runs", lambda path, threads: [])
        with self.session(tiny) as session:
            precision = session.actual().precision
        assert (precision.value, precision.evidence) == ("fp32", "reported")


@pytest.mark.skipif(find_spec("executorch") is None, reason="bakeoff env create executorch")
class TestExecuTorch(Integers):
    backend = executorch_backend.BACKEND
    target = Target(threads=2)
    coarse = True

    def test_a_file_of_another_shape_is_refused(self, first: Tiny) -> None:
        with pytest.raises(ModelFileError, match=r"model.pte: .*sizes=\[3, 3, 16, 16\]"):
            self.backend.load(first.file("executorch", 3), self.target, first.io(1))

    def test_threads_are_those_that_it_started(self, first: Tiny) -> None:
        for threads in (1, 2, 3):
            with self.session(first, threads=threads) as session:
                assert session.actual().threads.value == str(threads)

    def test_what_xnnpack_leaves_is_told(self) -> None:
        with self.session(tiny_model("encoder")) as session:
            ran = session.actual()
        assert "aten::native_layer_norm" in ran.provider.detail
        assert ran.settings["outside_xnnpack"]["aten::embedding"] == 1


@pytest.mark.skipif(find_spec("tensorflow") is None, reason="bakeoff env create tensorflow")
class TestTensorFlow(BackendContract):
    backend = tensorflow_backend.BACKEND
    target = Target(threads=2)


@pytest.mark.skipif(find_spec("tensorflow") is None, reason="bakeoff env create tensorflow")
class TestTensorFlowXla(BackendContract):
    backend = tensorflow_backend.BACKEND
    target = Target(threads=2, variant="xla")
    loads = 6  # it keeps what XLA compiled, half a megabyte a load; weights that were kept would still show


@pytest.mark.skipif(find_spec("ncnn") is None, reason="bakeoff env create ncnn")
class TestNcnn(BackendContract):
    backend = ncnn_backend.BACKEND
    target = Target(threads=2)
    expected_failures: ClassVar[Failures] = {
        "test_actual_agrees_with_the_case[cnn-fp32]": ("ncnn's Python has no profile", AssertionError),
    }

    @pytest.fixture
    def tiny(self, request: pytest.FixtureRequest) -> Tiny:
        try:
            tiny_model(request.param).file("ncnn")
        except UnsupportedCase as error:
            pytest.skip(error.message)
        return tiny_model(request.param)


@pytest.mark.skipif(find_spec("ctranslate2") is None, reason="bakeoff env create ctranslate2")
class TestCTranslate2(Integers):
    """It holds Transformers of the usual layouts alone."""

    backend = ctranslate2_backend.BACKEND
    target = Target(threads=2)
    models = ("bert",)
    coarse = True

    def test_a_mask_with_holes_is_refused(self, first: Tiny) -> None:
        inputs = first.inputs(1)
        inputs["attention_mask"][:, 1] = 0
        with self.session(first) as session, pytest.raises(UnsupportedCase, match="holes"):
            session.stage(inputs)


class TestNull(BackendContract):
    backend = null_backend.BACKEND


class TestAnchor(BackendContract):
    backend = anchor_backend.BACKEND

    @pytest.fixture(autouse=True)
    def _one_blas_thread(self) -> Iterator[None]:
        """As `environment` has it in a worker; here NumPy is loaded already."""
        get, set_to = anchor_backend.openblas("get_num_threads"), anchor_backend.openblas("set_num_threads")
        if get is None or set_to is None:
            pytest.skip("this NumPy brings no OpenBLAS")
        before = get()
        set_to(1)
        yield
        set_to(before)

    def test_environment_holds_a_fresh_process_to_one_thread(self) -> None:
        code = "from backends.anchor.backend import openblas; print(openblas('get_num_threads')())"
        environment = {**os.environ, **anchor_backend.BACKEND.environment(Target())}
        done = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=True
        )
        assert done.stdout.strip() == "1"


class TestReference(BackendContract):
    backend = reference_backend.BACKEND

    def options(self, tiny: Tiny) -> Mapping[str, Any]:
        return {"reference": str(tiny.reference)}
