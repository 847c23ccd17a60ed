"""A backend is a folder: deleted, it is gone and nothing else; one more is one backend more."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from bench.plugins import backend_registry

ROOT = Path(__file__).parents[2]
PACKAGES = ("bench", "backends", "workloads", "reports")
RUN = ("-m", "bench", "run", "--workload", "tiny-cnn", "--precision", "fp32", "--threads", "1")
RUN += ("--budget", "4s", "--backend")
LOOK = """
from bench.plugins import backend_registry, converter_registry, workload_registry
from bench.suite.suite import load_suite
print(*backend_registry.names(), *backend_registry.names("runtime"))
print(*(entry.name for name in ("quick", "cpu-all", "gpu-quick") for entry in load_suite(name).backends))
print(len(converter_registry.converters()), len(workload_registry.names()))
from bench.environments.setup import runtimes
print(*runtimes())
"""


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """bakeoff's packages, copied: what is done to them is done to nobody else."""
    for package in PACKAGES:
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / package, tmp_path / "copy" / package, ignore=ignored)
    return tmp_path / "copy"


def called(copy: Path, environment: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    """Python in an empty folder, with the copy before what is installed."""
    folder = copy.parent / "here"
    folder.mkdir(exist_ok=True)
    path = os.pathsep.join((str(copy), environment["PYTHONPATH"]))
    return subprocess.run(
        [sys.executable, "-P", *arguments],
        cwd=folder,
        env={**environment, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def test_every_folder_can_be_deleted(copy: Path, environment: dict[str, str]) -> None:
    for name in backend_registry.names():
        folder = copy / "backends" / name.replace("-", "_")
        aside = folder.rename(copy.parent / "aside")
        done = called(copy, environment, "-c", LOOK)
        assert done.returncode == 0, f"without {name}: {done.stderr}"
        assert done.stderr == "", f"without {name}: {done.stderr}"
        assert name not in done.stdout.split()
        aside.rename(folder)


@pytest.mark.slow
def test_without_a_folder_all_else_works(copy: Path, environment: dict[str, str]) -> None:
    shutil.rmtree(copy / "backends" / "openvino")
    listed = called(copy, environment, "-m", "bench", "list", "backends")
    assert listed.returncode == 0, listed.stderr
    assert "onnxruntime" in listed.stdout
    assert "openvino" not in listed.stdout
    doctor = called(copy, environment, "-m", "bench", "doctor")
    assert doctor.returncode in (0, 1), doctor.stderr
    assert "openvino" not in doctor.stdout
    done = called(copy, environment, *RUN, "torch,onnxruntime")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "onnxruntime" in done.stdout
    gone = called(copy, environment, "-m", "bench", "run", "--workload", "tiny-cnn", "--backend", "openvino")
    assert gone.returncode == 2
    assert "no backend 'openvino'" in gone.stderr


@pytest.mark.slow
def test_one_more_folder_is_one_backend_more(copy: Path, environment: dict[str, str]) -> None:
    mine = copy / "backends" / "one_more"
    shutil.copytree(copy / "backends" / "onnxruntime", mine)
    file = mine / "backend.py"
    file.write_text(file.read_text().replace('name = "onnxruntime"', 'name = "one-more"'))
    listed = called(copy, environment, "-m", "bench", "list", "backends")
    assert "one-more" in listed.stdout, listed.stderr
    probed = called(copy, environment, "-m", "bench.worker", "--probe", "one-more")
    assert '"ok": true' in probed.stdout, probed.stderr
    done = called(copy, environment, *RUN, "onnxruntime,one-more")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "one-more" in done.stdout
