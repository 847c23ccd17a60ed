"""Llama decoders (Touvron et al. 2023) with grouped-query attention: RMSNorm, rotary embeddings, SwiGLU, and
one vocabulary that is both table and output.

State-dict names are those of transformers' LlamaForCausalLM, so the safetensors of SmolLM2-135M loads. One
model is two workloads. `prefill` reads a prompt: the logits after it, and the keys and values of all layers.
`decode` reads one token at a context: it takes those keys and values, and gives them back one token longer.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from bench.interfaces.tensors import Array, IOSpec, TensorSpec
from bench.interfaces.workload import check_range, uneven

if TYPE_CHECKING:
    import torch

MOST_BATCH = 64
TOPIC_TOKENS = 48
# What the first layer adds to the stream, in deviations: far more than a token's own embedding. Later layers
# add less, as those of trained models do beside what they read; all alike, they would grow an error in
# the first ones until int8 says nothing.
BRANCH = 0.25
FADING = 0.75  # layer l adds BRANCH / (l + 1) ** FADING
EMBEDDED = 0.05


@dataclass(frozen=True, slots=True)
class LlamaConfig:
    """Layers, hidden size, query heads, key/value heads, feed-forward size, vocabulary, longest context, base
    of the rotary angles, ε of RMSNorm. The defaults are SmolLM2-135M's."""

    layers: int = 30
    hidden: int = 576
    heads: int = 9
    kv_heads: int = 3
    ffn: int = 1536
    vocabulary: int = 49152
    positions: int = 8192
    theta: float = 100_000.0
    epsilon: float = 1e-5

    @property
    def width(self) -> int:
        """Of a head."""
        return self.hidden // self.heads

    @property
    def groups(self) -> int:
        """Query heads that share a key/value head."""
        return self.heads // self.kv_heads


class Llama(ABC):
    """What prefill and decode share: the model, its weights and its tokens.

    A cache tensor is float32 [batch, kv_heads, tokens, width]; keys are stored rotated.
    """

    family = "decoder"
    unit = "token"
    revision = 2
    step: Literal["prefill", "decode"]
    ignored_keys = ("lm_head.weight",)
    renamed_keys: tuple[tuple[str, str], ...] = ()

    def __init__(self, model: str, summary: str, architecture: LlamaConfig) -> None:
        self.name = f"{model}:{self.step}"
        self.summary = summary
        self.architecture = architecture
        self.config = {"step": self.step, **asdict(architecture)}
        self.weights_of = f"{model}:prefill"

    @abstractmethod
    def io(self, batch: int, sequence: int | None) -> IOSpec:
        """Inputs and outputs of the step."""

    @property
    def state(self) -> tuple[tuple[str, str], ...]:
        """Every layer's (output, input): present and past keys, present and past values."""
        return tuple(
            (f"present.{layer}.{kind}", f"past.{layer}.{kind}")
            for layer in range(self.architecture.layers)
            for kind in ("key", "value")
        )

    def cache(self, batch: int, tokens: int, span: tuple[int, int]) -> list[tuple[TensorSpec, TensorSpec]]:
        """(output, input) specs of every state pair; the output of a decode step is one token longer."""
        config = self.architecture
        dynamic = {0: (1, MOST_BATCH), 2: span}

        def spec(name: str, length: int) -> TensorSpec:
            return TensorSpec(
                name, "float32", (batch, config.kv_heads, length, config.width), dynamic=dynamic
            )

        longer = tokens + (self.step == "decode")
        return [(spec(present, longer), spec(past, tokens)) for present, past in self.state]

    def logits(self, batch: int) -> TensorSpec:
        return TensorSpec(
            "logits", "float32", (batch, self.architecture.vocabulary), dynamic={0: (1, MOST_BATCH)}
        )

    def build(self) -> torch.nn.Module:
        from workloads.modules.llama import module

        return module(self.architecture, self.step)

    def seed_weights(self, module: torch.nn.Module, seed: int) -> None:
        """Normal weights scaled by what flows through them: attention scores have a deviation near 1, and the
        stream soon is far larger than the embedding that began it: else the shared vocabulary would have
        each token followed by itself."""
        import torch

        generator = np.random.default_rng(seed)
        hidden, ffn = self.architecture.hidden, self.architecture.ffn
        deviations = {
            "embed_tokens": EMBEDDED,
            "q_proj": 1.0 / math.sqrt(hidden),
            "k_proj": 1.0 / math.sqrt(hidden),
            "v_proj": 1.0 / math.sqrt(hidden),
            "o_proj": 2 * BRANCH / math.sqrt(hidden),
            "gate_proj": 1.0 / math.sqrt(hidden),
            "up_proj": 1.0 / math.sqrt(hidden),
            "down_proj": 2 * BRANCH / math.sqrt(ffn),
        }
        with torch.no_grad():
            for name, tensor in module.named_parameters():
                shape = tuple(tensor.shape)
                dense = len(shape) == 2 and "embed" not in name
                values = (
                    uneven(generator, shape) if dense else generator.standard_normal(shape, dtype=np.float32)
                )
                layer = name.removesuffix(".weight")
                if "norm" in name:
                    values = 1.0 + 0.1 * values
                else:
                    values *= next(value for end, value in deviations.items() if layer.endswith(end))
                if layer.endswith(("o_proj", "down_proj")):
                    values /= (int(layer.split(".")[2]) + 1) ** FADING
                tensor.copy_(torch.from_numpy(values))


class LlamaPrefill(Llama):
    """`input_ids` int64 [batch, sequence] → `logits` float32 [batch, vocabulary] after the last token, and
    the cache, which stays with the runtime."""

    step = "prefill"
    axis: Literal["sequence", "context"] = "sequence"
    default_length: int | None = 128

    def io(self, batch: int, sequence: int | None) -> IOSpec:
        length = sequence or self.default_length or 1
        check_range("batch", batch, 1, MOST_BATCH)
        check_range("sequence", length, 1, self.architecture.positions)
        span = (1, self.architecture.positions)
        ids = TensorSpec("input_ids", "int64", (batch, length), dynamic={0: (1, MOST_BATCH), 1: span})
        present = [out for out, _ in self.cache(batch, length, span)]
        return IOSpec((ids,), (self.logits(batch), *present), self.state)

    def inputs(self, batch: int, sequence: int | None, seed: int) -> dict[str, Array]:
        """Prompts over few tokens each, so that they differ as wholes."""
        length = sequence or self.default_length or 1
        prompts = [_prompt(self.architecture.vocabulary, length, seed + i) for i in range(batch)]
        return {"input_ids": np.stack(prompts)}


class LlamaDecode(Llama):
    """`input_ids` int64 [batch, 1] and a cache of `context` tokens → `logits` float32 [batch, vocabulary]
    and the cache of one token more, which stays with the runtime."""

    step = "decode"
    axis: Literal["sequence", "context"] = "context"
    default_length: int | None = 128

    def io(self, batch: int, sequence: int | None) -> IOSpec:
        context = sequence or self.default_length or 1
        check_range("batch", batch, 1, MOST_BATCH)
        check_range("context", context, 1, self.architecture.positions - 1)
        pairs = self.cache(batch, context, (1, self.architecture.positions - 1))
        ids = TensorSpec("input_ids", "int64", (batch, 1), dynamic={0: (1, MOST_BATCH)})
        return IOSpec(
            (ids, *(past for _, past in pairs)),
            (self.logits(batch), *(present for present, _ in pairs)),
            self.state,
        )

    def inputs(self, batch: int, sequence: int | None, seed: int) -> dict[str, Array]:
        """A token and the cache of what was read before: keys and values normal with deviation 1, as the
        seeded projections make them."""
        context = sequence or self.default_length or 1
        config = self.architecture
        arrays: dict[str, list[Array]] = {}
        for i in range(batch):
            generator = np.random.default_rng(seed + i)
            ids = generator.integers(0, config.vocabulary, 1)
            arrays.setdefault("input_ids", []).append(ids.astype(np.int64))
            shape = (config.kv_heads, context, config.width)
            for _, past in self.state:
                values = generator.standard_normal(shape, dtype=np.float32)
                arrays.setdefault(past, []).append(values)
        return {name: np.stack(parts) for name, parts in arrays.items()}


def _prompt(vocabulary: int, length: int, seed: int) -> Array:
    """Token ids, int64 [length]: tokens of one topic by Zipf's law."""
    generator = np.random.default_rng(seed)
    tokens = generator.integers(0, vocabulary, TOPIC_TOKENS)
    frequency = 1.0 / np.arange(1, TOPIC_TOKENS + 1)
    return generator.choice(tokens, length, p=frequency / frequency.sum()).astype(np.int64)


SMOLLM2 = "decoder in the geometry of SmolLM2-135M, 135 M parameters"
WORKLOADS = (
    LlamaPrefill("llama-small", f"{SMOLLM2}: reads a prompt", LlamaConfig()),
    LlamaDecode("llama-small", f"{SMOLLM2}: one token at a context", LlamaConfig()),
)
