"""The origin's weights in CTranslate2's specifications: those that its own converter of transformers' models
fills for BertModel, DistilBertModel and LlamaForCausalLM, whose names the origin has.

A specification knows Transformers alone. A model is one of them if each of its weights has a place there.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from bench.interfaces.converter import Job
from bench.interfaces.errors import UnsupportedCase
from bench.interfaces.tensors import Array

if TYPE_CHECKING:
    from ctranslate2.specs.common_spec import EmbeddingsSpec, LayerNormSpec, LinearSpec
    from ctranslate2.specs.model_spec import ModelSpec

LEAVE_OUT = "leave this backend out for this workload"


class Weights:
    """The origin's tensors, each handed out once by its name."""

    def __init__(self, tensors: Mapping[str, Array]) -> None:
        self.left = dict(tensors)

    def take(self, name: str) -> Array:
        try:
            return self.left.pop(name)
        except KeyError:
            raise _no_place(f"its specification wants {name}, which this model has not") from None

    def embeddings(self, spec: EmbeddingsSpec, name: str) -> None:
        spec.weight = self.take(f"{name}.weight")

    def linear(self, spec: LinearSpec, *names: str) -> None:
        """Layers with the same input as one: their rows below each other."""
        spec.weight = np.concatenate([self.take(f"{name}.weight") for name in names])
        if f"{names[0]}.bias" in self.left:
            spec.bias = np.concatenate([self.take(f"{name}.bias") for name in names])

    def norm(self, spec: LayerNormSpec, name: str) -> None:
        spec.gamma = self.take(f"{name}.weight")
        if f"{name}.bias" in self.left:
            spec.beta = self.take(f"{name}.bias")


def make(job: Job, quantisation: str | None) -> Mapping[str, Any]:
    """Writes the model. Raises UnsupportedCase for a model whose weights have no place in a specification."""
    from safetensors.numpy import load_file

    weights = Weights(load_file(job.parents["origin"].path))
    config = job.workload.config
    filled = (_encoder if any(name.startswith("encoder.") for name in weights.left) else _decoder)(
        weights, config
    )
    if weights.left:
        more = f" and {len(weights.left) - 1} more" if len(weights.left) > 1 else ""
        raise _no_place(f"no place in it for {next(iter(weights.left))}{more}")
    filled.config.layer_norm_epsilon = config["epsilon"]
    # Names of tokens, which nothing here reads.
    filled.register_vocabulary([f"<{token}>" for token in range(config["vocabulary"])])
    filled.validate()
    filled.optimize(quantization=quantisation)
    filled.save(str(job.output.parent))
    return {"lineage": {"converter": f"ctranslate2.specs, quantization={quantisation or 'none'}"}}


def _encoder(weights: Weights, config: Mapping[str, Any]) -> ModelSpec:
    """As its BertLoader has it; without token types, as its DistilBertLoader."""
    from ctranslate2.specs import common_spec, transformer_spec

    table, typed = "embeddings.word_embeddings", "embeddings.token_type_embeddings"
    tables = [table, *([typed] if f"{typed}.weight" in weights.left else [])]
    encoder = transformer_spec.TransformerEncoderSpec(
        config.get("layers", 0),
        config.get("heads", 0),
        pre_norm=False,
        activation=common_spec.Activation.GELU,
        layernorm_embedding=True,
        num_source_embeddings=len(tables),
        embeddings_merge=common_spec.EmbeddingsMerge.ADD,
    )
    encoder.scale_embeddings = False
    for spec, name in zip(encoder.embeddings, tables, strict=True):
        weights.embeddings(spec, name)
    encoder.position_encodings.encodings = weights.take("embeddings.position_embeddings.weight")
    weights.norm(encoder.layernorm_embedding, "embeddings.LayerNorm")
    for number, layer in enumerate(encoder.layer):
        here = f"encoder.layer.{number}"
        attention, forward = layer.self_attention, layer.ffn
        weights.linear(
            attention.linear[0], *(f"{here}.attention.self.{x}" for x in ("query", "key", "value"))
        )
        weights.linear(attention.linear[1], f"{here}.attention.output.dense")
        weights.norm(attention.layer_norm, f"{here}.attention.output.LayerNorm")
        weights.linear(forward.linear_0, f"{here}.intermediate.dense")
        weights.linear(forward.linear_1, f"{here}.output.dense")
        weights.norm(forward.layer_norm, f"{here}.output.LayerNorm")
    spec = transformer_spec.TransformerEncoderModelSpec(encoder)
    spec.config.unk_token = "<0>"
    return spec


def _decoder(weights: Weights, config: Mapping[str, Any]) -> ModelSpec:
    """As its LlamaLoader has it."""
    from ctranslate2.specs import common_spec, transformer_spec

    heads, kept = config.get("heads", 0), config.get("kv_heads")
    spec = transformer_spec.TransformerDecoderModelSpec.from_config(
        config.get("layers", 0),
        heads,
        activation=common_spec.Activation.SWISH,
        pre_norm=True,
        ffn_glu=True,
        rms_norm=True,
        rotary_dim=0,
        rotary_interleave=False,
        rotary_base=config.get("theta", 10_000.0),
        num_heads_kv=None if kept == heads else kept,
    )
    decoder = spec.decoder
    decoder.scale_embeddings = False
    weights.embeddings(decoder.embeddings, "model.embed_tokens")
    weights.norm(decoder.layer_norm, "model.norm")
    for number, layer in enumerate(decoder.layer):
        here = f"model.layers.{number}"
        attention, forward = layer.self_attention, layer.ffn
        weights.norm(attention.layer_norm, f"{here}.input_layernorm")
        weights.linear(attention.linear[0], *(f"{here}.self_attn.{x}_proj" for x in "qkv"))
        weights.linear(attention.linear[1], f"{here}.self_attn.o_proj")
        weights.norm(forward.layer_norm, f"{here}.post_attention_layernorm")
        weights.linear(forward.linear_0, f"{here}.mlp.gate_proj")
        weights.linear(forward.linear_0_noact, f"{here}.mlp.up_proj")
        weights.linear(forward.linear_1, f"{here}.mlp.down_proj")
    decoder.projection.weight = decoder.embeddings.weight
    spec.config.bos_token = spec.config.eos_token = spec.config.unk_token = "<0>"
    return spec


def _no_place(why: str) -> UnsupportedCase:
    return UnsupportedCase(f"CTranslate2 holds Transformers of its own layout alone: {why}", hint=LEAVE_OUT)
