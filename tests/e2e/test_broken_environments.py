"""A runtime that is missing or broken is one row that says how to mend it; the others stay as they were."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from backends import registry
from bench.environments import installed_versions
from bench.setups import runtimes

SPEC = "onnxruntime==1.30.0"
BESIDE = "torch,onnxruntime,openvino"
AGAIN = f"bakeoff env create {SPEC} --again"


def statuses(bakeoff, backends: str, *more: str) -> dict[str, tuple[str, str]]:
    """Backend as typed → (status, reason) of a short run."""
    asked = ("--workload", "tiny-cnn", "--threads", "1", "--backend", backends, "--budget", "1m")
    done = bakeoff("run", *asked, *more)
    assert "Traceback" not in done.stderr, done.stderr
    shown = json.loads(bakeoff("show", "--json").stdout)["rows"]
    rows = [row for row in shown if row["workload"] == "tiny-cnn"]
    assert len(rows) == len(backends.split(","))
    found = {}
    for row in rows:
        named = f"{row['backend']}=={row['version']}"
        found[named if named == SPEC else row["backend"]] = (row["status"], row["reason"] or "")
    return found


def without_the_package(folder: Path) -> None:
    (package,) = folder.glob("lib/python3*/site-packages/onnxruntime")
    shutil.rmtree(package)


def without_numpy(folder: Path) -> None:
    (package,) = folder.glob("lib/python3*/site-packages/numpy")
    shutil.rmtree(package)


def with_a_broken_library(folder: Path) -> None:
    (library,) = folder.glob("lib/python3*/site-packages/onnxruntime/capi/onnxruntime_pybind11_state*.so")
    library.write_bytes(b"\x7fELF, and no more")


def without_its_python(folder: Path) -> None:
    (folder / "bin" / "python").unlink()
    (folder / "bin" / "python").symlink_to("/nonexistent/python3")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("damage", "mend"),
    [
        (without_the_package, AGAIN),
        (without_numpy, AGAIN),
        (with_a_broken_library, AGAIN),
        (without_its_python, AGAIN.removesuffix(" --again")),
    ],
)
def test_a_broken_environment(
    bakeoff, environment: dict[str, str], damage: Callable[[Path], None], mend: str
) -> None:
    made = bakeoff("env", "create", SPEC, timeout=600)
    assert made.returncode == 0, made.stdout + made.stderr
    everything = f"{BESIDE},{SPEC}"
    before = statuses(bakeoff, everything)
    assert {status for status, _ in before.values()} == {"ok"}, before
    damage(Path(environment["BAKEOFF_CACHE"]) / "environments" / SPEC)
    after = statuses(bakeoff, everything)
    status, reason = after.pop(SPEC)
    assert status == "missing"
    assert mend in reason
    assert {status for status, _ in after.values()} == {"ok"}, after
    again = bakeoff(*mend.split()[1:], timeout=600)
    assert again.returncode == 0, again.stdout + again.stderr
    assert statuses(bakeoff, everything)[SPEC] == ("ok", "")


@pytest.mark.slow
def test_every_runtime_that_is_not_here_is_one_row(bakeoff) -> None:
    absent = [name for name in runtimes() if not installed_versions(name)]
    assert absent, "every runtime lives beside bakeoff here: nothing to try"
    found = statuses(bakeoff, ",".join(["torch", *absent]))
    assert found.pop("torch")[0] == "ok"
    assert set(found) == set(absent)
    for name, (status, reason) in found.items():
        assert status == "missing"
        assert registry.get(name).install in reason
