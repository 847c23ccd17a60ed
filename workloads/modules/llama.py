"""Llama's module: grouped-query attention, rotary embeddings, RMSNorm, SwiGLU; by the names of transformers'
LlamaForCausalLM.

Past and present are float32 [batch, kv_heads, tokens, width], the keys and the values of each layer in turn.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

from workloads.llama import LlamaConfig

Past = tuple[Tensor, ...]


def module(config: LlamaConfig, step: Literal["prefill", "decode"]) -> nn.Module:
    """In eval mode, uninitialised."""
    return (Prefill(config) if step == "prefill" else Decode(config)).eval()


def norm(config: LlamaConfig) -> nn.RMSNorm:
    return nn.RMSNorm(config.hidden, eps=config.epsilon)


def linear(into: int, out: int) -> nn.Linear:
    return nn.Linear(into, out, bias=False)


class Attention(nn.Module):
    """x [batch, length, hidden] → the same shape, and the keys and values that it was over."""

    def __init__(self, config: LlamaConfig) -> None:
        super().__init__()
        hidden, self.width, self.kv_heads = config.hidden, config.width, config.kv_heads
        self.groups = config.groups
        self.q_proj = linear(hidden, hidden)
        self.k_proj = linear(hidden, self.kv_heads * self.width)
        self.v_proj = linear(hidden, self.kv_heads * self.width)
        self.o_proj = linear(hidden, hidden)

    def forward(self, x: Tensor, angles: Past, mask: Tensor | None, past: Past) -> tuple[Tensor, Past]:
        batch, length, _ = x.shape

        def heads(y: Tensor) -> Tensor:
            return y.view(batch, length, -1, self.width).transpose(1, 2)

        q, k, v = _rotated(heads(self.q_proj(x)), angles), heads(self.k_proj(x)), heads(self.v_proj(x))
        k = _rotated(k, angles)
        if past:
            k, v = torch.cat((past[0], k), dim=2), torch.cat((past[1], v), dim=2)
        # The query heads of a group are rows against its one key head: nothing is repeated.
        q = q.reshape(batch, self.kv_heads, self.groups * length, self.width)
        y = nn.functional.scaled_dot_product_attention(q, k, v, attn_mask=mask)
        y = y.view(batch, self.kv_heads, self.groups, length, self.width).permute(0, 3, 1, 2, 4).flatten(2)
        return self.o_proj(y), (k, v)


class SwiGLU(nn.Module):
    def __init__(self, config: LlamaConfig) -> None:
        super().__init__()
        self.gate_proj = linear(config.hidden, config.ffn)
        self.up_proj = linear(config.hidden, config.ffn)
        self.down_proj = linear(config.ffn, config.hidden)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.down_proj(nn.functional.silu(self.gate_proj(x)) * self.up_proj(x))
        return y


class Layer(nn.Module):
    def __init__(self, config: LlamaConfig) -> None:
        super().__init__()
        self.self_attn = Attention(config)
        self.mlp = SwiGLU(config)
        self.input_layernorm = norm(config)
        self.post_attention_layernorm = norm(config)

    def forward(self, x: Tensor, angles: Past, mask: Tensor | None, past: Past) -> tuple[Tensor, Past]:
        y, present = self.self_attn(self.input_layernorm(x), angles, mask, past)
        x = x + y
        return x + self.mlp(self.post_attention_layernorm(x)), present


class Decoder(nn.Module):
    """ids int64 [batch, length] → the last token's x [batch, hidden], and the present."""

    cos: Tensor
    sin: Tensor

    def __init__(self, config: LlamaConfig) -> None:
        super().__init__()
        self.groups = config.groups
        self.embed_tokens = nn.Embedding(config.vocabulary, config.hidden)
        self.layers = nn.ModuleList(Layer(config) for _ in range(config.layers))
        self.norm = norm(config)
        # Tables: angles that were computed in a reduced precision would be wrong at high positions.
        angles = _angles(config)
        self.register_buffer("cos", angles.cos().float(), persistent=False)
        self.register_buffer("sin", angles.sin().float(), persistent=False)

    def forward(self, ids: Tensor, past: Past) -> tuple[Tensor, Past]:
        length = ids.shape[1]
        before = past[0].shape[2] if past else 0
        positions = torch.arange(before, before + length, device=ids.device)
        angles = (self.cos[positions], self.sin[positions])
        mask = None if past else _causal(length, self.groups, self.cos)
        x = self.embed_tokens(ids)
        presents: Past = ()
        for i, layer in enumerate(self.layers):
            x, present = layer(x, angles, mask, past[2 * i : 2 * i + 2])
            presents += present
        return self.norm(x[:, -1]), presents


class Model(nn.Module):
    def __init__(self, config: LlamaConfig) -> None:
        super().__init__()
        self.model = Decoder(config)

    def logits(self, x: Tensor) -> Tensor:
        """By the table of embeddings."""
        return nn.functional.linear(x, self.model.embed_tokens.weight)


class Prefill(Model):
    def forward(self, input_ids: Tensor) -> Past:
        x, presents = self.model(input_ids, ())
        return (self.logits(x), *presents)


class Decode(Model):
    def forward(self, input_ids: Tensor, *past: Tensor) -> Past:
        x, presents = self.model(input_ids, past)
        return (self.logits(x), *presents)


def _angles(config: LlamaConfig) -> Tensor:
    """float64 [positions, width]: position × θ^(−2i/width), each frequency in both halves."""
    frequencies = config.theta ** (-torch.arange(0, config.width, 2, dtype=torch.float64) / config.width)
    half = torch.arange(config.positions, dtype=torch.float64)[:, None] * frequencies
    return torch.cat((half, half), dim=1)


def _rotated(x: Tensor, angles: Past) -> Tensor:
    """x [batch, heads, length, width] with each pair (i, i + width/2) turned by its angle."""
    cos, sin = angles
    half = x.shape[-1] // 2
    turned = torch.cat((-x[..., half:], x[..., :half]), dim=-1)
    return x * cos + turned * sin


def _causal(length: int, groups: int, like: Tensor) -> Tensor:
    """[groups × length, length] of 0 and the type's least: a group's heads, each token up to itself."""
    least = torch.finfo(like.dtype).min
    square = torch.full((length, length), least, dtype=like.dtype, device=like.device).triu(1)
    return square.repeat(groups, 1)
