"""A worker imports the standard library, NumPy, one runtime, and no more of bakeoff than this list."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]

STARTED = """
import json, sys
before = set(sys.modules)
import bench.worker.__main__
from bench.worker.worker import start
from bench.interfaces.backend import Target
from bench.interfaces.case import Case
from bench.interfaces.job import Job
from bench.interfaces.tensors import IOSpec
case = Case("any", "content", 1, None, sys.argv[1], Target(threads=1))
start(Job(case, None, IOSpec((), ())))
print(json.dumps(sorted(set(sys.modules) - before)))
"""
OWN = ("bench", "backends", "workloads", "reports")
INTERFACES = (
    *("axes", "backend", "case", "errors", "job", "options", "plain", "precision", "renamed", "tensors"),
    "workload",
)
ALLOWED = {
    "bench": (),
    "bench.interfaces": INTERFACES,
    "bench.plugins": ("backend_registry", "runtimes", "shadows"),
    "bench.machine": ("cgroups", "topology"),
    "bench.processes": ("answers", "resources", "variables", "wire"),
    "bench.worker": ("disturbance", "kept", "loops", "rotating", "verify", "worker", "__main__"),
    "backends": (),
    "backends.support": ("arrays", "faults", "files", "onnx_file", "profiles", "targets"),
}
MODULES = {*ALLOWED, *(f"{room}.{file}" for room, files in ALLOWED.items() for file in files)}
# Of each backend: its own modules, and the distributions that its runtime brings into the process.
BACKENDS = {
    "null": ({"backends.null", "backends.null.backend"}, {"numpy"}),
    "onnxruntime": (
        {
            *("backends.onnxruntime", "backends.onnxruntime.backend"),
            *("backends.support.ort_packages", "backends.support.ort_session"),
        },
        {"numpy", "onnxruntime"},
    ),
}


@pytest.mark.parametrize("name", BACKENDS)
def test_a_worker_holds_no_more_than_the_list(name: str) -> None:
    command = [sys.executable, "-P", "-c", f"import sys; sys.path.insert(0, {str(ROOT)!r})\n{STARTED}", name]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    modules = set(json.loads(done.stdout.splitlines()[-1]))
    own, brings = BACKENDS[name]
    ours = {module for module in modules if module.split(".")[0] in OWN}
    assert ours <= MODULES | own
    others = {module.split(".")[0] for module in modules - ours} - set(sys.stdlib_module_names)
    assert others <= brings


def test_the_list_has_nothing_too_much() -> None:
    """What no worker imports any more leaves the list."""
    seen: set[str] = set()
    for name in BACKENDS:
        code = f"import sys; sys.path.insert(0, {str(ROOT)!r})\n{STARTED}"
        done = subprocess.run([sys.executable, "-P", "-c", code, name], capture_output=True, text=True)
        seen |= set(json.loads(done.stdout.splitlines()[-1]))
    assert seen >= MODULES
