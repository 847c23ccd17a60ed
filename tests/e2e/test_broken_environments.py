"""A runtime that is missing or broken is one row that says how to mend it; the others stay as they were."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from bench.environments.locate import installed_versions
from bench.environments.setup import runtimes
from bench.plugins import backend_registry

SPEC = "onnxruntime==1.30.0"
AGAIN = f"bakeoff env create {SPEC} --again"


def statuses(bakeoff, backends: str) -> dict[str, tuple[str, str]]:
    """Backend as typed → (status, reason) of a short run."""
    asked = ("--workload", "tiny-cnn", "--threads", "1", "--precision", "fp32", "--backend", backends)
    done = bakeoff("run", *asked, "--budget", "5s")
    assert done.returncode in (0, 3, 4), done.stderr
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
    library.unlink()  # the installer's cache may hold the same file
    library.write_bytes(b"\x7fELF, and no more")


def without_its_python(folder: Path) -> None:
    (folder / "bin" / "python").unlink()
    (folder / "bin" / "python").symlink_to("/nonexistent/python3")


DAMAGE: tuple[tuple[Callable[[Path], None], str], ...] = (
    (without_the_package, AGAIN),
    (without_numpy, AGAIN),
    (with_a_broken_library, AGAIN),
    (without_its_python, AGAIN.removesuffix(" --again")),
)


@pytest.mark.slow
def test_a_broken_environment(bakeoff, environment: dict[str, str]) -> None:
    both = f"torch,{SPEC}"
    assert bakeoff("env", "create", SPEC, timeout=600).returncode == 0
    assert statuses(bakeoff, both) == {"torch": ("ok", ""), SPEC: ("ok", "")}
    for damage, mend in DAMAGE:
        damage(Path(environment["BAKEOFF_CACHE"]) / "environments" / SPEC)
        after = statuses(bakeoff, both)
        status, reason = after[SPEC]
        assert (status, after["torch"]) == ("missing", ("ok", "")), damage.__name__
        assert mend in reason, damage.__name__
        made = bakeoff(*mend.split()[1:], timeout=600)
        assert made.returncode == 0, made.stdout + made.stderr
    assert statuses(bakeoff, both)[SPEC] == ("ok", "")


@pytest.mark.slow
def test_every_runtime_that_is_not_here_is_one_row(bakeoff) -> None:
    absent = [name for name in runtimes() if not installed_versions(name)]
    assert absent, "every runtime lives beside bakeoff here: nothing to try"
    found = statuses(bakeoff, ",".join(["torch", *absent]))
    assert found.pop("torch")[0] == "ok"
    assert set(found) == set(absent)
    for name, (status, reason) in found.items():
        assert status == "missing"
        assert backend_registry.get(name).install in reason
