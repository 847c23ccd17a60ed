"""Workers of the real runtimes: what they import, what they prove, and a model that was tampered with."""

from __future__ import annotations

import os
import random
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from bench.api import silent
from bench.interfaces.backend import Target
from bench.interfaces.case import Case
from bench.interfaces.job import Job
from bench.interfaces.plain import as_dict
from bench.measure.link import Failure, Link
from bench.measure.turns import Limits, Seat, measure_part
from bench.plugins import backend_registry
from bench.prepare.graph import content_for
from bench.prepare.prepare import Prepared, prepare
from bench.processes.process import guard
from tests.e2e.conftest import PLUGIN

pytestmark = pytest.mark.slow
FORBIDDEN = ("/torch/", "/pandas/", "/pydantic_core/", "/scipy/", "/onnx/", "/openvino/")


def case(backend: str, precision: str = "fp32") -> Case:
    content = content_for("tiny-cnn")
    return Case("tiny-cnn", content, 1, None, backend, Target(threads=1, precision=precision))


@pytest.fixture(scope="module", autouse=True)
def tiny(environment: dict[str, str]):
    """The plugin and the session's cache, for this process and what it starts."""
    from bench.plugins import workload_registry as workloads

    patch = pytest.MonkeyPatch()
    patch.syspath_prepend(str(PLUGIN))
    for name in ("PYTHONPATH", "BAKEOFF_CACHE"):
        patch.setenv(name, environment[name])
    workloads._found.cache_clear()
    with guard():
        yield
    patch.undo()
    workloads._found.cache_clear()


def ready(one: Case) -> Prepared:
    found = prepare([one], silent)[one.id]
    assert not found.error, found.error
    return found


def seat(one: Case, found: Prepared, path: Path | None = None) -> Seat:
    model = found.model if path is None else replace(found.model, path=path)
    band = (found.band.low, found.band.high)
    warmup = {"least_s": 0.05, "most_s": 0.3}
    job = Job(one, model, found.io, found.inputs, found.reference, band, burst_ns=20_000_000, warmup=warmup)
    return Seat(job, {"OMP_NUM_THREADS": "1"})


def measured(*seats: Seat):
    return measure_part(
        seats, replicate=0, part=0, rounds=2, limits=Limits(), order=random.Random(0), listener=silent
    ).blocks


def tampered(path: Path, folder: Path) -> Path:
    """The same ONNX file with the sign of one weight of its first convolution turned."""
    import onnx
    from onnx import numpy_helper

    model = onnx.load(path)
    convolution = next(node for node in model.graph.node if node.op_type == "Conv")
    for tensor in model.graph.initializer:
        if tensor.name == convolution.input[1]:
            weights = numpy_helper.to_array(tensor).copy()
            weights.flat[weights.size // 2] *= -1
            tensor.CopyFrom(numpy_helper.from_array(weights, tensor.name))
    onnx.save(model, folder / "model.onnx")
    return folder / "model.onnx"


@pytest.mark.skipif(sys.platform != "linux", reason="what a process holds is read from /proc")
def test_an_onnxruntime_worker_holds_onnxruntime_and_numpy_alone() -> None:
    one = case("onnxruntime")
    link = Link(seat(one, ready(one)).job)
    try:
        link.ask("start", 60, job=link.job)
        for command in ("load", "verify", "warm", "burst", "finish", "actual"):
            link.ask(command, 60)
        mapped = Path(f"/proc/{link.process.pid}/maps").read_text()
    finally:
        link.end()
    assert "/onnxruntime/" in mapped
    assert "/numpy/" in mapped
    assert [name for name in FORBIDDEN if name in mapped] == []


@pytest.mark.parametrize("backend", ["torch", "onnxruntime", "openvino"])
def test_no_runtime_leaves_a_trace_of_telemetry(
    backend: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What it would report its use with (an id, a queue) lies in the home folder."""
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("CI", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    one = case(backend)
    place = seat(one, ready(one))
    (block,) = measured(replace(place, environment=backend_registry.get(backend).environment(one.target)))
    assert block.status == "ok", block.reason
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_every_runtime_is_verified_and_proven() -> None:
    seats = [seat(one, ready(one)) for one in map(case, ("torch", "onnxruntime", "openvino"))]
    for block in measured(*seats):
        assert block.status == "ok", block.reason
        for when in ("before", "after"):
            assert 0 < block.verification[when]["error"] <= block.verification["high"]
        assert block.actual["precision"]["value"] == "fp32"
        assert block.actual["precision"]["evidence"] == "executed"
        assert block.actual["device"]["value"] == "cpu"
        assert block.actual["threads"]["value"] == "1"
        assert as_dict(block.versions)


def test_what_can_be_compared_with_nothing_is_measured_and_unverified() -> None:
    one = case("onnxruntime")
    place = seat(one, ready(one))
    (block,) = measured(replace(place, job=replace(place.job, reference=None, band=None)))
    assert (block.status, block.reason) == ("unverified", "there is nothing to compare its outputs with")
    assert block.host_ns.size
    assert block.verification == {}
    assert block.actual["precision"]["evidence"] == "executed"


@pytest.mark.parametrize("backend", ["onnxruntime", "openvino"])
def test_one_turned_weight_is_a_wrong_output(backend: str, tmp_path: Path) -> None:
    one = case(backend)
    found = ready(one)
    (block,) = measured(seat(one, found, tampered(found.model.path, tmp_path)))
    assert block.status == "wrong-output"
    assert "over the band" in block.reason
    assert block.bursts  # measured and shown all the same


@pytest.mark.parametrize("backend", ["torch", "onnxruntime", "openvino"])
def test_a_broken_model_file_is_a_row_that_names_it(backend: str, tmp_path: Path) -> None:
    one = case(backend)
    path = tmp_path / "model.bin"
    path.write_bytes(os.urandom(2000))
    (block,) = measured(seat(one, ready(one), path))
    assert block.status == "failed"
    assert "model.bin" in block.reason


@pytest.mark.parametrize("precision", ["fp16", "bf16"])
def test_a_precision_that_openvino_accepts_and_does_not_run_is_refused(precision: str) -> None:
    one = case("openvino")
    job = seat(one, ready(one)).job
    asked = replace(job, case=replace(one, target=replace(one.target, precision=precision)))
    link = Link(asked)
    refusal = None
    try:
        link.ask("start", 60, job=link.job)
        try:
            link.ask("load", 60)
        except Failure as failure:
            refusal = failure
        else:  # a CPU that computes it: then the execution graph must say so
            assert link.ask("actual", 60)["actual"]["precision"]["value"] == precision
    finally:
        link.end()
    if refusal is not None:
        assert refusal.status == "unsupported"
        assert "hint" in refusal.reason
