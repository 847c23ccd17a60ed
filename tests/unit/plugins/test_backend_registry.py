from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from bench.interfaces.backend import Backend
from bench.interfaces.errors import BackendUnavailable, UsageError
from bench.plugins import backend_registry

AddDistribution = Callable[[str, str], None]


@pytest.fixture
def add_distribution(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[AddDistribution]:
    """Installs another distribution's backend: a module with that code, and its entry point."""

    def add(name: str, code: str) -> None:
        (tmp_path / f"{name}_module.py").write_text(code)
        info = tmp_path / f"{name}-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}-dist\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text(
            f"[{backend_registry.GROUP}]\n{name} = {name}_module:BACKEND\n"
        )

    def forget() -> None:
        backend_registry._entry_points.cache_clear()
        backend_registry.get.cache_clear()

    monkeypatch.syspath_prepend(tmp_path)
    forget()
    yield add
    forget()


def test_names_by_role() -> None:
    assert {"torch", "onnxruntime", "openvino"} <= set(backend_registry.names("runtime"))
    assert backend_registry.names("overhead") == ["null"]
    assert backend_registry.names("anchor") == ["anchor"]
    assert backend_registry.names("test") == ["reference"]
    assert not set(backend_registry.names()) & {"base", "registry", "contract", "support", "_tiny"}


def test_every_backend_bears_the_name_of_its_module() -> None:
    for name in backend_registry.names():
        backend = backend_registry.get(name)
        assert isinstance(backend, Backend)
        assert backend.name == name


def test_a_hyphen_in_a_name_is_an_underscore_in_its_module() -> None:
    assert backend_registry.get("onnxruntime-gpu").__class__.__module__ == "backends.onnxruntime_gpu.backend"
    with pytest.raises(UsageError, match="no backend 'onnxruntime_gpu'"):
        backend_registry.get("onnxruntime_gpu")


def test_finding_backends_imports_no_runtime() -> None:
    code = (
        "import json, sys; from bench.plugins import backend_registry as registry; registry.names('runtime')"
    )
    heavy = "{'torch', 'onnxruntime', 'openvino', 'pandas', 'pydantic', 'pytest'}"
    code += f"; print(json.dumps(sorted(set(sys.modules) & {heavy})))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == []


@pytest.mark.parametrize(
    ("name", "says"), [("onnxruntme", "did you mean 'onnxruntime'?"), ("base", "known: anchor")]
)
def test_unknown_name(name: str, says: str) -> None:
    with pytest.raises(UsageError, match=f"no backend '{name}'") as caught:
        backend_registry.get(name)
    assert says in caught.value.hint


@pytest.mark.parametrize(
    ("spec", "parsed"),
    [
        ("onnxruntime", ("onnxruntime", "", None)),
        ("onnxruntime==1.31.1", ("onnxruntime", "", "1.31.1")),
        ("onnxruntime-gpu:tensorrt-rtx==1.31.1", ("onnxruntime-gpu", "tensorrt-rtx", "1.31.1")),
        ("torch==2.13.0+cpu", ("torch", "", "2.13.0+cpu")),
    ],
)
def test_parse(spec: str, parsed: tuple[str, str, str | None]) -> None:
    assert backend_registry.parse(spec) == parsed


@pytest.mark.parametrize(
    ("spec", "says"),
    [
        ("torch:compil", "no variant 'compil'"),
        ("troch", "no backend 'troch'"),
        ("torch=2", "cannot be read"),
        ("torch:", "cannot be read"),
        ("", "cannot be read"),
    ],
)
def test_parse_refuses(spec: str, says: str) -> None:
    with pytest.raises(UsageError, match=says) as caught:
        backend_registry.parse(spec)
    assert caught.value.hint


def test_requirements() -> None:
    assert [line.split(">")[0] for line in backend_registry.requirements("onnxruntime")] == ["onnxruntime"]
    assert backend_registry.requirements("onnxruntime-gpu") == ["onnxruntime-gpu[cuda,cudnn]>=1.30,<2"]
    assert backend_registry.requirements("null") == []


def test_entry_point_is_found_with_its_variants(add_distribution: AddDistribution) -> None:
    add_distribution(
        "mine",
        "from backends.null.backend import NullBackend\n"
        "class Mine(NullBackend):\n"
        "    name, variants, role = 'mine', {'': 'plain', 'fast': 'faster'}, 'runtime'\n"
        "BACKEND = Mine()\n",
    )
    assert "mine" in backend_registry.names()
    assert "mine" in backend_registry.names("runtime")
    assert backend_registry.parse("mine:fast==2") == ("mine", "fast", "2")
    with pytest.raises(UsageError, match="no variant 'fats'") as caught:
        backend_registry.parse("mine:fats")
    assert "did you mean 'fast'?" in caught.value.hint


def test_a_backend_of_the_package_goes_before_an_entry_point(add_distribution: AddDistribution) -> None:
    add_distribution("null", "BACKEND = 1")
    assert backend_registry.get("null").role == "overhead"
    assert backend_registry.names().count("null") == 1


@pytest.mark.parametrize("code", ["import no_such_module", "BACKEND = 1"])
def test_a_broken_entry_point_is_named_and_hides_no_other(
    add_distribution: AddDistribution, code: str
) -> None:
    add_distribution("broken", code)
    with pytest.raises(BackendUnavailable, match="'broken'") as caught:
        backend_registry.get("broken")
    assert caught.value.hint
    with pytest.warns(UserWarning, match="broken"):
        assert "torch" in backend_registry.names("runtime")
