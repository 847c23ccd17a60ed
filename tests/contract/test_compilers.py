"""Compilers that take a graph of operations (XLA, IREE, TVM) pass the suite, and what is theirs besides."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest

from backends.iree import backend as iree_backend
from backends.tvm import backend as tvm_backend
from backends.xla import backend as xla_backend
from backends.xla.program import for_any_platform
from bench.contract.models import Tiny
from bench.contract.suite import BackendContract, Failures
from bench.interfaces.backend import Target
from bench.interfaces.errors import UnsupportedCase

ELSEWHERE = """
import json, sys
from pathlib import Path
import jax, numpy as np
from backends.xla import cuda
from backends.xla.backend import BACKEND
from bench.interfaces.backend import Target
from bench.interfaces.tensors import ModelFile
from bench.plugins import workload_registry
workload, path, folder = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3])
cuda.gpus = lambda: (jax.devices()[1:], "")
cuda.capability = lambda device: "9.0"
io, target = workload_registry.get(workload).io(1, None), Target(device="cuda:0", threads=2)
built = BACKEND.build(ModelFile("stablehlo", path, ""), target, io, folder)
with BACKEND.load(built, target, io) as session:
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


def _widened() -> list[str]:
    """Precisions that XLA only emulates here."""
    if find_spec("jax") is None:
        return []
    table = xla_backend.BACKEND.probe().devices["cpu"]
    return [precision for precision in ("bf16", "fp16") if table[precision].level == "emulated"]


@pytest.mark.skipif(find_spec("jax") is None, reason="jax is not installed here")
class TestXla(BackendContract):
    backend = xla_backend.BACKEND
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
    backend = iree_backend.BACKEND
    target = Target(threads=2)


@pytest.mark.skipif(find_spec("tvm") is None, reason="tvm lives in an environment of its own")
class TestTvm(BackendContract):
    backend = tvm_backend.BACKEND
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

        monkeypatch.setattr("backends.tvm.build._bounded", broken)
        model = self.model(first)
        assert model is not None
        with pytest.raises(RuntimeError, match="a bug of ours"):
            self.backend.build(model, self.target, first.io(1), tmp_path)

    def test_its_default_schedules_make_kernels_of_a_gpu(self, tiny: Tiny, tmp_path: Path) -> None:
        """Without one: CUDA C for an H100, which a compiler takes where there is one."""
        import tvm as runtime
        from tvm.support import nvcc

        from backends.tvm import build, cuda

        model = self.model(tiny)
        assert model is not None
        # What TVM reads of such a device.
        facts = {"max_shared_memory_per_block": 49152, "max_threads_per_block": 1024, "thread_warp_size": 32}
        host = build.machine(self.target)
        gpu = runtime.target.Target({"kind": "cuda", "arch": "sm_90", **facts}, host=host)
        made = build.compiled(model, self.target, tiny.io(1), {}, tmp_path, gpu)
        (kernels,) = (one.inspect_source() for one in _modules(made.mod) if one.kind == "cuda")
        assert kernels.count("__global__") > 3
        if not (mode := cuda.compiler()):
            pytest.skip("neither nvcc nor NVRTC is here to compile them")
        with gpu:
            assert len(nvcc.compile_cuda(kernels, target_format="cubin", compiler=mode)) > 1000


def _modules(module: Any) -> Iterator[Any]:
    yield module
    for one in module.imports:
        yield from _modules(one)


@pytest.mark.skipif(find_spec("tvm") is None, reason="tvm lives in an environment of its own")
class TestTvmSchedule(BackendContract):
    backend = tvm_backend.BACKEND
    target = Target(threads=2, variant="schedule")


@pytest.mark.skipif(find_spec("tvm") is None, reason="tvm lives in an environment of its own")
class TestTvmTuned(BackendContract):
    backend = tvm_backend.BACKEND
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

        from backends.tvm import build, search, tuned

        def made(factor: float) -> Any:
            value = te.placeholder((64, 64), name="value")
            product = te.compute((64, 64), lambda i, j: value[i, j] * runtime.tirx.const(factor, "float32"))
            return te.create_prim_func([value, product])

        machine = build.machine(self.target)
        task = tuned.Task(1, made(2), made(2), 0.0)
        right, wrong = (search.Search(made(factor), 1, 0) for factor in (2, 2.001))
        assert tuned._judge(task, wrong, machine)["why"] == "its outputs are others"
        assert tuned._judge(task, right, machine)["why"] in ("", "it is not quicker")
        assert not tuned._judge(task, search.Search(None, 8, 8), machine)["kept"]
