"""fp8 of PyTorch: what is multiplied in E4M3, in eager mode and compiled, and what is refused. A CPU widens
it; the operations are those of a GPU."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch.fx import symbolic_trace

from backends.torch import fp8
from backends.torch.backend import _cuda
from bench.interfaces.backend import Target
from bench.interfaces.errors import UnsupportedCase
from bench.plugins import backend_registry
from bench.worker import verify
from tests.helpers.small_models import WORKLOADS, Kitchen

PRECISION = "fp8-dynamic"
ASKED = f"{PRECISION}:emulated"
BACKEND = backend_registry.get("torch")


@pytest.mark.parametrize("variant", ["", "compile"])
@pytest.mark.parametrize("name", ["encoder", "decoder", "prefill"])
def test_it_multiplies_in_e4m3_and_is_within_its_band(
    kitchen: Kitchen, tmp_path: Path, name: str, variant: str
) -> None:
    workload = WORKLOADS[name]
    target, io = Target(precision=ASKED, variant=variant), workload.io(1, workload.default_length)
    file = kitchen.file(name, "torch", PRECISION)
    if variant:
        file = BACKEND.build(file, target, io, tmp_path)
    with BACKEND.load(file, target, io) as session:
        found, ran = kitchen.error(name, session), session.actual()
    assert verify.judge(found, kitchen.band(name, PRECISION)) == ""
    assert (ran.precision.value, ran.precision.evidence, ran.emulated) == ("fp8", "executed", True)
    assert "aten::_scaled_mm" in ran.provider.detail or not variant


def test_it_steps_on_where_the_cache_grows(kitchen: Kitchen) -> None:
    workload = WORKLOADS["decoder"]
    io = workload.io(1, workload.default_length)
    inputs = workload.inputs(1, workload.default_length, seed=1)
    file = kitchen.file("decoder", "torch", PRECISION)
    with BACKEND.load(file, Target(precision=ASKED), io) as session:
        staged = session.stage(inputs)
        outputs = session.run(staged)
        fresh = {t.name: inputs[t.name] for t in io.inputs if t.name not in io.carried}
        again = session.advance(staged, outputs, fresh)  # type: ignore[attr-defined]
        assert all(np.isfinite(one).all() for one in session.fetch(session.run(again)).values())


def test_convolutions_are_refused(kitchen: Kitchen) -> None:
    file = kitchen.file("cnn", "torch", PRECISION)
    with pytest.raises(UnsupportedCase, match="multiples of 16 in fp8, and they hold 0% of this model"):
        BACKEND.load(file, Target(precision=ASKED), WORKLOADS["cnn"].io(1, None))


def test_who_does_not_ask_for_emulation_is_refused(kitchen: Kitchen) -> None:
    file = kitchen.file("encoder", "torch", PRECISION)
    with pytest.raises(UnsupportedCase, match=f"only emulates {PRECISION} on cpu: PyTorch widens fp8"):
        BACKEND.load(file, Target(precision=PRECISION), WORKLOADS["encoder"].io(1, None))


def test_only_layers_with_fitting_sides_are_replaced() -> None:
    """The others, and biases, stay in the module's own type."""

    class Two(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.last = torch.nn.Linear(64, 96), torch.nn.Linear(96, 24)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            first, last = self.first, self.last
            hidden = torch.ops.aten.linear.default(x, first.weight, first.bias)
            out: torch.Tensor = torch.ops.aten.linear.default(hidden, last.weight, last.bias)
            return out

    torch.manual_seed(0)
    module = Two().requires_grad_(False)
    traced, x = symbolic_trace(module), torch.randn(2, 3, 64)
    expected = module(x)
    fp8.quantise(traced, (x,))
    targets = [node.target for node in traced.graph.nodes]
    assert targets.count(torch.ops.aten._scaled_mm.default) == 1
    assert targets.count(torch.ops.aten.linear.default) == 1
    held = {name for name, _ in traced.named_parameters()}
    assert held == {"first.bias", "last.weight", "last.bias"}, "what nothing reads is let go"
    found = traced(x)
    assert found.shape == expected.shape
    assert 1e-3 < float((found - expected).norm() / expected.norm()) < 0.1


@pytest.mark.parametrize(("capability", "level"), [((8, 0), "none"), ((8, 9), "native"), ((9, 0), "native")])
def test_gpus_have_it_from_ada_on(capability: tuple[int, int], level: str) -> None:
    table = _cuda(*capability)
    assert table[PRECISION].level == level
    assert (table["bf16"].level, table["fp8:qdq"].level) == ("native", "none")
