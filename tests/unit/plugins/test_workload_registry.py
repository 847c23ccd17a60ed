from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from bench.interfaces.errors import UsageError
from bench.interfaces.workload import Workload, content_hash
from bench.plugins import workload_registry

PLUGIN = Path(__file__).parents[2] / "plugin"


def test_what_is_here_satisfies_the_interface() -> None:
    assert {"resnet50", "minilm-l6"} <= set(workload_registry.names())
    for name in workload_registry.names():
        workload = workload_registry.get(name)
        assert isinstance(workload, Workload)
        assert workload.name == name
        io = workload.io(2, workload.default_length)
        arrays = workload.inputs(2, workload.default_length, 0)
        assert {t.name: (t.shape, t.dtype) for t in io.inputs} == {
            name: (array.shape, str(array.dtype)) for name, array in arrays.items()
        }


def test_an_unknown_name() -> None:
    with pytest.raises(UsageError, match=r"'resnet5O'.*did you mean 'resnet50'\?"):
        workload_registry.get("resnet5O")


def test_contents_differ() -> None:
    first, second = workload_registry.get("resnet50"), workload_registry.get("minilm-l6")
    assert content_hash(first) != content_hash(second)
    assert content_hash(first) != content_hash(first, "ab" * 32)
    assert content_hash(first) == content_hash(first)


def test_scanning_imports_no_torch() -> None:
    code = (
        "import sys; from bench.plugins.workload_registry import names; names(); "
        "print('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


@pytest.fixture
def other_distribution(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    info = tmp_path / "other-1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: other\nVersion: 1\n")
    (info / "entry_points.txt").write_text("[bakeoff.workloads]\nother = other_workloads:ALL\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(workload_registry, "_found", workload_registry._found.__wrapped__)
    return tmp_path / "other_workloads.py"


def test_another_distributions_workload(other_distribution: Path) -> None:
    other_distribution.write_text(
        "from workloads.cnn import ResNet, ResNetConfig\nALL = (ResNet('other', 'theirs', ResNetConfig()),)\n"
    )
    assert "other" in workload_registry.names()
    assert workload_registry.get("other").summary == "theirs"
    assert workload_registry.door("other") == "plugin"
    assert workload_registry.door("resnet50") == "built-in"


@pytest.mark.parametrize(
    ("code", "says"),
    [
        ("import no_such_module", "no_such_module"),
        ("from workloads.cnn import WORKLOADS as ALL", "second workload named 'resnet50'"),
    ],
)
def test_another_distributions_mistake(other_distribution: Path, code: str, says: str) -> None:
    other_distribution.write_text(code + "\n")
    sys.modules.pop("other_workloads", None)
    with pytest.raises(UsageError, match=says):
        workload_registry.names()
