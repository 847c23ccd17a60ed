"""What may stand where: no file of the engine, the workloads or the reports knows a runtime by its name."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from bench.plugins import backend_registry

ROOT = Path(__file__).resolve().parents[2]
# Workloads are defined in PyTorch, and references and bands are its runs: it is named where that is done.
NAMES = set(backend_registry.names("runtime")) - {"torch"}
TOPS = {module.split(".")[0] for name in NAMES for module in backend_registry.get(name).runtime}
MODULES = {name.replace("-", "_") for name in NAMES} | TOPS - {"torch"}
FILES = [path for room in ("bench", "workloads", "reports") for path in sorted((ROOT / room).rglob("*.py"))]


def named(source: str) -> Iterator[str]:
    """Runtimes that code names: imports, identifiers, and strings that are a backend as it is typed. Prose
    may give them as examples."""
    for node in ast.walk(ast.parse(source)):
        found: list[str] = []
        if isinstance(node, ast.Import):
            found = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            found = [node.module or "", *(f"{node.module}.{alias.name}" for alias in node.names)]
        elif isinstance(node, ast.Name):
            found = [node.id]
        elif isinstance(node, ast.Attribute):
            found = [node.attr]
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            spec = backend_registry.SPEC.fullmatch(node.value)
            found = [spec["name"]] if spec else []
        for name in found:
            if set(name.replace("-", "_").lower().split(".")) & MODULES:
                yield f"line {getattr(node, 'lineno', 0)}: {name}"


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_file_outside_backends_names_a_runtime(path: Path) -> None:
    assert list(named(path.read_text())) == []


@pytest.mark.parametrize(
    "code",
    [
        "import onnxruntime as ort",
        "from backends import openvino",
        "from backends.onnxruntime.backend import BACKEND",
        "if case.backend == 'openvino': pass",
        "default = 'onnxruntime:expert==1.31.1'",
        "default = 'onnxruntime-gpu'",
        "x = runtimes.openvino",
    ],
)
def test_the_rule_sees_what_it_forbids(code: str) -> None:
    assert list(named(code))


def test_prose_may_give_an_example() -> None:
    assert not list(named('"""As in `onnxruntime==1.31.1`."""\nhint = "write onnxruntime or openvino"'))


@pytest.mark.parametrize("path", sorted((ROOT / "backends").glob("[a-z]*.py")), ids=lambda path: path.stem)
def test_an_adapter_is_short_or_says_why_not(path: Path) -> None:
    if path.stem in backend_registry.NOT_BACKENDS:
        pytest.skip("not an adapter")
    lines = path.read_text().splitlines()
    said = ast.get_docstring(ast.parse(path.read_text())) or ""
    assert len(lines) < 150 or "Over 150 lines: " in said, f"{len(lines)} lines and no word why"
