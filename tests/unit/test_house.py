"""What may stand where: no file of the engine, the workloads or the reports knows a runtime by its name."""

from __future__ import annotations

import ast
import re
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


# Quantisers and their rules by the words that name them, in comments and docstrings too: of a runtime prose
# may give an example, but what a quantiser rounds is its converter's to say (`bench.interfaces.recipe`).
QUANTISERS = re.compile(
    r"TensorRT|Model Optimizer|NNCF|torchao|torch\.ao\b|PT2E|ai[-_ ]edge|XNNPACK|X86Inductor|MatMulNBits"
    r"|quantize_(?:static|dynamic)|MatMulConstBOnly|compress_weights|ONNX Runtime's quantiser|has_kernels",
    re.IGNORECASE,
)
FAMILY = re.compile(r"\.family\b")
LISTS = ROOT / "bench" / "cli" / "listing.py"  # which shows the family, and decides nothing


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_file_outside_backends_states_a_quantisers_rule(path: Path) -> None:
    assert QUANTISERS.findall(path.read_text()) == []


def test_nothing_is_decided_by_a_models_family() -> None:
    """A family of somebody else's would fall under another's rule: `bench.interfaces.workload.traits` tells
    what is asked for."""
    files = [*(ROOT / "bench").rglob("*.py"), *(ROOT / "backends").rglob("*.py")]
    assert [path for path in files if FAMILY.search(path.read_text()) and path != LISTS] == []


@pytest.mark.parametrize(
    "text",
    [
        "# NVIDIA Model Optimizer leaves these alone",
        '"""Whether TensorRT has kernels."""',
        "fp8_has_kernels(shape, groups)",
        "# ONNX Runtime's quantiser is told to leave sums alone",
        "from torchao.quantization import quantize_",
        "nncf.quantize(model)",
    ],
)
def test_the_rule_of_quantisers_sees_what_it_forbids(text: str) -> None:
    assert QUANTISERS.search(text)
    assert not FAMILY.search(text)


@pytest.mark.parametrize("text", ['if job.workload.family == "cnn":', "family = workload.family"])
def test_the_rule_of_families_sees_what_it_forbids(text: str) -> None:
    assert FAMILY.search(text)


BACKENDS = sorted(path.parent for path in (ROOT / "backends").glob("*/backend.py"))


def imported(source: str) -> Iterator[str]:
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def others(source: str, name: str) -> list[str]:
    """What of other backends' folders a file imports: deleting one folder would break another."""
    folders = [f"backends.{folder.name}." for folder in BACKENDS if folder.name != name]
    return [module for module in imported(source) if f"{module}.".startswith(tuple(folders))]


@pytest.mark.parametrize("folder", BACKENDS, ids=lambda folder: folder.name)
def test_a_backend_knows_no_other(folder: Path) -> None:
    assert [one for path in folder.rglob("*.py") for one in others(path.read_text(), folder.name)] == []


@pytest.mark.parametrize("shared", ["formats", "support"])
def test_what_backends_share_knows_none_of_them(shared: str) -> None:
    files = (ROOT / "backends" / shared).rglob("*.py")
    assert [one for path in files for one in others(path.read_text(), "")] == []


def test_the_rule_of_folders_sees_what_it_forbids() -> None:
    assert others("from backends.torch import graph", "iree") == ["backends.torch.graph"]
    assert others("def f():\n    import backends.torch.graph", "iree") == ["backends.torch.graph"]
    assert not others("from backends.torch import graph", "torch")


def test_backends_has_folders_of_backends_and_what_they_share() -> None:
    """Beside them two old names, until 0.3."""
    found = {file.relative_to(ROOT / "backends").parts[0] for file in (ROOT / "backends").rglob("*.py")}
    own = {folder.name for folder in BACKENDS}
    assert found - own == {"formats", "support", "__init__.py", "base.py", "contract.py"}
    assert not [path for folder in BACKENDS for path in folder.rglob("_[a-z]*.py")]


def test_every_room_of_the_engine_has_its_floor() -> None:
    layers = (ROOT / ".importlinter").read_text().split("layers =")[1].split("[importlinter")[0]
    rooms = {path.parent.name for path in (ROOT / "bench").glob("*/__init__.py")}
    files = {path.stem for path in (ROOT / "bench").glob("*.py")} - {"__init__", "errors"}  # an old name
    assert set(re.findall(r"bench\.(\w+)", layers)) == rooms | files
    assert len(rooms) <= 20
    assert len(files) <= 8


@pytest.mark.parametrize("folder", BACKENDS, ids=lambda folder: folder.name)
def test_an_adapter_is_short_or_says_why_not(folder: Path) -> None:
    source = (folder / "backend.py").read_text()
    said = ast.get_docstring(ast.parse(source)) or ""
    lines = len(source.splitlines())
    assert lines < 150 or "Over 150 lines: " in said, f"{lines} lines and no word why"


LONGEST = 60  # lines of a function, with its head and its docstring
PRODUCTION = [
    path
    for room in ("bench", "backends", "workloads", "reports", "tools")
    for path in sorted((ROOT / room).rglob("*.py"))
]


def long_functions(source: str) -> dict[str, int]:
    """Name → lines of the functions that are longer than LONGEST."""
    functions = (
        node
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    )
    lines = ((node.name, (node.end_lineno or node.lineno) - node.lineno + 1) for node in functions)
    return {name: count for name, count in lines if count > LONGEST}


def test_no_function_is_long() -> None:
    found = {
        f"{path.relative_to(ROOT)}:{name}": count
        for path in PRODUCTION
        for name, count in long_functions(path.read_text()).items()
    }
    assert found == {}


def test_the_rule_of_lengths_sees_what_it_forbids() -> None:
    body = "\n".join("        x = 1" for _ in range(LONGEST - 1))
    assert long_functions(f"class A:\n    def f(self):\n{body}\n") == {}
    assert long_functions(f"class A:\n    def f(self):\n{body}\n        x = 2\n") == {"f": LONGEST + 1}
    long = f"class A:\n    def f(self):\n{body}\n        x = 2\nclass B:\n    def f(self): ...\n"
    assert long_functions(long) == {"f": LONGEST + 1}  # one of the same name hides none
