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

Past = tuple["torch.Tensor", ...]


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
        return _module(self.architecture, self.step)

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


def _module(config: LlamaConfig, step: Literal["prefill", "decode"]) -> torch.nn.Module:
    import torch
    from torch import nn

    hidden, width = config.hidden, config.width
    groups = config.heads // config.kv_heads  # query heads that share a key/value head

    def norm() -> nn.RMSNorm:
        return nn.RMSNorm(hidden, eps=config.epsilon)

    def linear(into: int, out: int) -> nn.Linear:
        return nn.Linear(into, out, bias=False)

    class Attention(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.q_proj = linear(hidden, hidden)
            self.k_proj = linear(hidden, config.kv_heads * width)
            self.v_proj = linear(hidden, config.kv_heads * width)
            self.o_proj = linear(hidden, hidden)

        def forward(
            self, x: torch.Tensor, angles: Past, mask: torch.Tensor | None, past: Past
        ) -> tuple[torch.Tensor, Past]:
            batch, length, _ = x.shape

            def heads(y: torch.Tensor) -> torch.Tensor:
                return y.view(batch, length, -1, width).transpose(1, 2)

            q, k, v = _rotated(heads(self.q_proj(x)), angles), heads(self.k_proj(x)), heads(self.v_proj(x))
            k = _rotated(k, angles)
            if past:
                k, v = torch.cat((past[0], k), dim=2), torch.cat((past[1], v), dim=2)
            # The query heads of a group are rows against its one key head: nothing is repeated.
            q = q.reshape(batch, config.kv_heads, groups * length, width)
            y = nn.functional.scaled_dot_product_attention(q, k, v, attn_mask=mask)
            y = y.view(batch, config.kv_heads, groups, length, width).permute(0, 3, 1, 2, 4).flatten(2)
            return self.o_proj(y), (k, v)

    class SwiGLU(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.gate_proj = linear(hidden, config.ffn)
            self.up_proj = linear(hidden, config.ffn)
            self.down_proj = linear(config.ffn, hidden)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            y: torch.Tensor = self.down_proj(nn.functional.silu(self.gate_proj(x)) * self.up_proj(x))
            return y

    class Layer(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.self_attn = Attention()
            self.mlp = SwiGLU()
            self.input_layernorm = norm()
            self.post_attention_layernorm = norm()

        def forward(
            self, x: torch.Tensor, angles: Past, mask: torch.Tensor | None, past: Past
        ) -> tuple[torch.Tensor, Past]:
            y, present = self.self_attn(self.input_layernorm(x), angles, mask, past)
            x = x + y
            return x + self.mlp(self.post_attention_layernorm(x)), present

    class Decoder(nn.Module):
        cos: torch.Tensor
        sin: torch.Tensor

        def __init__(self) -> None:
            super().__init__()
            self.embed_tokens = nn.Embedding(config.vocabulary, hidden)
            self.layers = nn.ModuleList(Layer() for _ in range(config.layers))
            self.norm = norm()
            # Tables: angles that were computed in a reduced precision would be wrong at high positions.
            angles = _angles(config)
            self.register_buffer("cos", angles.cos().float(), persistent=False)
            self.register_buffer("sin", angles.sin().float(), persistent=False)

        def forward(self, ids: torch.Tensor, past: Past) -> tuple[torch.Tensor, Past]:
            length = ids.shape[1]
            before = past[0].shape[2] if past else 0
            positions = torch.arange(before, before + length, device=ids.device)
            angles = (self.cos[positions], self.sin[positions])
            mask = None if past else _causal(length, groups, self.cos)
            x = self.embed_tokens(ids)
            presents: Past = ()
            for i, layer in enumerate(self.layers):
                x, present = layer(x, angles, mask, past[2 * i : 2 * i + 2])
                presents += present
            return self.norm(x[:, -1]), presents

    class Module(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.model = Decoder()

    class Prefill(Module):
        def forward(self, input_ids: torch.Tensor) -> Past:
            x, presents = self.model(input_ids, ())
            return (nn.functional.linear(x, self.model.embed_tokens.weight), *presents)

    class Decode(Module):
        def forward(self, input_ids: torch.Tensor, *past: torch.Tensor) -> Past:
            x, presents = self.model(input_ids, past)
            return (nn.functional.linear(x, self.model.embed_tokens.weight), *presents)

    return (Prefill() if step == "prefill" else Decode()).eval()


def _angles(config: LlamaConfig) -> torch.Tensor:
    """float64 [positions, width]: position × θ^(−2i/width), each frequency in both halves."""
    import torch

    frequencies = config.theta ** (-torch.arange(0, config.width, 2, dtype=torch.float64) / config.width)
    half = torch.arange(config.positions, dtype=torch.float64)[:, None] * frequencies
    return torch.cat((half, half), dim=1)


def _rotated(x: torch.Tensor, angles: Past) -> torch.Tensor:
    """x [batch, heads, length, width] with each pair (i, i + width/2) turned by its angle."""
    import torch

    cos, sin = angles
    half = x.shape[-1] // 2
    turned = torch.cat((-x[..., half:], x[..., :half]), dim=-1)
    return x * cos + turned * sin


def _causal(length: int, groups: int, like: torch.Tensor) -> torch.Tensor:
    """[groups × length, length] of 0 and the type's least: a group's heads, each token up to itself."""
    import torch

    least = torch.finfo(like.dtype).min
    square = torch.full((length, length), least, dtype=like.dtype, device=like.device).triu(1)
    return square.repeat(groups, 1)


SMOLLM2 = "decoder in the geometry of SmolLM2-135M, 135 M parameters"
WORKLOADS = (
    LlamaPrefill("llama-small", f"{SMOLLM2}: reads a prompt", LlamaConfig()),
    LlamaDecode("llama-small", f"{SMOLLM2}: one token at a context", LlamaConfig()),
)
