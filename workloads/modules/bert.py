"""BERT's module, by the names of transformers' BertModel; a mean over tokens in the place of its pooler."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from workloads.bert import BertConfig


def norm(config: BertConfig) -> nn.LayerNorm:
    return nn.LayerNorm(config.hidden, eps=config.epsilon)


class Embeddings(nn.Module):
    def __init__(self, config: BertConfig) -> None:
        super().__init__()
        self.token_types = config.token_types
        self.word_embeddings = nn.Embedding(config.vocabulary, config.hidden)
        self.position_embeddings = nn.Embedding(config.positions, config.hidden)
        if self.token_types:
            self.token_type_embeddings = nn.Embedding(2, config.hidden)
        self.LayerNorm = norm(config)

    def forward(self, ids: Tensor) -> Tensor:
        positions = torch.arange(ids.shape[1], device=ids.device)
        x = self.word_embeddings(ids)
        if self.token_types:
            x = x + self.token_type_embeddings.weight[0]
        embedded: Tensor = self.LayerNorm(x + self.position_embeddings(positions))
        return embedded


class SelfAttention(nn.Module):
    def __init__(self, config: BertConfig) -> None:
        super().__init__()
        hidden, self.heads = config.hidden, config.heads
        self.width = hidden // config.heads
        self.query = nn.Linear(hidden, hidden)
        self.key = nn.Linear(hidden, hidden)
        self.value = nn.Linear(hidden, hidden)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        def heads(y: Tensor) -> Tensor:
            batch, sequence, _ = y.shape
            return y.view(batch, sequence, self.heads, self.width).transpose(1, 2)

        q, k, v = heads(self.query(x)), heads(self.key(x)), heads(self.value(x))
        y = nn.functional.scaled_dot_product_attention(q, k, v, attn_mask=mask)
        return y.transpose(1, 2).flatten(2)


class Residual(nn.Module):
    """y [batch, sequence, features] beside the stream x [batch, sequence, hidden] that it joins."""

    def __init__(self, config: BertConfig, features: int) -> None:
        super().__init__()
        self.dense = nn.Linear(features, config.hidden)
        self.LayerNorm = norm(config)

    def forward(self, y: Tensor, x: Tensor) -> Tensor:
        joined: Tensor = self.LayerNorm(self.dense(y) + x)
        return joined


class Layer(nn.Module):
    def __init__(self, config: BertConfig) -> None:
        super().__init__()
        self.attention = nn.ModuleDict(
            {"self": SelfAttention(config), "output": Residual(config, config.hidden)}
        )
        self.intermediate = nn.ModuleDict({"dense": nn.Linear(config.hidden, config.ffn)})
        self.output = Residual(config, config.ffn)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        x = self.attention["output"](self.attention["self"](x, mask), x)
        y = nn.functional.gelu(self.intermediate["dense"](x))
        joined: Tensor = self.output(y, x)
        return joined


class Encoder(nn.Module):
    def __init__(self, config: BertConfig) -> None:
        super().__init__()
        self.layer = nn.ModuleList(Layer(config) for _ in range(config.layers))

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        for layer in self.layer:
            x = layer(x, mask)
        return x


class Module(nn.Module):
    """Ids and mask int64 [batch, sequence] → unit vectors [batch, hidden]."""

    def __init__(self, config: BertConfig) -> None:
        super().__init__()
        self.embeddings = Embeddings(config)
        self.encoder = Encoder(config)

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        x = self.embeddings(input_ids)
        used = attention_mask.to(x.dtype)
        hidden_from = (1.0 - used)[:, None, None, :] * torch.finfo(x.dtype).min
        x = self.encoder(x, hidden_from)
        weights = used[:, :, None]
        mean = (x * weights).sum(dim=1) / weights.sum(dim=1).clamp(min=1.0)
        return nn.functional.normalize(mean, dim=1)
