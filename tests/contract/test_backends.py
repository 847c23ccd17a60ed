"""Every backend of the package passes the suite that is exported for others."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest

from backends import (
    anchor,
    ctranslate2,
    executorch,
    iree,
    litert,
    ncnn,
    null,
    onnxruntime,
    openvino,
    reference,
    tensorflow,
    torch,
    tvm,
    xla,
)
from backends._tiny import Tiny, tiny_model
from backends._xla_program import for_any_platform
from backends.base import Target
from backends.contract import BackendContract, Failures
from backends.precision import runs_as
from bench.errors import ModelFileError, UnsupportedCase

SUITE_TARGET = Target(threads=2)  # what the process is started for
ELSEWHERE = """
import json, sys
from pathlib import Path
import jax, numpy as np
from backends import _xla_cuda, xla
from backends.base import ModelFile, Target
from workloads import registry
workload, path, folder = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3])
_xla_cuda.gpus = lambda: (jax.devices()[1:], "")
_xla_cuda.capability = lambda device: "9.0"
io, target = registry.get(workload).io(1, None), Target(device="cuda:0", threads=2)
built = xla.BACKEND.build(ModelFile("stablehlo", path, ""), target, io, folder)
with xla.BACKEND.load(built, target, io) as session:
    staged = session.stage(dict(np.load(folder / "in.npz")))
    outputs = session.run(staged)
    np.savez(folder / "out.npz", **session.fetch(outputs))
    actual = session.actual()
    where = lambda tree: sorted({d.id for array in jax.tree.leaves(tree) for d in array.devices()})
    told = {"weights": where(session._weights), "staged": where(staged), "outputs": where(outputs)}
told |= {"compiled": actual.settings["compiled"]}
told |= {name: [fact.value, fact.evidence] for name, fact in
         (("precision", actual.precision), ("device", actual.device))}
print(json.dumps(told))
"""
PRODUCT = re.compile(r"stablehlo\.(?:dot_general|convolution)\b")


class TestTorch(BackendContract):
    backend = torch.BACKEND
    target = Target(threads=2)


@pytest.mark.heavy
class TestTorchCompile(BackendContract):
    backend = torch.BACKEND
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
    backend = torch.BACKEND
    target = Target(threads=2, variant="aoti")
    loads = 3

    def test_products_that_no_profile_sees_are_told_by_their_library(self, tiny: Tiny) -> None:
        with self.session(tiny, precision="int8:native") as session:
            ran = session.actual()
        assert (ran.precision.value, ran.precision.evidence) == ("int8", "executed")
        assert set(ran.settings["products_by_precision"]) >= {"int8"}


class TestTorchScript(BackendContract):
    backend = torch.BACKEND
    target = Target(threads=2, variant="script")


class TestOnnxRuntime(BackendContract):
    backend = onnxruntime.BACKEND
    target = Target(threads=2)


class TestOnnxRuntimeFormat(BackendContract):
    backend = onnxruntime.BACKEND
    target = Target(threads=2, variant="ort")


class OnnxRuntimeProvider(BackendContract):
    """Another provider for CPUs, which the installed build may not have."""

    backend = onnxruntime.BACKEND

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
    backend = openvino.BACKEND
    target = Target(threads=2)


class TestOpenVinoCached(BackendContract):
    backend = openvino.BACKEND
    target = Target(threads=2, variant="cached")

    def test_the_compiled_model_comes_from_the_cache(self, tiny: Tiny) -> None:
        with self.session(tiny) as session:
            assert session.loaded_from_cache()  # type: ignore[attr-defined]


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
            low, high = tiny.band(integer)
        except UnsupportedCase as error:
            pytest.skip(error.message)
        errors = []
        with self.session(tiny, precision=integer) as session:
            for i in range(8):
                found = session.fetch(session.run(session.stage(tiny.inputs(1, i))))
                errors.append(tiny.error(found, i))
            ran = session.actual()
        assert low <= max(errors) <= high
        assert ran.precision.evidence == "executed"
        assert runs_as(integer) in ran.settings["products_by_precision"]
        assert self.coarse or ran.precision.value == runs_as(integer)


@pytest.mark.skipif(find_spec("ai_edge_litert") is None, reason="bakeoff env create litert")
class TestLiteRt(Integers):
    backend = litert.BACKEND
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
        monkeypatch.setattr("backends._litert_profile.runs", lambda path, threads: [])
        with self.session(tiny) as session:
            precision = session.actual().precision
        assert (precision.value, precision.evidence) == ("fp32", "reported")


@pytest.mark.skipif(find_spec("executorch") is None, reason="bakeoff env create executorch")
class TestExecuTorch(Integers):
    backend = executorch.BACKEND
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


def _widened() -> list[str]:
    """Precisions that XLA only emulates here."""
    if find_spec("jax") is None:
        return []
    table = xla.BACKEND.probe().devices["cpu"]
    return [precision for precision in ("bf16", "fp16") if table[precision].level == "emulated"]


@pytest.mark.skipif(find_spec("jax") is None, reason="jax is not installed here")
class TestXla(BackendContract):
    backend = xla.BACKEND
    target = Target(threads=2)
    expected_failures: ClassVar[Failures] = {
        f"test_actual_agrees_with_the_case[{model}-{precision}]": (
            "XLA widens products of narrow floats, and the proof says so: fp32",
            AssertionError,
        )
        for model in ("cnn", "encoder")
        for precision in _widened()
    }

    def test_an_executable_that_is_refused_is_compiled_while_loading(
        self, first: Tiny, tmp_path: Path
    ) -> None:
        model = self.model(first)
        assert model is not None
        built = self.backend.build(model, self.target, first.io(1), tmp_path)
        for content, expected in ((built.path.read_bytes(), "ahead of time"), (b"other", "while loading: ")):
            built.path.write_bytes(content)
            with self.backend.load(built, self.target, first.io(1)) as session:
                outputs = session.fetch(session.run(session.stage(first.inputs(1))))
                assert session.actual().settings["compiled"].startswith(expected)
            assert first.error(outputs) <= 3 * first.bands["fp32"][1]

    @pytest.mark.parametrize("precision", ["fp32", "tf32", "bf16", "fp16"])
    def test_its_program_is_one_for_a_gpu_too(self, tiny: Tiny, precision: str) -> None:
        """It was exported for a CPU: nothing in it is a CPU's alone, and its products ask for what the
        precision means there."""
        import jax
        import jax.export

        model = self.model(tiny, precision=precision)
        assert model is not None
        exported = for_any_platform(jax.export.deserialize(bytearray(model.path.read_bytes())))
        arguments, _ = jax.tree.unflatten(exported.in_tree, exported.in_avals)
        text = jax.jit(exported.call).trace(*arguments).lower(lowering_platforms=("cuda",)).as_text()
        assert "custom_call" not in text
        products = [line for line in text.splitlines() if PRODUCT.search(line)]
        assert products
        assert {"HIGHEST" in line for line in products} == {precision != "tf32"}

    def test_what_is_for_a_gpu_stays_on_that_device(self, tiny: Tiny, tmp_path: Path) -> None:
        """A second CPU stands in for it, which is not where JAX puts things by default."""
        model = self.model(tiny)
        assert model is not None
        np.savez(tmp_path / "in.npz", **tiny.inputs(1))
        places = [str(path) for path in (model.path, tmp_path)]
        variables = {**os.environ, "XLA_FLAGS": "--xla_force_host_platform_device_count=2"}
        variables["PYTHONPATH"] = os.pathsep.join(path for path in sys.path if path)
        command = [sys.executable, "-c", ELSEWHERE, tiny.workload, *places]
        done = subprocess.run(command, capture_output=True, text=True, env=variables, check=False)
        assert done.returncode == 0, done.stderr
        told = json.loads(done.stdout.splitlines()[-1])
        assert told["weights"] == told["staged"] == told["outputs"] == [1]
        assert told["compiled"] == "ahead of time"
        assert told["precision"] == ["none", "none"], "without a kernel nothing is proven"
        assert told["device"] == ["cuda:1", "reported"]
        outputs = dict(np.load(tmp_path / "out.npz"))
        assert tiny.error(outputs) <= 3 * tiny.bands["fp32"][1]


@pytest.mark.skipif(find_spec("iree") is None, reason="iree-base-runtime is not installed here")
class TestIree(BackendContract):
    backend = iree.BACKEND
    target = Target(threads=2)


@pytest.mark.skipif(find_spec("tvm") is None, reason="tvm lives in an environment of its own")
class TestTvm(BackendContract):
    backend = tvm.BACKEND
    target = Target(threads=2)

    def test_what_its_frontend_does_not_take_is_refused_in_its_words(
        self, first: Tiny, tmp_path: Path
    ) -> None:
        import onnx

        model = self.model(first)
        assert model is not None
        graph = onnx.load(model.path)
        next(node for node in graph.graph.node if node.op_type == "Relu").op_type = "Det"
        path = tmp_path / "model.onnx"
        onnx.save(graph, path)
        with pytest.raises(UnsupportedCase, match=r"its ONNX frontend: .*Det"):
            self.backend.build(replace(model, path=path), self.target, first.io(1), tmp_path)

    def test_an_error_of_ours_is_no_refusal(
        self, first: Tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def broken(module: Any) -> Any:
            raise RuntimeError("a bug of ours")

        monkeypatch.setattr("backends._tvm_build._bounded", broken)
        model = self.model(first)
        assert model is not None
        with pytest.raises(RuntimeError, match="a bug of ours"):
            self.backend.build(model, self.target, first.io(1), tmp_path)

    def test_its_default_schedules_make_kernels_of_a_gpu(self, tiny: Tiny, tmp_path: Path) -> None:
        """Without one: CUDA C for an H100, which a compiler takes where there is one."""
        import tvm as runtime
        from tvm.support import nvcc

        from backends import _tvm_build, _tvm_cuda

        model = self.model(tiny)
        assert model is not None
        # What TVM reads of such a device.
        facts = {"max_shared_memory_per_block": 49152, "max_threads_per_block": 1024, "thread_warp_size": 32}
        host = _tvm_build.machine(self.target)
        gpu = runtime.target.Target({"kind": "cuda", "arch": "sm_90", **facts}, host=host)
        made = _tvm_build.compiled(model, self.target, tiny.io(1), {}, tmp_path, gpu)
        (kernels,) = (one.inspect_source() for one in _modules(made.mod) if one.kind == "cuda")
        assert kernels.count("__global__") > 3
        if not (mode := _tvm_cuda.compiler()):
            pytest.skip("neither nvcc nor NVRTC is here to compile them")
        with gpu:
            assert len(nvcc.compile_cuda(kernels, target_format="cubin", compiler=mode)) > 1000


def _modules(module: Any) -> Iterator[Any]:
    yield module
    for one in module.imports:
        yield from _modules(one)


@pytest.mark.skipif(find_spec("tvm") is None, reason="tvm lives in an environment of its own")
class TestTvmSchedule(BackendContract):
    backend = tvm.BACKEND
    target = Target(threads=2, variant="schedule")


@pytest.mark.skipif(find_spec("tvm") is None, reason="tvm lives in an environment of its own")
class TestTvmTuned(BackendContract):
    backend = tvm.BACKEND
    target = Target(threads=2, variant="tuned", options={"trials": 8, "minutes": 0.5})

    def test_what_was_tried_stands_beside_the_library(self, first: Tiny, tmp_path: Path) -> None:
        model = self.model(first)
        assert model is not None
        built = self.backend.build(model, self.target, first.io(1), tmp_path)
        report = json.loads((tmp_path / "tuning.json").read_text())
        assert 0 < report["tried"] <= report["trials"] == 8
        assert report["kept"] <= report["searched"] <= report["products"]
        records = (tmp_path / "tuning" / "records.json").read_text().splitlines()
        assert len(records) == report["tried"] - sum(task["failed"] for task in report["tasks"])
        with self.backend.load(built, self.target, first.io(1)) as session:
            tuning = session.actual().settings["tuning"]
        assert tuning["kept"] == len(tuning["gain_by_kernel"]) == report["kept"]

    def test_a_wrong_kernel_is_not_kept(self) -> None:
        import tvm as runtime
        from tvm import te

        from backends import _tvm_build, _tvm_search, _tvm_tuned

        def made(factor: float) -> Any:
            value = te.placeholder((64, 64), name="value")
            product = te.compute((64, 64), lambda i, j: value[i, j] * runtime.tirx.const(factor, "float32"))
            return te.create_prim_func([value, product])

        machine = _tvm_build.machine(self.target)
        task = _tvm_tuned.Task(1, made(2), made(2), 0.0)
        right, wrong = (_tvm_search.Search(made(factor), 1, 0) for factor in (2, 2.001))
        assert _tvm_tuned._judge(task, wrong, machine)["why"] == "its outputs are others"
        assert _tvm_tuned._judge(task, right, machine)["why"] in ("", "it is not quicker")
        assert not _tvm_tuned._judge(task, _tvm_search.Search(None, 8, 8), machine)["kept"]


@pytest.mark.skipif(find_spec("tensorflow") is None, reason="bakeoff env create tensorflow")
class TestTensorFlow(BackendContract):
    backend = tensorflow.BACKEND
    target = Target(threads=2)


@pytest.mark.skipif(find_spec("tensorflow") is None, reason="bakeoff env create tensorflow")
class TestTensorFlowXla(BackendContract):
    backend = tensorflow.BACKEND
    target = Target(threads=2, variant="xla")
    loads = 6  # it keeps what XLA compiled, half a megabyte a load; weights that were kept would still show


@pytest.mark.skipif(find_spec("ncnn") is None, reason="bakeoff env create ncnn")
class TestNcnn(BackendContract):
    backend = ncnn.BACKEND
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

    backend = ctranslate2.BACKEND
    target = Target(threads=2)
    models = ("bert",)
    coarse = True

    def test_a_mask_with_holes_is_refused(self, first: Tiny) -> None:
        inputs = first.inputs(1)
        inputs["attention_mask"][:, 1] = 0
        with self.session(first) as session, pytest.raises(UnsupportedCase, match="holes"):
            session.stage(inputs)


class TestNull(BackendContract):
    backend = null.BACKEND


class TestAnchor(BackendContract):
    backend = anchor.BACKEND

    @pytest.fixture(autouse=True)
    def _one_blas_thread(self) -> Iterator[None]:
        """As `environment` has it in a worker; here NumPy is loaded already."""
        get, set_to = anchor.openblas("get_num_threads"), anchor.openblas("set_num_threads")
        if get is None or set_to is None:
            pytest.skip("this NumPy brings no OpenBLAS")
        before = get()
        set_to(1)
        yield
        set_to(before)

    def test_environment_holds_a_fresh_process_to_one_thread(self) -> None:
        code = "from backends import anchor; print(anchor.openblas('get_num_threads')())"
        environment = {**os.environ, **anchor.BACKEND.environment(Target())}
        done = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=True
        )
        assert done.stdout.strip() == "1"


class TestReference(BackendContract):
    backend = reference.BACKEND

    def options(self, tiny: Tiny) -> Mapping[str, Any]:
        return {"reference": str(tiny.reference)}
