"""A traced module in a file: what comes back is the same graph, and nothing else."""

from __future__ import annotations

import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from backends.torch import graph
from bench.interfaces.backend import Target
from bench.interfaces.errors import ModelFileError
from bench.interfaces.tensors import IOSpec, ModelFile, TensorSpec
from bench.plugins import backend_registry


class Mixed(nn.Module):
    """Tied weights, a constant, sizes computed from an open axis, two outputs, infinities, a dtype."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(6, 6), nn.Linear(6, 6)
        self.second.weight = self.first.weight
        self.register_buffer("steps", torch.arange(6.0))

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        batch, length, width = x.shape
        hidden = self.second(self.first(x)).reshape(batch * length, width)
        left, right = (hidden + self.steps).view(batch, length, 2, width // 2).unbind(2)
        ceiling = torch.full((batch, length, 1), float("inf"), dtype=torch.float32, device=x.device)
        return torch.cat([left.minimum(ceiling), right], dim=-1), hidden.to(torch.float64)


@pytest.fixture(scope="module")
def program() -> torch.export.ExportedProgram:
    torch.manual_seed(0)
    dims = {0: torch.export.Dim("batch", min=1, max=8), 1: torch.export.Dim("length", min=1, max=9)}
    return torch.export.export(Mixed().eval(), (torch.randn(2, 3, 6),), dynamic_shapes=(dims,))


@pytest.fixture(scope="module")
def path(program: torch.export.ExportedProgram, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("graph") / "graph.pt"
    graph.save(program, path)
    return path


@pytest.mark.parametrize("shape", [(2, 3, 6), (1, 1, 6), (5, 9, 6)])
def test_it_computes_the_same_bits(
    program: torch.export.ExportedProgram, path: Path, shape: tuple[int, ...]
) -> None:
    module = graph.load(path, "cpu")
    x = torch.randn(shape)
    for found, expected in zip(module(x), program.module()(x), strict=True):
        assert found.dtype == expected.dtype
        assert torch.equal(found, expected)
    assert not any(parameter.requires_grad for parameter in module.parameters())


def test_tied_weights_stay_one(path: Path) -> None:
    module = graph.load(path, "cpu")
    weights = [tensor for name, tensor in module.state_dict().items() if "weight" in name]
    assert len({tensor.data_ptr() for tensor in weights}) == 1


def test_it_goes_to_a_device_with_all_that_it_makes(path: Path) -> None:
    module = graph.load(path, "meta")
    assert {tensor.device.type for tensor in module.state_dict().values()} == {"meta"}
    assert {out.device.type for out in module(torch.empty(2, 3, 6, device="meta"))} == {"meta"}


def test_no_exporter_is_imported_to_read_it(path: Path) -> None:
    code = (
        "import sys, torch; from pathlib import Path; from backends.torch import graph; "
        f"graph.load(Path({str(path)!r}), 'cpu'); "
        "print(sorted({'torch._dynamo', 'torch._export.serde', 'sympy'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


class Branching(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.cond(x.sum() > 0, lambda x: x + 1, lambda x: x - 1, (x,))


def test_control_flow_is_refused_by_name(tmp_path: Path) -> None:
    program = torch.export.export(Branching(), (torch.randn(3),))
    with pytest.raises(ModelFileError, match="calls cond") as caught:
        graph.save(program, tmp_path / "graph.pt")
    assert caught.value.hint


class Evil:
    def __reduce__(self) -> Any:
        return (print, ("run",))


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ({"nodes": [("call_function", "a", "os:system", ("true",), {})], "tensors": {}}, "may not call"),
        (
            {"nodes": [("call_function", "a", "load_library", ("evil.so",), {})], "tensors": {}},
            "may not call",
        ),
        ({"nodes": [], "tensors": Evil()}, "graph.pt"),
        ({"nodes": [("call_function", "a", "aten.no_such.default", (), {})], "tensors": {}}, "graph.pt"),
    ],
)
def test_a_foreign_file_runs_nothing(
    tmp_path: Path, content: Any, says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "graph.pt"
    torch.save(content, path, pickle_module=pickle)
    spec = TensorSpec("x", "float32", (1, 3))
    with pytest.raises(ModelFileError, match=says):
        backend_registry.get("torch").load(
            ModelFile("torch-graph", path, ""), Target(), IOSpec((spec,), (spec,))
        )
    assert capsys.readouterr().out == ""
