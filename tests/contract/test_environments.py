"""Backends that live in an environment of their own pass the contract there, in that one's pytest."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from bench.contract.models import VARIABLE, listing, tiny_model
from bench.environments.locate import find, versions_of
from bench.interfaces.errors import BackendUnavailable, UnsupportedCase
from bench.plugins import backend_registry
from bench.processes.process import code_folder
from tests.contract import test_backends
from tests.contract.suites import MODULES, SUITES
from tests.contract.table import RESULTS


@pytest.mark.parametrize("name", backend_registry.names("runtime"))
def test_it_passes_where_it_lives(name: str, tmp_path: Path, pytestconfig: pytest.Config) -> None:
    there = find(name)
    if there is None:
        pytest.skip(f"{name} has no environment of its own here: bakeoff env create {name} --with pytest")
    try:
        versions_of(["pytest"], there.python)
    except BackendUnavailable:
        pytest.skip(f"no pytest in the environment: bakeoff env create {name} --with pytest")
    backend = backend_registry.get(name)
    suites = {suite: found for suite, found in SUITES.items() if found.backend is backend}
    assert suites, f"no contract suite names {name}"
    models = list(dict.fromkeys(model for found in suites.values() for model in found.models))
    besides = ["tf32"] if any(found.target.device_kind == "cuda" for found in suites.values()) else []
    listing(tmp_path / "made.json", models, backend, besides)
    command = [str(there.python), "-P", "-m", "pytest", "-q", "-ra", "--noconftest", "-c", os.devnull]
    command += ["-p", "no:cacheprovider", "--import-mode=importlib", "-k", " or ".join(suites)]
    command += ["-m", pytestconfig.option.markexpr]
    if RESULTS in os.environ:
        command.append(f"--junitxml={Path(os.environ[RESULTS]).resolve() / name}.xml")
    variables = {
        **os.environ,
        **backend.environment(test_backends.SUITE_TARGET),
        "PYTHONPATH": str(code_folder()),
        VARIABLE: str(tmp_path / "made.json"),
    }
    done = subprocess.run(
        [*command, *(str(module.__file__) for module in MODULES)],
        capture_output=True,
        text=True,
        env=variables,
        cwd=tmp_path,
    )
    print(done.stdout[-4000:])
    assert done.returncode == 0, done.stdout[-8000:] + done.stderr[-2000:]
    assert " passed" in done.stdout


@pytest.mark.parametrize("model", ["cnn", "encoder"])
def test_ctranslate2_has_no_place_for_other_layouts(model: str) -> None:
    if find("ctranslate2") is None:
        pytest.skip("bakeoff env create ctranslate2")
    with pytest.raises(UnsupportedCase, match="of its own layout alone: its specification wants model"):
        tiny_model(model).file("ctranslate2")
