"""The models of the contract suite: a small CNN, a block of attention, and a BERT for the runtimes that hold
Transformers of the usual layouts alone. Not listed.

Their weights and inputs are plain noise: what a backend does to them is compared, nothing is timed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from bench.interfaces.tensors import Array, IOSpec, TensorSpec
from bench.interfaces.workload import check_range
from workloads.bert import BertConfig, BertEncoder

if TYPE_CHECKING:
    import torch
    from torch import nn

LARGEST = 64  # batch
SIDE, TOKENS, WORDS, WIDTH, HEADS = 16, 12, 100, 32, 2


@dataclass(frozen=True)
class ContractModel:
    """A workload of the contract suite; batches of 1 to LARGEST."""

    name: str
    family: str
    shapes: Mapping[str, tuple[str, tuple[int, ...]]]
    """Input or output → dtype and shape without the batch; the inputs' names come first."""
    inner: tuple[str, ...]
    module: Callable[[], nn.Module]
    sample: Callable[[np.random.Generator], dict[str, Array]]
    summary: str = "of the contract suite"
    unit: str = "sample"
    revision: int = 1
    axis: Literal["sequence", "context"] = "sequence"
    default_length: int | None = None
    weights_of: str = ""
    ignored_keys: tuple[str, ...] = ("*.num_batches_tracked",)
    renamed_keys: tuple[tuple[str, str], ...] = ()

    @property
    def config(self) -> Mapping[str, Any]:
        return {"shapes": {name: [dtype, list(shape)] for name, (dtype, shape) in self.shapes.items()}}

    def io(self, batch: int, sequence: int | None) -> IOSpec:
        check_range("batch", batch, 1, LARGEST)
        specs = [
            TensorSpec(name, dtype, (batch, *shape), dynamic={0: (1, LARGEST)})
            for name, (dtype, shape) in self.shapes.items()
        ]
        ins = tuple(spec for spec in specs if spec.name in self.inner)
        return IOSpec(ins, tuple(spec for spec in specs if spec.name not in self.inner))

    def inputs(self, batch: int, sequence: int | None, seed: int) -> dict[str, Array]:
        samples = [self.sample(np.random.default_rng(seed + i)) for i in range(batch)]
        return {name: np.stack([sample[name] for sample in samples]) for name in self.inner}

    def build(self) -> torch.nn.Module:
        return self.module().eval()

    def seed_weights(self, module: torch.nn.Module, seed: int) -> None:
        import torch

        generator = torch.Generator().manual_seed(seed)
        with torch.no_grad():
            for key, tensor in module.state_dict().items():
                if key.endswith(("running_var", "norm.weight", "1.weight")):
                    tensor.uniform_(0.5, 1.5, generator=generator)
                elif tensor.is_floating_point():
                    fan_in = max(1, tensor[0].numel()) if tensor.ndim > 1 else 4
                    tensor.normal_(0.0, fan_in**-0.5, generator=generator)


def _cnn() -> nn.Module:
    """Convolution, batch norm, ReLU, linear; 1 MiB of weights, so that a leaked copy shows."""
    from torch import nn

    return nn.Sequential(
        nn.Conv2d(3, 16, 3, padding=1),
        nn.BatchNorm2d(16),
        nn.ReLU(),
        nn.Conv2d(16, 16, 3, padding=1, stride=2),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(16 * SIDE * SIDE // 4, 256),
        nn.ReLU(),
        nn.Linear(256, 10),
    )


def _encoder() -> nn.Module:
    """Embedding, one block of masked self-attention, layer norm; ids and mask are int64."""
    from torch import nn

    class Encoder(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.embedding = nn.Embedding(WORDS, WIDTH)
            self.qkv = nn.Linear(WIDTH, 3 * WIDTH)
            self.out = nn.Linear(WIDTH, WIDTH)
            self.norm = nn.LayerNorm(WIDTH)

        def forward(self, ids: torch.Tensor, mask: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
            x = self.embedding(ids)
            batch, length, _ = x.shape
            q, k, v = self.qkv(x).view(batch, length, 3, HEADS, -1).permute(2, 0, 3, 1, 4).unbind(0)
            hidden = (1.0 - mask[:, None, None, :].to(x.dtype)) * -1e4
            weights = (q @ k.transpose(-1, -2) * 0.25 + hidden).softmax(-1)
            attended = (weights @ v).transpose(1, 2).reshape(batch, length, WIDTH)
            states = self.norm(x + self.out(attended))
            return states, states.mean(1)

    return Encoder()


def _image(generator: np.random.Generator) -> dict[str, Array]:
    return {"image": generator.standard_normal((3, SIDE, SIDE), dtype=np.float32)}


def _tokens(generator: np.random.Generator) -> dict[str, Array]:
    ids = generator.integers(1, WORDS, TOKENS)
    return {"ids": ids, "mask": (np.arange(TOKENS) < generator.integers(4, TOKENS + 1)).astype(np.int64)}


CNN = ContractModel(
    "contract-cnn",
    "cnn",
    {"image": ("float32", (3, SIDE, SIDE)), "logits": ("float32", (10,))},
    ("image",),
    _cnn,
    _image,
)
ENCODER = ContractModel(
    "contract-encoder",
    "encoder",
    {
        "ids": ("int64", (TOKENS,)),
        "mask": ("int64", (TOKENS,)),
        "states": ("float32", (TOKENS, WIDTH)),
        "pooled": ("float32", (WIDTH,)),
    },
    ("ids", "mask"),
    _encoder,
    _tokens,
)
BERT = BertEncoder(
    "contract-bert",
    "of the contract suite",
    BertConfig(layers=2, hidden=64, heads=2, ffn=256, vocabulary=2048, positions=TOKENS),
    default_length=TOKENS,
)
UNLISTED = (CNN, ENCODER, BERT)
