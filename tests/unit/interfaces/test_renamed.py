"""A plug-in written against the old import names works, and is told the new ones."""

from __future__ import annotations

import subprocess
import sys
import warnings
from importlib import import_module
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]

# The smallest backend and its contract, and a workload, as they were written before 0.2.
BACKEND = """
from backends import support
from backends.base import Actual, BaseBackend, BaseSession, Capabilities, Fact, IOSpec, ModelFile, Preset
from backends.base import Role, Support, Target
from bench.errors import UnsupportedCase

DEVICES = {"cpu": {"fp32": Support("native", "it computes nothing")}}


class OldSession(BaseSession):
    def __init__(self, target):
        self._target = target

    def stage(self, inputs, onto=None):
        return None

    def run(self, staged):
        return None

    def fetch(self, outputs):
        return {}

    def actual(self):
        facts = {"device": self._target.device, "provider": "old", "threads": str(self._target.threads)}
        known = {name: Fact(value, "none", "nothing runs") for name, value in facts.items()}
        return Actual(precision=Fact(self._target.arithmetic, "none", "nothing runs"), **known)


class OldBackend(BaseBackend):
    name = "old"
    summary = "Written before the house had rooms."
    install = "pip install old"
    role: Role = "overhead"
    presets = {"stock": Preset({}, "there is nothing to set")}

    def probe(self):
        return Capabilities("1.0", DEVICES)

    def load(self, model, target, io):
        support.require(self, target, DEVICES)
        support.settings(self, target, known=())
        return OldSession(target)


BACKEND = OldBackend()
"""
SUITE = """
from backends.contract import BackendContract
from old_plugin import BACKEND


class TestOld(BackendContract):
    backend = BACKEND
"""
CONFTEST = 'pytest_plugins = ["bench.pytest_plugin"]\n'
WORKLOAD = """
from workloads.base import check_range, uneven
from workloads.cnn import ResNet, ResNetConfig

OLD = (ResNet("old-cnn", "of a plug-in", ResNetConfig(blocks=(1, 1), width=24, classes=10, image=32)),)
"""
LOOK = """
import sys, warnings
warnings.simplefilter("always")
from bench.plugins import backend_registry, workload_registry
print(backend_registry.get("old").role, workload_registry.get("old-cnn").unit)
"""


@pytest.fixture
def old(tmp_path: Path) -> Path:
    """Another distribution with a backend and a workload, and a test of its own."""
    about = tmp_path / "old-1.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: old\nVersion: 1.0\n")
    (about / "entry_points.txt").write_text(
        "[bakeoff.backends]\nold = old_plugin:BACKEND\n[bakeoff.workloads]\nold = old_workload:OLD\n"
    )
    (tmp_path / "old_plugin.py").write_text(BACKEND)
    (tmp_path / "old_workload.py").write_text(WORKLOAD)
    (tmp_path / "test_old.py").write_text(SUITE)
    (tmp_path / "conftest.py").write_text(CONFTEST)
    return tmp_path


def called(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


def test_it_is_found_works_and_is_told(old: Path) -> None:
    done = called(old, "-c", f"import sys; sys.path.insert(0, {str(ROOT)!r})\n{LOOK}")
    assert done.stdout.split() == ["overhead", "image"], done.stderr
    for name in ("backends.base.BaseBackend is bench.interfaces.backend.BaseBackend", "bench.errors."):
        assert name in done.stderr
    assert "workloads.base.uneven is bench.interfaces.workload.uneven now" in done.stderr
    assert f"{old / 'old_plugin.py'}:3: DeprecationWarning" in done.stderr, "the line that imports it"


def test_its_contract_passes(old: Path) -> None:
    done = called(old, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_old.py")
    assert done.returncode == 0, done.stdout[-3000:]
    assert " passed" in done.stdout
    assert "backends.support.require is backends.support.targets.require now" in done.stdout
    assert "backends.contract.BackendContract is bench.contract.suite.BackendContract now" in done.stdout


# What each module held, by the last commit that had it.
NAMES = {
    "backends.base": (
        "Array Evidence Role EMULATED TensorSpec IOSpec ModelFile Target Support Devices Capabilities Fact"
        " Actual Preset Session Backend Stepping Timing Measuring BaseSession BaseBackend as_dict"
    ),
    "backends.support": (
        "broken first_line refusals unfit PRECISIONS CPU_FLAGS import_runtime given cpu_flags cpu_computes"
        " usable_cpus tasks products_saturate require since bf16_bits settings place untimed_inputs Operation"
        " PROFILED quickest least weigh"
    ),
    "backends.contract": "Failures PRECISIONS NO_SUCH_DEVICES BackendContract",
    "workloads.base": (
        "CALIBRATION_SEED TIMED_SEED MOST_BATCH Workload uneven check_range content_hash Band Cost"
    ),
    "bench.errors": (
        "MEND EXIT_OK EXIT_GATE EXIT_USAGE EXIT_FAILED EXIT_NOTHING EXIT_INTERRUPTED BakeoffError UsageError"
        " SuiteError ModelFileError PrepareError StoreError BackendUnavailable UnsupportedCase did_you_mean"
    ),
}


@pytest.mark.parametrize("module", NAMES)
def test_every_old_name_leads_somewhere(module: str) -> None:
    for name in NAMES[module].split():
        with pytest.warns(DeprecationWarning, match=rf"^{module}\.{name} is \S+\.{name} now"):
            getattr(import_module(module), name)


@pytest.mark.parametrize("module", NAMES)
def test_an_unknown_name_is_an_attribute_error(module: str) -> None:
    old = import_module(module)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(AttributeError, match=f"module '{module}' has no attribute 'nonesuch'"):
            _ = old.nonesuch
