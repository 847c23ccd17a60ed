"""The two tiny models of the contract suite, as model files with fp64 references.

    python -P -m backends._tiny FOLDER     makes them; needs the extra `prepare`

Made in a process of its own, so that the suite's process holds torch only if the backend does.
"""

from __future__ import annotations

import atexit
import copy
import functools
import hashlib
import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from backends import _torch_graph
from backends.base import Array, IOSpec, ModelFile, TensorSpec
from bench.errors import PrepareError

if TYPE_CHECKING:
    import torch
    from torch import nn

SAMPLES = 64
OPSET = 20
# Over torch's own error in that type, so that other orders of summation pass.
FP32_FACTOR, LOW_FACTOR, LOW_MARGIN = 30.0, 5.0, 10.0
FP32_LEAST = 1e-6


@dataclass(frozen=True)
class Tiny:
    """A tiny model.

    Attributes:
        files: format → model file; the first axis of every tensor is open from 1 to `SAMPLES`.
        reference: npz with `in:NAME` and `out:NAME` (fp64), each [SAMPLES, …].
        bands: precision → (low, high) of `error`.
    """

    name: str
    files: Mapping[str, ModelFile]
    reference: Path
    bands: Mapping[str, tuple[float, float]]
    input_dtypes: Mapping[str, str]

    @functools.cached_property
    def _arrays(self) -> dict[str, Array]:
        with np.load(self.reference, allow_pickle=False) as file:
            return dict(file)

    def _side(self, side: str) -> dict[str, Array]:
        prefix = f"{side}:"
        return {k.removeprefix(prefix): a for k, a in self._arrays.items() if k.startswith(prefix)}

    def io(self, batch: int) -> IOSpec:
        def spec(name: str, dtype: str, array: Array) -> TensorSpec:
            return TensorSpec(name, dtype, (batch, *array.shape[1:]), dynamic={0: (1, SAMPLES)})

        return IOSpec(
            tuple(spec(name, self.input_dtypes[name], array) for name, array in self._side("in").items()),
            tuple(spec(name, "float32", array) for name, array in self._side("out").items()),
        )

    def inputs(self, batch: int, start: int = 0) -> dict[str, Array]:
        """Samples from `start` on, as one batch."""
        return {name: array[start : start + batch].copy() for name, array in self._side("in").items()}

    def error(self, outputs: Mapping[str, Array], start: int = 0) -> float:
        """Worst over the outputs of ‖y − r‖₂ / ‖r‖₂; infinite for a wrong name, shape or dtype."""
        expected = self._side("out")
        if set(outputs) != set(expected):
            return float("inf")
        errors = []
        for name, got in outputs.items():
            want = expected[name][start : start + len(got)]
            if got.shape != want.shape or got.dtype != np.float32 or not np.isfinite(got).all():
                return float("inf")
            errors.append(float(np.linalg.norm(got - want) / np.linalg.norm(want)))
        return max(errors)


@functools.cache
def tiny_models() -> Mapping[str, Tiny]:
    """`cnn` and `encoder`, made once per process in about ten seconds and removed when it ends."""
    folder = Path(tempfile.mkdtemp(prefix="bakeoff-tiny-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    command = [sys.executable, "-P", "-m", "backends._tiny", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise PrepareError(
            f"the contract suite's models could not be made:\n{done.stderr[-2000:]}",
            hint="pip install 'bakeoff[prepare]'",
        )
    made = json.loads((folder / "tiny.json").read_text())
    return {name: _read(folder, name, facts) for name, facts in made.items()}


def _read(folder: Path, name: str, facts: Mapping[str, Any]) -> Tiny:
    files = {kind: _model_file(kind, folder / file) for kind, file in facts["files"].items()}
    bands = {precision: (low, high) for precision, (low, high) in facts["bands"].items()}
    return Tiny(name, files, folder / f"{name}.npz", bands, facts["inputs"])


def _model_file(kind: str, path: Path) -> ModelFile:
    return ModelFile(kind, path, hashlib.sha256(path.read_bytes()).hexdigest())


def cnn() -> nn.Module:
    """Convolution, batch norm, ReLU, linear; 1 MiB of weights, so that a leaked copy shows."""
    from torch import nn

    return nn.Sequential(
        nn.Conv2d(3, 16, 3, padding=1),
        nn.BatchNorm2d(16),
        nn.ReLU(),
        nn.Conv2d(16, 16, 3, padding=1, stride=2),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(16 * 8 * 8, 256),
        nn.ReLU(),
        nn.Linear(256, 10),
    )


def encoder() -> nn.Module:
    """Embedding, one block of masked self-attention, layer norm; ids and mask are int64."""
    from torch import nn

    width, heads = 32, 2

    class Encoder(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.embedding = nn.Embedding(100, width)
            self.qkv = nn.Linear(width, 3 * width)
            self.out = nn.Linear(width, width)
            self.norm = nn.LayerNorm(width)

        def forward(self, ids: torch.Tensor, mask: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
            x = self.embedding(ids)
            batch, length, _ = x.shape
            q, k, v = self.qkv(x).view(batch, length, 3, heads, -1).permute(2, 0, 3, 1, 4).unbind(0)
            hidden = (1.0 - mask[:, None, None, :].to(x.dtype)) * -1e4
            weights = (q @ k.transpose(-1, -2) * 0.25 + hidden).softmax(-1)
            attended = (weights @ v).transpose(1, 2).reshape(batch, length, width)
            states = self.norm(x + self.out(attended))
            return states, states.mean(1)

    return Encoder()


def make(folder: Path) -> None:
    """Writes model files, references and `tiny.json`."""
    rng = np.random.default_rng(0)
    image = {"image": rng.standard_normal((SAMPLES, 3, 16, 16), dtype=np.float32)}
    ids = rng.integers(1, 100, (SAMPLES, 12))
    mask = (np.arange(12) < rng.integers(4, 13, (SAMPLES, 1))).astype(np.int64)
    made = {
        "cnn": _make_one(folder, "cnn", cnn(), image, ["logits"]),
        "encoder": _make_one(folder, "encoder", encoder(), {"ids": ids, "mask": mask}, ["states", "pooled"]),
    }
    (folder / "tiny.json").write_text(json.dumps(made))


def _make_one(
    folder: Path, name: str, module: nn.Module, inputs: Mapping[str, Array], outputs: list[str]
) -> dict[str, Any]:
    import torch

    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for key, tensor in module.state_dict().items():
            if key.endswith(("running_var", "norm.weight", "1.weight")):
                tensor.uniform_(0.5, 1.5, generator=generator)
            elif tensor.is_floating_point():
                fan_in = max(1, tensor[0].numel()) if tensor.ndim > 1 else 4
                tensor.normal_(0.0, fan_in**-0.5, generator=generator)
    module.eval()
    batch = torch.export.Dim("batch", min=1, max=SAMPLES)
    sample = tuple(torch.from_numpy(array[:2]) for array in inputs.values())
    program = torch.export.export(module, sample, dynamic_shapes=tuple({0: batch} for _ in sample))
    torch.export.save(program, folder / f"{name}.pt2")
    _torch_graph.save(program, folder / f"{name}.pt")
    onnx = torch.onnx.export(
        program,
        dynamo=True,
        opset_version=OPSET,
        input_names=list(inputs),
        output_names=outputs,
        verbose=False,
    )
    assert onnx is not None
    onnx.save(str(folder / f"{name}.onnx"))

    exact = _run(module, inputs, torch.float64)
    bands = {}
    for precision, dtype in (("fp32", torch.float32), ("bf16", torch.bfloat16), ("fp16", torch.float16)):
        pairs = zip(_run(module, inputs, dtype), exact, strict=True)
        error = max(float(np.linalg.norm(got - want) / np.linalg.norm(want)) for got, want in pairs)
        wide = (0.0, max(FP32_LEAST, error * FP32_FACTOR))
        bands[precision] = wide if precision == "fp32" else (error / LOW_MARGIN, error * LOW_FACTOR)
    named = {f"in:{key}": array for key, array in inputs.items()}
    named |= {f"out:{key}": array for key, array in zip(outputs, exact, strict=True)}
    np.savez(folder / f"{name}.npz", **named)  # type: ignore[arg-type]
    return {
        "files": {"exported": f"{name}.pt2", "torch-graph": f"{name}.pt", "onnx": f"{name}.onnx"},
        "bands": bands,
        "inputs": {key: str(array.dtype) for key, array in inputs.items()},
    }


def _run(module: nn.Module, inputs: Mapping[str, Array], dtype: torch.dtype) -> list[Array]:
    """Outputs of a copy of the module in that type, as fp64."""
    import torch

    arrays = [torch.from_numpy(array) for array in inputs.values()]
    with torch.no_grad():
        outputs = copy.deepcopy(module).to(dtype)(
            *(a.to(dtype) if a.is_floating_point() else a for a in arrays)
        )
    return [part.double().numpy() for part in (outputs if isinstance(outputs, tuple) else (outputs,))]


if __name__ == "__main__":
    make(Path(sys.argv[1]))
