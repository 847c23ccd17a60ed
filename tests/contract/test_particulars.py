"""What is particular to one backend and no matter of the contract."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from backends.onnxruntime import backend as onnxruntime_backend
from backends.openvino import backend as openvino_backend
from backends.reference import backend as reference_backend
from backends.support import onnx_file, profiles
from backends.torch import backend as torch_backend
from bench.contract.models import Tiny, tiny_model
from bench.interfaces.backend import Support, Target
from bench.interfaces.errors import ModelFileError, UnsupportedCase
from bench.interfaces.tensors import IOSpec, TensorSpec
from bench.machine import instructions


@pytest.fixture(scope="module")
def encoder() -> Tiny:
    return tiny_model("encoder")


def test_onnxruntime_is_told_the_shapes_of_the_case(encoder: Tiny) -> None:
    model, io = encoder.files["onnx"], encoder.io(5)
    assert list(onnx_file.extents(model.path, io).values()) == [5]
    with onnxruntime_backend.BACKEND.load(model, Target(), io) as session:
        assert [value.shape for value in session._session.get_inputs()] == [[5, 12], [5, 12]]


def test_onnxruntime_profile_leaves_no_file(
    encoder: Tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with onnxruntime_backend.BACKEND.load(encoder.files["onnx"], Target(), encoder.io(1)) as session:
        settings = session.actual().settings
    assert settings["time_by_provider"] == {"CPUExecutionProvider": 1.0}
    assert sum(settings["time_by_precision"].values()) == pytest.approx(1.0, abs=1e-3)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("backend", "kind"),
    [(onnxruntime_backend.BACKEND, "onnx"), (openvino_backend.BACKEND, "onnx")],
    ids=["ort", "openvino"],
)
def test_names_that_the_file_lacks_are_named(
    encoder: Tiny,
    backend: onnxruntime_backend.OnnxRuntimeBackend | openvino_backend.OpenVinoBackend,
    kind: str,
) -> None:
    io = encoder.io(1)
    renamed = IOSpec((replace(io.inputs[0], runtime_name="tokens"), io.inputs[1]), io.outputs)
    with pytest.raises(ModelFileError, match=r"model.onnx: has no tokens \(it has ids, mask, "):
        backend.load(encoder.files[kind], Target(), renamed)


def test_runtime_names_are_translated(encoder: Tiny) -> None:
    """The workload calls its tensors otherwise than the file does."""
    io = encoder.io(2)

    def rename(tensor: TensorSpec) -> TensorSpec:
        return replace(tensor, name=f"my_{tensor.name}", runtime_name=tensor.name)

    mine = IOSpec(tuple(map(rename, io.inputs)), tuple(map(rename, io.outputs)))
    inputs = {f"my_{name}": array for name, array in encoder.inputs(2).items()}
    for backend in (onnxruntime_backend.BACKEND, openvino_backend.BACKEND):
        with backend.load(encoder.files["onnx"], Target(), mine) as session:
            outputs = session.fetch(session.run(session.stage(inputs)))
        got = {name.removeprefix("my_"): array for name, array in outputs.items()}
        assert encoder.error(got) < encoder.bands["fp32"][1]


def test_openvino_says_what_a_hint_that_is_not_honoured_ran(encoder: Tiny) -> None:
    if openvino_backend.BACKEND.probe().devices["cpu"]["fp16"].level != "none":
        pytest.skip("this CPU computes fp16")
    with pytest.raises(UnsupportedCase, match=r"accepts the f16 hint on this CPU and runs (f32|bf16)"):
        openvino_backend.BACKEND.load(encoder.files["onnx"], Target(precision="fp16:emulated"), encoder.io(1))


def test_openvino_reads_the_hint_back_from_the_model_itself(
    encoder: Tiny, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Even where the probe claimed the precision."""
    if openvino_backend.BACKEND.probe().devices["cpu"]["fp16"].level != "none":
        pytest.skip("this CPU computes fp16")
    monkeypatch.setattr(openvino_backend, "_support", lambda precision: Support("native"))
    with pytest.raises(UnsupportedCase, match=r"runs (f32|bf16)") as caught:
        openvino_backend.BACKEND.load(encoder.files["onnx"], Target(precision="fp16"), encoder.io(1))
    assert caught.value.hint in ("--precision fp32", "--precision bf16")


def test_openvino_always_names_the_precision(encoder: Tiny) -> None:
    with openvino_backend.BACKEND.load(encoder.files["onnx"], Target(), encoder.io(1)) as session:
        assert session._config["INFERENCE_PRECISION_HINT"] == "f32"
    contrary = Target(options={"INFERENCE_PRECISION_HINT": "bf16"})
    with pytest.raises(UnsupportedCase, match="INFERENCE_PRECISION_HINT"):
        openvino_backend.BACKEND.load(encoder.files["onnx"], contrary, encoder.io(1))


def test_torch_graph_holds_no_checks_and_no_fp32_once_cast(encoder: Tiny) -> None:
    import torch as pytorch

    module = torch_backend._graph(encoder.files["torch-graph"], "cpu")
    assert "_assert_tensor_metadata" not in module.code
    assert "pytree" not in module.code
    assert "torch.float32" in module.code, "the tiny encoder casts its mask: else this test shows nothing"
    torch_backend._cast(module, pytorch.bfloat16)
    assert "torch.float32" not in module.code
    assert {tensor.dtype for tensor in module.state_dict().values()} == {pytorch.bfloat16}


def test_precision_is_weighed_by_time() -> None:
    operations = [
        profiles.Operation("Conv", "int8", 900),
        profiles.Operation("Softmax", "fp32", 300),
        profiles.Operation("Softmax", "fp32", 100),
        profiles.Operation("Shape", "", 5000),
    ]
    fact, shares = profiles.weigh(operations, "profile")
    assert (fact.value, fact.evidence) == ("int8", "executed")
    assert shares["time_by_precision"] == {"int8": 0.6923, "fp32": 0.3077}
    assert next(iter(shares["time_by_operation"])) == "Shape"
    assert profiles.weigh([], "profile")[0].evidence == "none"


def test_what_others_stole_in_one_run_has_no_say() -> None:
    def run(integers: float, floats: float) -> list[profiles.Operation]:
        return [
            profiles.Operation("MatMulInteger", "int8", integers, True),
            profiles.Operation("MatMul", "fp32", floats, True),
        ]

    fact, _ = profiles.weigh(profiles.quickest([run(900, 9000), run(5000, 300), run(800, 310)]), "profile")
    assert (fact.value, fact.detail) == (
        "int8",
        "profile: int8 72.7% of the products' time, fp32 27.3% of the products' time",
    )


@pytest.mark.parametrize(
    ("line", "flag"), [("flags\t\t: fpu avx512_bf16", "avx512_bf16"), ("Features\t: fp asimdhp", "asimdhp")]
)
def test_cpu_flags(tmp_path: Path, line: str, flag: str) -> None:
    path = tmp_path / "cpuinfo"
    path.write_text(f"processor\t: 0\n{line}\n\nprocessor\t: 1\n")
    assert flag in instructions.cpu_flags(path)
    assert instructions.cpu_flags(tmp_path / "none") == frozenset()


def reference_session(**options: object) -> reference_backend.ReferenceSession:
    io = IOSpec((TensorSpec("x", "float32", (2, 3)),), (TensorSpec("y", "float32", (2, 1)),))
    return reference_backend.BACKEND.load(None, Target(options=options), io)


def test_reference_plays_back_sample_by_sample(tmp_path: Path) -> None:
    x = np.arange(12, dtype=np.float32).reshape(4, 3)
    np.savez(tmp_path / "r.npz", **{"in:x": x, "out:y": x.sum(1, keepdims=True).astype(np.float64)})
    session = reference_session(reference=str(tmp_path / "r.npz"))
    for rows, expected in (([3, 1], [[30.0], [12.0]]), ([0, 0], [[3.0], [3.0]])):
        got = session.fetch(session.run(session.stage({"x": x[rows]})))["y"]
        assert got.dtype == np.float32
        np.testing.assert_array_equal(got, expected)
    unknown = session.fetch(session.run(session.stage({"x": x[:2] + 1})))["y"]
    np.testing.assert_array_equal(unknown, np.zeros((2, 1)))


def test_reference_goes_wrong_late() -> None:
    session = reference_session(fault="wrong", when="late", after=2)
    staged = session.stage({"x": np.zeros((2, 3), np.float32)})
    sums = [float(session.fetch(session.run(staged))["y"].sum()) for _ in range(4)]
    assert sums == [0, 0, 2, 2]


def test_reference_is_busy_as_long_as_told() -> None:
    import time

    session = reference_session(delay_us=3000)
    start = time.perf_counter_ns()
    session.run(session.stage({"x": np.zeros((2, 3), np.float32)}))
    assert time.perf_counter_ns() - start >= 3_000_000


@pytest.mark.parametrize("options", [{"fault": "krash"}, {"fault": "crash", "when": "lod"}])
def test_reference_refuses_a_misspelt_fault(options: dict[str, str]) -> None:
    with pytest.raises(UnsupportedCase, match=r"no (fault|when)") as caught:
        reference_session(**options)
    assert "did you mean" in caught.value.hint


@pytest.mark.parametrize(
    ("fault", "when", "code", "printed"),
    [
        ("crash", "load", -11, 0),
        ("crash", "fetch", -11, 0),
        ("exit", "run", 0, 0),
        ("print", "run", 3, 2**23),
        ("raise", "run", 1, 0),
    ],
)
def test_reference_faults_are_real(fault: str, when: str, code: int, printed: int) -> None:
    program = f"""
import sys, numpy as np
from tests.contract.test_particulars import reference_session
session = reference_session(fault={fault!r}, when={when!r})
session.fetch(session.run(session.stage({{"x": np.zeros((2, 3), np.float32)}})))
sys.exit(3)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=False)
    assert done.returncode == code, done.stderr[-500:]
    assert len(done.stdout) == printed
