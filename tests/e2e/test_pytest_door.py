"""pytest as a person calls it: the project's own benchmarks/, and the tests of somebody else."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
Pytest = Callable[..., subprocess.CompletedProcess[str]]
TINY = ("--bakeoff-workload", "tiny-cnn", "--bakeoff-threads", "1")
# Somebody else's backends: one whose outputs go wrong after a while, one that runs another precision.
BROKEN = """
from dataclasses import replace
from backends.support.ort_session import OnnxRuntimeSession
from backends.onnxruntime.backend import OnnxRuntimeBackend

class DriftingSession(OnnxRuntimeSession):
    fetched = 0
    def fetch(self, outputs):
        self.fetched += 1
        return {k: v + (self.fetched > 30) for k, v in super().fetch(outputs).items()}

class OtherSession(OnnxRuntimeSession):
    def actual(self):
        found = super().actual()
        return replace(found, precision=replace(found.precision, value="bf16"))

class Drifting(OnnxRuntimeBackend):
    name, session = "drifting", DriftingSession
    def load(self, model, target, io):
        return self.session(model, target, io, {})

class Other(Drifting):
    name, session = "other", OtherSession

DRIFTING, OTHER = Drifting(), Other()
"""
TESTS = """
import gc, os, weakref

SEEN = []
BEFORE = (dict(os.environ), os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else ())
BEFORE[0].pop("PYTEST_CURRENT_TEST")

def test_latency(benchmark, bakeoff_case):
    SEEN.append(weakref.ref(bakeoff_case))
    assert os.environ["OMP_NUM_THREADS"] == "1"
    outputs = benchmark.pedantic(bakeoff_case, rounds=50)
    assert outputs["logits"].shape == (1, 10)

def test_without_benchmark(bakeoff_case):
    assert bakeoff_case()["logits"].dtype == "float32"

def test_process_is_as_it_was():
    now = dict(os.environ)
    now.pop("PYTEST_CURRENT_TEST")
    assert (now, os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else ()) == BEFORE

def test_no_model_is_kept():
    gc.collect()
    assert [seen() for seen in SEEN] == [None] * 3
"""
LOOKS_AT_IMPORTS = """
import sys
pytest_plugins = ["bench.pytest_plugin"]

def pytest_collection_finish(session):
    print("IMPORTED", sorted({name.partition(".")[0] for name in sys.modules}))
    print("ENGINE", sorted(name for name in sys.modules if name.startswith("bench.")))
"""


@pytest.fixture
def run_pytest(environment: dict[str, str], tmp_path: Path) -> Pytest:
    """`run_pytest("file.py", …)` in `tmp_path`; the result is not checked."""
    addresses = os.pathsep.join([environment["PYTHONPATH"], str(tmp_path / "site")])

    def call(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-ra", *map(str, arguments)]
        variables = {**environment, "PYTHONPATH": addresses}
        variables.pop("OMP_NUM_THREADS", None)
        return subprocess.run(
            command, cwd=tmp_path, env=variables, capture_output=True, text=True, timeout=300
        )

    return call


def facts(path: Path) -> dict[str, dict[str, Any]]:
    """Backend → extra_info of what pytest-benchmark saved."""
    return {b["extra_info"]["backend"]: b["extra_info"] for b in json.loads(path.read_text())["benchmarks"]}


@pytest.mark.slow
def test_the_projects_own_benchmarks(run_pytest: Pytest, tmp_path: Path) -> None:
    done = run_pytest(
        ROOT / "benchmarks" / "test_backends.py",
        *TINY,
        "--bakeoff-backend=onnxruntime,openvino",
        "--bakeoff-precision=fp32",
        "--bakeoff-precision=tf32",  # which no CPU has, as fp16 some have
        "--benchmark-json=out.json",
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "2 passed, 2 skipped" in done.stdout
    assert "test_latency[tiny-cnn-b1-onnxruntime-fp32-cpu]" in done.stdout
    assert "onnxruntime on cpu has no tf32; it has fp32" in done.stdout
    saved = facts(tmp_path / "out.json")
    assert set(saved) == {"onnxruntime", "openvino"}
    for backend, found in saved.items():
        assert (found["workload"], found["batch"], found["sequence"]) == ("tiny-cnn", 1, None)
        assert found["precision"] == found["precision_ran"] == "fp32"
        assert found["precision_evidence"] == "executed"
        assert found["device"] == found["device_ran"] == "cpu"
        assert found["proof"]["provider"]["value"] == found["provider"]
        assert found["threads"] == int(found["threads_ran"]) == 1
        assert found["boundary"] == "host"
        assert found["version"][0].isdigit()
        assert set(found["verification"]) == {"before", "after"}
        assert 0 < found["error"] <= found["band_high"]
        assert len(found["model_sha256"]) == 64
        assert found["model_format"] == "onnx"
        assert len(found["case_id"]) == 12
        assert found["process_shared_with"] == ([] if backend == "onnxruntime" else ["onnxruntime"])


@pytest.mark.slow
def test_what_is_wrong_fails_and_is_not_saved(run_pytest: Pytest, tmp_path: Path) -> None:
    info = tmp_path / "site" / "broken-1.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: broken\nVersion: 1\n")
    (info / "entry_points.txt").write_text(
        "[bakeoff.backends]\ndrifting = broken:DRIFTING\nother = broken:OTHER\n"
    )
    (tmp_path / "site" / "broken.py").write_text(BROKEN)
    (tmp_path / "conftest.py").write_text('pytest_plugins = ["bench.pytest_plugin"]\n')
    (tmp_path / "test_mine.py").write_text(TESTS)
    backends = "--bakeoff-backend=onnxruntime,reference,drifting,other"
    done = run_pytest("test_mine.py", *TINY, backends, "--benchmark-json=out.json", "--tb=short")
    assert done.returncode == 1, done.stdout + done.stderr
    assert "6 failed, 4 passed" in done.stdout, done.stdout
    for name, says in (
        ("reference", "wrong output before timing: the outputs of 8 verification inputs are the same"),
        ("drifting", "wrong output after timing: error "),
        ("other", "asked for precision fp32, ran bf16 (executed)"),
    ):
        assert f"FAILED test_mine.py::test_latency[tiny-cnn-b1-{name}-fp32-cpu]" in done.stdout
        assert f"tiny-cnn b1 · {name} · fp32 · cpu · 1 thread: {says}" in done.stdout
    assert list(facts(tmp_path / "out.json")) == ["onnxruntime"]


@pytest.mark.parametrize(
    ("option", "says"),
    [
        ("--bakeoff-workload=tiny-cn", "--bakeoff-workload: no workload is named 'tiny-cn'; did you mean"),
        ("--bakeoff-backend=openvin", "--bakeoff-backend: no backend 'openvin'; did you mean 'openvino'?"),
        ("--bakeoff-backend=torch:compil", "backend 'torch' has no variant 'compil'"),
        ("--bakeoff-precision=fp23", "--bakeoff-precision: no precision is named 'fp23'; did you mean"),
        ("--bakeoff-device=c:p:u", "--bakeoff-device: 'c:p:u' is no device"),
        ("--bakeoff-batch=0", "--bakeoff-batch: must be greater than or equal to 1"),
        ("--bakeoff-threads=lots", "--bakeoff-threads: must be a whole number"),
    ],
)
def test_a_mistake_is_a_usage_error(run_pytest: Pytest, option: str, says: str) -> None:
    done = run_pytest(ROOT / "benchmarks" / "test_backends.py", option)
    assert done.returncode == pytest.ExitCode.USAGE_ERROR
    assert says in done.stderr
    assert "Traceback" not in done.stderr + done.stdout


@pytest.mark.parametrize("asks", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_collecting_imports_no_runtime(run_pytest: Pytest, tmp_path: Path, asks: bool) -> None:
    (tmp_path / "conftest.py").write_text(LOOKS_AT_IMPORTS)
    (tmp_path / "test_mine.py").write_text(f"def test({'bakeoff_case' if asks else ''}): pass\n")
    done = run_pytest("test_mine.py", "--collect-only", "-s")
    assert done.returncode == 0, done.stdout + done.stderr
    imported, engine = (
        line for line in done.stdout.splitlines() if line.partition(" ")[0] in ("IMPORTED", "ENGINE")
    )
    for runtime in ("torch", "onnxruntime", "openvino"):
        assert f"'{runtime}'" not in imported
        assert (f"minilm-l6-b1-s128-{runtime}-fp32-cpu" in done.stdout) == asks
    assert ("'pydantic'" in imported) == asks
    if not asks:
        assert engine == "ENGINE ['bench.interfaces', 'bench.interfaces.axes', 'bench.pytest_plugin']"
