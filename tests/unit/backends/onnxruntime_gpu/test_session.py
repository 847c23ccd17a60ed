"""Sessions of ONNX Runtime on bound inputs and outputs, the CPU as device; what a GPU's profile tells."""

from __future__ import annotations

import re
from functools import partial
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest

from backends.onnxruntime_gpu.session import BoundSession, GraphSession, Place
from backends.support import arrays, ort_session
from backends.support.cuda_driver import Clock, NoDriver
from bench.interfaces.backend import Fact, Session, Stepping, Target
from bench.interfaces.tensors import ModelFile
from bench.worker import verify
from tests.helpers.small_models import WORKLOADS, Kitchen

HERE = Place(ort_session.CPU, ("cpu", 0))
GPU = Place("CUDAExecutionProvider", ("cuda", 0))
ENGINE = Place("TensorrtExecutionProvider", ("cuda", 0), engine=True)


def opened(
    kitchen: Kitchen, name: str, precision: str = "fp32", kind: type[BoundSession] = BoundSession
) -> BoundSession:
    target, settings = Target(precision=precision), {}
    half = precision != "fp32"
    path = kitchen.convert(name, "onnx-half", precision)[1] if half else kitchen.made(name).files["onnx"]
    model, io = ModelFile("onnx", path, ""), WORKLOADS[name].io(1, WORKLOADS[name].default_length)

    def session(prefix: str) -> Any:
        options = ort_session.session_options(target, settings, prefix)
        return ort_session.loaded(model, io, options, [ort_session.CPU])

    return kind(model, target, io, settings, HERE, session)


@pytest.mark.parametrize(
    ("name", "precision"),
    [("cnn", "fp32"), ("decoder", "fp32"), ("cnn", "fp16"), ("decoder", "fp16"), ("prefill", "fp16")],
)
def test_bound_outputs_are_right(kitchen: Kitchen, name: str, precision: str) -> None:
    with opened(kitchen, name, precision) as session:
        assert isinstance(session, Session)
        found = kitchen.error(name, session)
    assert verify.judge(found, kitchen.band(name, precision)) == ""


@pytest.mark.parametrize("precision", ["fp32", "fp16"])
def test_state_goes_on_where_it_lies(kitchen: Kitchen, precision: str) -> None:
    """Two steps of a decoder, the second on the first one's cache, against a cache made anew from arrays."""
    workload = WORKLOADS["decoder"]
    inputs = workload.inputs(1, workload.default_length, seed=3)
    token = {"input_ids": np.array([[7]], np.int64)}
    with opened(kitchen, "decoder", precision) as session:
        assert isinstance(session, Stepping)
        staged = session.stage(inputs)
        first = session.run(staged)
        places = {t.name: i for i, t in enumerate(session._io.outputs)}
        cache = {into: first[places[out]].numpy().astype(np.float32) for out, into in session._io.state}
        stepped = session.fetch(session.run(session.advance(staged, first, token)))
        anew = session.fetch(session.run(session.stage({**token, **cache})))
        kept = session.fetch(session.run(session.stage({"input_ids": inputs["input_ids"]}, onto=staged)))
        again = session.fetch(session.run(session.stage(inputs)))
    np.testing.assert_array_equal(stepped["logits"], anew["logits"])
    np.testing.assert_array_equal(kept["logits"], again["logits"])


def test_bf16_state_is_handed_over_as_bits() -> None:
    ties = [1 + 2**-8, 1 + 3 * 2**-8, -(1 + 2**-8)]
    drawn = np.random.default_rng(0).standard_normal(4096)
    values = np.concatenate([drawn, [0, 1e-40, -3.3e38], ties]).astype(np.float32)
    expected = values.astype(ml_dtypes.bfloat16).view(np.uint16)
    np.testing.assert_array_equal(arrays.bf16_bits(values), expected)
    full = np.array([0x7FFFFFFF, 0xFFFFFFFF], np.uint32).view(np.float32)  # numbers that are none
    assert np.isnan(arrays.bf16_bits(full).view(ml_dtypes.bfloat16).astype(np.float32)).all()


def test_bf16_inputs_are_bound_by_their_address(tmp_path: Path) -> None:
    from onnx import TensorProto, helper, save

    names = {"past": TensorProto.BFLOAT16, "present": TensorProto.BFLOAT16}
    past, present = (helper.make_tensor_value_info(name, kind, [2, 3]) for name, kind in names.items())
    graph = helper.make_graph(
        [helper.make_node("Reshape", ["past", "to"], ["present"])], "g", [past], [present]
    )
    graph.initializer.append(helper.make_tensor("to", TensorProto.INT64, [2], [2, 3]))
    save(
        helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10),
        tmp_path / "m.onnx",
    )
    from bench.interfaces.tensors import IOSpec, TensorSpec

    io = IOSpec(
        (TensorSpec("past", "float32", (2, 3)),),
        (TensorSpec("present", "float32", (2, 3)),),
        (("present", "past"),),
    )
    model, target = ModelFile("onnx", tmp_path / "m.onnx", ""), Target()

    def session(prefix: str) -> Any:
        options = ort_session.session_options(target, {}, prefix)
        return ort_session.loaded(model, io, options, [ort_session.CPU])

    with BoundSession(model, target, io, {}, HERE, session) as bound:
        array = np.arange(6, dtype=np.float32).reshape(2, 3) / 7
        (out,) = bound.run(bound.stage({"past": array}))
        assert out.data_type() == "tensor(bfloat16)"


def test_replayed_graphs_have_one_set_of_buffers(kitchen: Kitchen) -> None:
    with opened(kitchen, "cnn", kind=GraphSession) as session:
        assert session.staged_sets == 1
        first, second = (WORKLOADS["cnn"].inputs(1, None, seed) for seed in (1, 2))
        one = session.stage(first)
        assert session.stage(second) is one
        assert verify.judge(kitchen.error("cnn", session), kitchen.band("cnn", "fp32")) == ""


def test_what_ran_is_read_from_the_profile(kitchen: Kitchen) -> None:
    with opened(kitchen, "cnn") as session:
        ran = session.actual()
    assert (ran.precision.value, ran.precision.evidence) == ("fp32", "executed")
    assert (ran.device.value, ran.provider.value) == ("cpu", ort_session.CPU)
    assert ran.settings["nodes_by_provider"] == {ort_session.CPU: 1.0}


# Nodes as profiles of onnxruntime-gpu have them: the provider, the types and shapes, and what the host took.


def node(
    kind: str, provider: str, inputs: dict[str, list[int]], output: dict[str, list[int]], us: int = 9
) -> dict[str, Any]:
    args = {
        "op_name": kind,
        "provider": provider,
        "input_type_shape": [inputs],
        "output_type_shape": [output],
    }
    return {"cat": "Node", "name": f"{kind}_kernel_time", "ts": 0, "dur": us, "args": args}


CONV = node("Conv", "CUDAExecutionProvider", {"float": [1, 3, 32, 32]}, {"float": [1, 8, 32, 32]}, 40)
SHAPE = node("Shape", ort_session.CPU, {"float": [1, 3, 32, 32]}, {"int64": [4]})
GATHER = node("Gather", ort_session.CPU, {"int64": [4]}, {"int64": []})
SCALAR = node("Cast", ort_session.CPU, {"int64": []}, {"float": []})
SOFTMAX = node("Softmax", ort_session.CPU, {"float": [1, 1000]}, {"float": [1, 1000]})
SMALL = node("MatMul", ort_session.CPU, {"float": [1, 4]}, {"float": [1, 2]})
FUSED = node(
    "TRTKernel_graph_main_123_0", "TensorrtExecutionProvider", {"float": [1, 3, 32, 32]}, {"float": [1, 10]}
)


class Options:
    intra_op_num_threads = 1

    class graph_optimization_level:
        name = "ORT_ENABLE_ALL"


def profiled(place: Place, precision: str, nodes: list[dict[str, Any]], use_tf32: str = "0") -> Any:
    """`actual` of a session on a GPU whose profile has these nodes, and whose provider answers so."""

    class Answering:
        def get_provider_options(self) -> dict[str, dict[str, str]]:
            return {"CUDAExecutionProvider": {"use_tf32": use_tf32}, "TensorrtExecutionProvider": {}}

        def get_session_options(self) -> type[Options]:
            return Options

    session = BoundSession.__new__(BoundSession)
    session._place, session._session = place, Answering()
    session._target = Target(device="cuda:0", precision=precision, variant="tensorrt" if place.engine else "")
    session._settings = {}
    session.profile = lambda: [nodes, nodes]  # type: ignore[method-assign]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ort_session, "weights", lambda model: "")
        session._model = ModelFile("onnx", Path(), "")
        return session.actual()


@pytest.mark.parametrize(
    ("nodes", "device"),
    [
        ([CONV], "cuda:0"),
        ([SHAPE, GATHER, SCALAR, CONV], "cuda:0"),
        ([CONV, SOFTMAX], "mixed"),
        ([CONV, SMALL], "mixed"),
        ([SOFTMAX], "mixed"),
        ([GATHER], "cpu"),
    ],
)
def test_what_strays_to_the_host_makes_a_row_mixed(nodes: list[dict[str, Any]], device: str) -> None:
    ran = profiled(GPU, "fp32", nodes)
    assert ran.device.value == device
    assert ran.device.evidence == "executed"
    shares = ran.settings["nodes_by_provider"]
    assert sum(shares.values()) == pytest.approx(1)
    if device == "mixed":
        assert re.search(r"on others: (MatMul|Softmax)", ran.device.detail)


@pytest.mark.parametrize(
    ("precision", "use_tf32", "override", "expected"),
    [
        ("fp32", "0", "", Fact("fp32", "executed")),
        ("fp32", "1", "", Fact("tf32", "reported")),
        ("fp32", "1", "0", Fact("fp32", "executed")),
        ("tf32", "1", "", Fact("tf32", "reported")),
        ("tf32", "1", "0", Fact("fp32", "executed")),
    ],
)
def test_tf32_is_told_from_fp32(
    monkeypatch: pytest.MonkeyPatch, precision: str, use_tf32: str, override: str, expected: Fact
) -> None:
    monkeypatch.setenv("NVIDIA_TF32_OVERRIDE", override)
    found = profiled(GPU, precision, [CONV], use_tf32).precision
    assert (found.value, found.evidence) == (expected.value, expected.evidence)
    assert "TF32 is" in found.detail


@pytest.mark.parametrize(
    ("precision", "override", "value"),
    [("fp32", "0", "fp32"), ("fp32", "", "tf32"), ("fp16", "0", "fp16"), ("int8:native", "0", "int8")],
)
def test_of_an_engine_only_what_it_was_told_is_known(
    monkeypatch: pytest.MonkeyPatch, precision: str, override: str, value: str
) -> None:
    monkeypatch.setenv("NVIDIA_TF32_OVERRIDE", override)
    ran = profiled(ENGINE, precision, [FUSED])
    assert (ran.precision.value, ran.precision.evidence) == (value, "reported")
    assert ran.device.value == "cuda:0"


class Driver:
    """Answers as libcuda does, and writes down what it was asked for."""

    def __init__(self, failing: str = "") -> None:
        self.calls: list[str] = []
        self.failing = failing

    def __getattr__(self, name: str) -> Any:
        return partial(self._called, name)

    def _called(self, name: str, *arguments: Any) -> int:
        self.calls.append(name)
        if name == "cuEventElapsedTime":
            arguments[0]._obj.value = 1.25  # milliseconds
        return 700 if name == self.failing else 0


def test_the_clock_stands_around_what_it_times() -> None:
    driver = Driver()
    clock = Clock(0, driver)
    assert driver.calls == [
        "cuDeviceGet",
        "cuDevicePrimaryCtxRetain",
        "cuCtxSetCurrent",
        "cuStreamCreate",
        *["cuEventCreate"] * 2,
    ]
    driver.calls.clear()
    clock.begin()
    clock.end()
    assert clock.ns() == 1_250_000
    assert driver.calls == ["cuEventRecord", "cuEventRecord", "cuStreamSynchronize", "cuEventElapsedTime"]
    clock.close()


@pytest.mark.parametrize("failing", ["cuStreamCreate", "cuStreamSynchronize"])
def test_an_error_of_the_driver_has_its_number(failing: str) -> None:
    with pytest.raises(NoDriver, match=f"{failing} failed with CUDA error 700"):
        Clock(0, Driver(failing)).end()
