"""Backends that live in an environment of their own pass the contract there, in that one's pytest."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from backends import registry
from backends._tiny import VARIABLE, listing
from backends.contract import BackendContract
from bench.environments import find, versions_of
from bench.errors import BackendUnavailable
from bench.processes import code_folder
from tests.contract import test_backends

HERE = Path(__file__).parent
SUITES = {
    name: suite
    for name, suite in vars(test_backends).items()
    if isinstance(suite, type) and issubclass(suite, BackendContract) and hasattr(suite, "backend")
}


@pytest.mark.parametrize("name", registry.names("runtime"))
def test_it_passes_where_it_lives(name: str, tmp_path: Path, pytestconfig: pytest.Config) -> None:
    there = find(name)
    if there is None:
        pytest.skip(f"{name} has no environment of its own here: bakeoff env create {name} --with pytest")
    try:
        versions_of(["pytest"], there.python)
    except BackendUnavailable:
        pytest.skip(f"no pytest in the environment: bakeoff env create {name} --with pytest")
    backend = registry.get(name)
    listing(tmp_path / "made.json", backend.formats, backend.quantised)
    classes = [suite for suite, found in SUITES.items() if found.backend is backend]
    assert classes, f"no contract suite names {name}"
    command = [str(there.python), "-P", "-m", "pytest", "-q", "-ra", "--noconftest", "-c", os.devnull]
    command += ["-p", "no:cacheprovider", "--import-mode=importlib", "-k", " or ".join(classes)]
    command += ["-m", pytestconfig.option.markexpr]
    variables = {
        **os.environ,
        **backend.environment(test_backends.SUITE_TARGET),
        "PYTHONPATH": str(code_folder()),
        VARIABLE: str(tmp_path / "made.json"),
    }
    done = subprocess.run(
        [*command, str(HERE / "test_backends.py")],
        capture_output=True,
        text=True,
        env=variables,
        cwd=tmp_path,
    )
    print(done.stdout[-4000:])
    assert done.returncode == 0, done.stdout[-8000:] + done.stderr[-2000:]
    assert " passed" in done.stdout
