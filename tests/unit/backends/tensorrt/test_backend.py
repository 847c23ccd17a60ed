"""TensorRT's adapter over stand-ins of versions 10 and 11: no GPU has run it here, but all around it does."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from backends.tensorrt import api
from backends.tensorrt import cuda as tensorrt_cuda
from backends.tensorrt.backend import BACKEND
from backends.tensorrt.build import MADE, TIMINGS
from bench.environments.requirements import needs
from bench.environments.setup import runtimes
from bench.interfaces.backend import Target
from bench.interfaces.errors import BackendUnavailable, ModelFileError, UnsupportedCase
from bench.interfaces.tensors import Array, IOSpec, ModelFile, TensorSpec
from tests.helpers import tensorrt_standin as standin

VERSIONS = ("10.13.3.9", "11.4.0.106")
CUDA = Target(device="cuda:0")
PRESETS = ("stock", "expert")
WEIGHTS = np.arange(12, dtype=np.float32).reshape(4, 3) / 7
LAYERS = [
    {
        "Name": "product",
        "LayerType": "gemm",
        "Inputs": [{"Name": "x", "Format": "Row major", "Datatype": "Float"}],
        "Outputs": [{"Name": "y", "Format": "Row major", "Datatype": "Float"}],
        "TacticName": "sm80_xmma_gemm_f32f32_f32f32_f32_nn_n_tilesize64x64x8",
    },
    {
        "Name": "sum",
        "LayerType": "kgen",
        "Inputs": [],
        "Outputs": [{"Name": "z", "Format": "Row major", "Datatype": "Float"}],
        "TacticName": "__myl_AddRelu_0x0bf16",
    },
]


def io(batch: int = 2) -> IOSpec:
    specs = (TensorSpec("x", "float32", (batch, 4)), TensorSpec("shift", "int64", (batch, 1), "shift:0"))
    return IOSpec(
        specs, (TensorSpec("y", "float32", (batch, 3)), TensorSpec("kept", "float32", (batch, 4))), ()
    )


def inputs(seed: int = 0, batch: int = 2) -> dict[str, Array]:
    random = np.random.default_rng(seed)
    return {
        "x": random.standard_normal((batch, 4)).astype(np.float32),
        "shift": random.integers(0, 9, (batch, 1)),
    }


def expected(given: dict[str, Array]) -> Array:
    return np.asarray(np.maximum(given["x"] @ WEIGHTS + given["shift"], 0), np.float32)


def write(path: Path) -> ModelFile:
    """relu(x @ W + shift) with an open batch, and x itself."""
    from onnx import TensorProto, checker, helper, numpy_helper, save

    nodes = [
        helper.make_node("MatMul", ["x", "W"], ["product"], name="/product"),
        helper.make_node("Cast", ["shift:0"], ["shifts"], to=TensorProto.FLOAT),
        helper.make_node("Add", ["product", "shifts"], ["sum"]),
        helper.make_node("Relu", ["sum"], ["y"]),
        helper.make_node("Identity", ["x"], ["kept"]),
    ]
    value = helper.make_tensor_value_info
    graph = helper.make_graph(
        nodes,
        "g",
        [value("x", TensorProto.FLOAT, ["n", 4]), value("shift:0", TensorProto.INT64, ["n", 1])],
        [value("y", TensorProto.FLOAT, ["n", 3]), value("kept", TensorProto.FLOAT, ["n", 4])],
        [numpy_helper.from_array(WEIGHTS, "W")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    checker.check_model(model)
    save(model, path)
    return ModelFile("onnx", path, "0" * 64)


@pytest.fixture
def cuda(monkeypatch: pytest.MonkeyPatch) -> standin.Library:
    library = standin.Library()
    monkeypatch.setattr(tensorrt_cuda, "runtime", lambda: tensorrt_cuda.Cuda(library))  # type: ignore[arg-type]
    return library


@pytest.fixture(params=VERSIONS)
def trt(request: pytest.FixtureRequest, cuda: standin.Library, monkeypatch: pytest.MonkeyPatch) -> Any:
    module = standin.tensorrt(request.param, cuda)
    module.layers, module.times = LAYERS, [("product", 0.3), ("sum", 0.1)]
    monkeypatch.setitem(sys.modules, "tensorrt", module)
    return module


@pytest.fixture
def model(tmp_path: Path) -> ModelFile:
    pytest.importorskip("onnx")
    return write(tmp_path / "model.onnx")


@pytest.fixture(params=PRESETS)
def session(request: pytest.FixtureRequest, trt: Any, model: ModelFile, tmp_path: Path) -> Iterator[Any]:
    target = replace(CUDA, preset=request.param, threads=3)
    with BACKEND.load(BACKEND.build(model, target, io(), tmp_path), target, io()) as loaded:
        yield loaded


def test_outputs_are_right_and_stay_when_fetched(session: Any) -> None:
    first = session.fetch(session.run(session.stage(inputs(1))))
    second = session.fetch(session.run(session.stage(inputs(2))))
    for found, seed in ((first, 1), (second, 2)):
        np.testing.assert_allclose(found["y"], expected(inputs(seed)), rtol=1e-6)
        np.testing.assert_array_equal(found["kept"], inputs(seed)["x"])
        assert [array.dtype for array in found.values()] == [np.float32, np.float32]


def test_as_many_staged_inputs_live_as_it_says(session: Any) -> None:
    staged = [session.stage(inputs(seed)) for seed in range(min(session.staged_sets, 3))]
    for seed in (*reversed(range(len(staged))), *range(len(staged))):
        found = session.fetch(session.run(staged[seed]))
        np.testing.assert_allclose(found["y"], expected(inputs(seed)), rtol=1e-6)


def test_what_is_staged_onto_others_joins_them(session: Any) -> None:
    first = session.stage(inputs(1))
    mixed = session.stage({"shift": inputs(2)["shift"]}, onto=first)
    found = session.fetch(session.run(mixed))
    np.testing.assert_allclose(found["y"], expected({**inputs(1), "shift": inputs(2)["shift"]}), rtol=1e-6)


def test_inputs_of_any_layout_and_read_only(session: Any) -> None:
    given = {name: np.asfortranarray(np.repeat(array, 2, -1)[:, ::2]) for name, array in inputs(3).items()}
    for array in given.values():
        array.flags.writeable = False
    np.testing.assert_allclose(
        session.fetch(session.run(session.stage(given)))["y"], expected(inputs(3)), rtol=1e-6
    )


def test_a_run_waits_and_its_events_tell_the_devices_time(session: Any, cuda: standin.Library) -> None:
    staged = session.stage(inputs())
    session.run(staged)
    assert cuda.queue == []
    assert session.device_ns() == 250_000
    before = len(cuda.calls)
    session.run(staged)
    start = "cudaGraphLaunch" if session.staged_sets == 1 else None
    wanted = ["cudaEventRecord", start, "cudaEventRecord", "cudaStreamSynchronize"]
    assert cuda.calls[before:] == [name for name in wanted if name]


def test_memory_comes_back_and_all_is_freed(session: Any, cuda: standin.Library) -> None:
    for seed in range(5):
        session.run(session.stage(inputs(seed)))
    taken = cuda.calls.count("cudaMalloc")
    for seed in range(20):
        session.run(session.stage(inputs(seed)))
    assert cuda.calls.count("cudaMalloc") == taken
    session.actual()
    staged = session.stage(inputs())
    session.close()
    assert len(cuda.memory) == len(staged)  # what is still held
    assert cuda.handles == set()
    del staged
    assert cuda.memory == {}
    session.close = lambda: None  # the fixture's own end


def test_the_proof_comes_from_a_profile(session: Any) -> None:
    ran = session.actual()
    assert (ran.precision.value, ran.precision.evidence) == ("fp32", "executed")
    assert (ran.device.value, ran.threads.value, ran.provider.value) == ("cuda:0", "3", "TensorRT")
    assert ran.settings["products_by_precision"] == {"fp32": 1.0}
    assert ran.settings["time_by_operation"] == {"gemm": 0.75, "kgen AddRelu": 0.25}
    assert ran.settings["tf32_allowed"] is False
    np.testing.assert_allclose(
        session.fetch(session.run(session.stage(inputs())))["y"], expected(inputs()), rtol=1e-6
    )


def test_what_is_timed_marks_no_ranges(session: Any, trt: Any) -> None:
    session.actual()
    timed, profiled = trt.contexts
    assert (timed.nvtx_verbosity, timed.profiler) == ("NONE", None)
    assert profiled.profiler is not None


def test_layers_that_the_inspector_does_not_know_prove_nothing(session: Any, trt: Any) -> None:
    trt.times = [("product", 0.1), ("{ForeignNode[a...b]}", 0.9)]
    precision = session.actual().precision
    assert (precision.value, precision.evidence) == ("fp32", "none")
    assert "90% of the time unknown" in precision.detail


def test_tf32_that_no_tactic_tells_is_only_reported(trt: Any, model: ModelFile, tmp_path: Path) -> None:
    trt.layers = [{**LAYERS[0], "TacticName": ""}, LAYERS[1]]
    target = replace(CUDA, precision="tf32")
    with BACKEND.load(BACKEND.build(model, target, io(), tmp_path), target, io()) as session:
        ran = session.actual()
    assert (ran.precision.value, ran.precision.evidence) == ("tf32", "reported")
    assert ran.settings["products_untold"] == 1.0
    assert ran.settings["tf32_allowed"] is True


def test_an_engine_that_cannot_be_captured_is_refused(trt: Any, model: ModelFile, tmp_path: Path) -> None:
    trt.uncapturable = True
    target = replace(CUDA, options={"cuda_graph": True})
    built = BACKEND.build(model, target, io(), tmp_path)
    with pytest.raises(UnsupportedCase, match="a loop on the host cannot be captured") as caught:
        BACKEND.load(built, target, io())
    assert caught.value.hint == "cuda_graph: false"


@pytest.mark.parametrize(("precision", "allowed"), [("fp32", False), ("tf32", True)])
def test_a_build_is_strongly_typed_and_tf32_is_asked_for(
    trt: Any, model: ModelFile, tmp_path: Path, precision: str, allowed: bool
) -> None:
    options = {"builder_optimization_level": 1, "workspace_mib": 64}
    BACKEND.build(model, replace(CUDA, precision=precision, options=options), io(), tmp_path)
    (network,), (config,) = trt.networks, trt.configs
    assert network.flags == 1 << 1
    assert ("TF32" in config.flags_set) is allowed
    assert config.profiling_verbosity == "DETAILED"
    assert (config.builder_optimization_level, config.limits) == (1, {"WORKSPACE": 64 * 2**20})
    ((profile),) = config.profiles
    assert profile.shapes == {"x": ((2, 4),) * 3, "shift:0": ((2, 1),) * 3}
    assert (tmp_path / TIMINGS).read_bytes() == b"timings"


def test_a_build_leaves_tensorrts_defaults(trt: Any, model: ModelFile, tmp_path: Path) -> None:
    BACKEND.build(model, CUDA, io(), tmp_path)
    (config,) = trt.configs
    assert config.limits == {}
    assert not hasattr(config, "builder_optimization_level")


def test_what_the_parser_does_not_take_is_refused_in_its_words(
    trt: Any, tmp_path: Path, model: ModelFile
) -> None:
    import onnx

    graph = onnx.load(model.path)
    next(node for node in graph.graph.node if node.op_type == "MatMul").op_type = "Det"
    onnx.save(graph, model.path)
    with pytest.raises(UnsupportedCase, match="its ONNX parser: Det /product: no importer registered for it"):
        BACKEND.build(model, CUDA, io(), tmp_path)


@pytest.mark.parametrize("content", [None, b"", b"garbage" * 40], ids=["missing", "empty", "garbage"])
def test_a_broken_model_file_is_named(
    trt: Any, model: ModelFile, tmp_path: Path, content: bytes | None
) -> None:
    model.path.unlink()
    if content is not None:
        model.path.write_bytes(content)
    with pytest.raises(ModelFileError, match=r"model\.onnx: cannot be loaded as onnx"):
        BACKEND.build(model, CUDA, io(), tmp_path)


def test_a_file_of_another_model_is_refused(trt: Any, model: ModelFile, tmp_path: Path) -> None:
    other = replace(io(), inputs=(TensorSpec("image", "float32", (2, 4)),))
    with pytest.raises(ModelFileError, match=r"has no image \(it has kept, shift:0, x, y\)"):
        BACKEND.build(model, CUDA, other, tmp_path)


def test_an_engine_of_another_version_or_gpu_is_refused(
    trt: Any, cuda: standin.Library, model: ModelFile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    built = BACKEND.build(model, CUDA, io(), tmp_path)
    version = trt.__version__
    monkeypatch.setattr(trt, "__version__", "10.99.0")
    with pytest.raises(ModelFileError, match=rf"built by TensorRT {version}, this is 10\.99\.0") as caught:
        BACKEND.load(built, CUDA, io())
    assert "made anew" in caught.value.hint
    monkeypatch.setattr(trt, "__version__", version)
    other = standin.Library(name=b"Another", capability=80)
    monkeypatch.setattr(tensorrt_cuda, "runtime", lambda: tensorrt_cuda.Cuda(other))  # type: ignore[arg-type]
    with pytest.raises(
        ModelFileError, match=r"built for Stand-in, compute capability 9\.0, this is Another, .* 8\.0"
    ):
        BACKEND.load(built, CUDA, io())


def test_an_engine_that_is_none_or_of_another_shape_is_refused(
    trt: Any, model: ModelFile, tmp_path: Path
) -> None:
    built = BACKEND.build(model, CUDA, io(), tmp_path)
    with pytest.raises(ModelFileError, match=r"x is \[2, 4\] in it, \[3, 4\] in this case"):
        BACKEND.load(built, CUDA, io(3))
    built.path.write_bytes(b"no engine")
    with pytest.raises(ModelFileError, match="deserializeCudaEngine"):
        BACKEND.load(built, CUDA, io())
    (tmp_path / MADE).write_text("{}")
    with pytest.raises(ModelFileError, match="nothing beside it says what it was built for"):
        BACKEND.load(built, CUDA, io())
    built.path.unlink()
    with pytest.raises(ModelFileError, match="it is not there"):
        BACKEND.load(built, CUDA, io())


def test_an_input_that_nothing_uses_is_left_out(trt: Any, model: ModelFile, tmp_path: Path) -> None:
    built = BACKEND.build(model, CUDA, io(), tmp_path)
    more = replace(io(), inputs=(*io().inputs, TensorSpec("unused", "int64", (2, 9))))
    with BACKEND.load(built, CUDA, more) as session:
        staged = session.stage({**inputs(), "unused": np.zeros((2, 9), np.int64)})
        np.testing.assert_allclose(session.fetch(session.run(staged))["y"], expected(inputs()), rtol=1e-6)
    lacking = replace(io(), outputs=(TensorSpec("logits", "float32", (2, 3)),))
    with pytest.raises(ModelFileError, match=r"has kept, shift:0, x, y, the case logits, shift:0, x"):
        BACKEND.load(built, CUDA, lacking)


def test_inputs_whose_values_decide_shapes_are_refused(trt: Any, model: ModelFile, tmp_path: Path) -> None:
    built = BACKEND.build(model, CUDA, io(), tmp_path)
    trt.on_the_host = ["shift:0"]
    with pytest.raises(UnsupportedCase, match="values of shift:0 decide shapes"):
        BACKEND.load(built, CUDA, io())


@pytest.mark.parametrize(
    ("capability", "none"),
    [(75, {"tf32", "bf16", "fp8:qdq"}), (80, {"fp8:qdq"}), (89, set()), (90, set()), (120, set())],
)
def test_a_gpus_precisions_follow_its_compute_capability(
    trt: Any, monkeypatch: pytest.MonkeyPatch, capability: int, none: set[str]
) -> None:
    library = standin.Library(capability=capability)
    monkeypatch.setattr(tensorrt_cuda, "runtime", lambda: tensorrt_cuda.Cuda(library))  # type: ignore[arg-type]
    found = BACKEND.probe()
    table = found.devices["cuda:0"]
    never = {"int8:qdq", "int8-dynamic", "int8-weight", "int4-weight", "fp8-dynamic"}
    assert {name for name, support in table.items() if support.level == "none"} == none | never
    assert (found.version, found.detail["CUDA"]) == (trt.__version__, "13.2")
    assert found.detail["cuda:0"] == f"Stand-in, compute capability {capability // 10}.{capability % 10}"


@pytest.mark.parametrize(
    ("error", "driver", "words"),
    [
        (standin.NO_DEVICE, 13000, r"no CUDA-capable device is detected .*the driver serves 13\.0"),
        (
            standin.INSUFFICIENT_DRIVER,
            12080,
            r"insufficient .*libcudart is CUDA 13\.2; the driver serves 12\.8",
        ),
        (standin.INSUFFICIENT_DRIVER, 0, r"insufficient .*the driver serves none"),
    ],
)
def test_what_is_missing_of_cuda_is_named(
    trt: Any, monkeypatch: pytest.MonkeyPatch, error: int, driver: int, words: str
) -> None:
    library = standin.Library(error=error, driver=driver)
    monkeypatch.setattr(tensorrt_cuda, "runtime", lambda: tensorrt_cuda.Cuda(library))  # type: ignore[arg-type]
    for call in (BACKEND.probe, lambda: BACKEND.load(None, CUDA, io())):
        with pytest.raises(BackendUnavailable, match=f"tensorrt needs an NVIDIA GPU: .*{words}"):
            call()


def test_what_is_missing_of_tensorrt_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tensorrt", None)
    with pytest.raises(BackendUnavailable, match="nothing of TensorRT is installed"):
        BACKEND.probe()
    names = ["tensorrt_cu13_bindings", "tensorrt-cu13"]
    parts = [type("D", (), {"metadata": {"Name": name}}) for name in names]
    monkeypatch.setattr("backends.tensorrt.backend.distributions", lambda: parts)
    with pytest.raises(
        BackendUnavailable,
        match=r"there is tensorrt_cu13, tensorrt_cu13_bindings, and no library .* has a stub in its place",
    ):
        BACKEND.probe()


def test_what_does_not_start_is_told_in_tensorrts_words(
    trt: Any, model: ModelFile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def nothing(log: Any) -> Any:
        log.log(standin.Severity.ERROR, "CUDA initialization failure with error: 2")
        raise TypeError("pybind11::init(): factory function returned nullptr")

    built = BACKEND.build(model, CUDA, io(), tmp_path)
    for name, call in (
        ("Builder", BACKEND.build),
        ("Runtime", lambda *given: BACKEND.load(built, *given[1:3])),
    ):
        monkeypatch.setattr(trt, name, nothing)
        with pytest.raises(
            BackendUnavailable, match="does not start: CUDA initialization failure with error: 2"
        ):
            call(model, CUDA, io(), tmp_path)


def test_a_version_that_is_not_known_is_refused(trt: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trt, "__version__", "8.6.1")
    with pytest.raises(BackendUnavailable, match=r"this is 8\.6\.1, known are versions 10 and 11"):
        BACKEND.probe()


@pytest.mark.parametrize(
    ("precision", "files"),
    [
        *(("fp32", ("onnx",)), ("tf32", ("onnx",)), ("fp16", ("onnx-half",)), ("bf16", ("onnx-half",))),
        *(("int8:native", ("onnx-qdq-symmetric",)), ("int8:qdq", ()), ("int4-weight:32", ())),
        *(("fp8:qdq", ("onnx-fp8",)), ("fp8-dynamic", ())),
    ],
)
def test_a_precision_comes_from_its_model_file(precision: str, files: tuple[str, ...]) -> None:
    assert BACKEND.takes(replace(CUDA, precision=precision)) == files


def test_what_is_not_claimed_is_refused(trt: Any, model: ModelFile, tmp_path: Path) -> None:
    for target, words in (
        (replace(CUDA, device="cuda:1"), "cuda:1"),
        (Target(), "no device 'cpu'"),
        (replace(CUDA, precision="int8:qdq"), "symmetric int8 alone"),
        (replace(CUDA, precision="fp8-dynamic"), "no converter makes such a file"),
        (replace(CUDA, options={"fp16": True}), "no option 'fp16'"),
    ):
        with pytest.raises(UnsupportedCase, match=words):
            BACKEND.build(model, target, io(), tmp_path)


def test_bfloat16_travels_as_its_bits() -> None:
    values = np.array([[0.0, 1.0, -2.5], [3.0e38, 1 + 2**-8, 1 + 3 * 2**-8]], np.float32)
    buffer = np.zeros((2, 3), np.uint16)
    api.place(np.asfortranarray(values), buffer, "bfloat16")
    back = api.taken(buffer, "bfloat16", "float32")
    assert buffer[0, 1] == 0x3F80
    # Halves go to the even neighbour.
    np.testing.assert_array_equal(back[1, 1:], np.array([1.0, 1 + 2**-6], np.float32))
    np.testing.assert_allclose(back, values, rtol=2**-8)
    api.place(np.full((2, 3), np.nan, np.float32), buffer, "bfloat16")
    assert np.isnan(api.taken(buffer, "bfloat16", "float32")).all()


def test_it_is_installed_by_name_and_not_with_what_runs_on_a_cpu() -> None:
    assert needs("tensorrt").device == "cuda"
    assert needs("tensorrt==10.16.1.11").lines[0] == "tensorrt==10.16.1.11"
    assert "tensorrt" not in runtimes()
