"""BERT encoders (Devlin et al. 2018) as sentence embedders: mean over tokens, then unit length.

State-dict names are those of transformers' BertModel, so the safetensors of MiniLM-L6-v2 loads. DistilBERT
(Sanh et al. 2019) is a BERT of half the layers without token types; its checkpoints use names of their own.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

import numpy as np

from bench.interfaces.tensors import Array, IOSpec, TensorSpec
from bench.interfaces.workload import CALIBRATION_SEED, MOST_BATCH, TIMED_SEED, check_range, uneven

if TYPE_CHECKING:
    import torch

CLS, SEP = 101, 102
FIRST_WORD = 1000  # of the vocabulary; below it are BERT's special and unused tokens
TOPIC_WORDS = 24
CALIBRATION_SENTENCES = 16
STEADY_LAYERS = 6  # whose branches are of the same size
BERT_KEYS = (
    (r"^bert\.", ""),
    (r"LayerNorm\.gamma$", "LayerNorm.weight"),
    (r"LayerNorm\.beta$", "LayerNorm.bias"),
)
DISTILBERT_KEYS = (
    (r"^distilbert\.", ""),
    (r"^transformer\.", "encoder."),
    (r"attention\.q_lin", "attention.self.query"),
    (r"attention\.k_lin", "attention.self.key"),
    (r"attention\.v_lin", "attention.self.value"),
    (r"attention\.out_lin", "attention.output.dense"),
    (r"sa_layer_norm", "attention.output.LayerNorm"),
    (r"ffn\.lin1", "intermediate.dense"),
    (r"ffn\.lin2", "output.dense"),
    (r"output_layer_norm", "output.LayerNorm"),
)


@dataclass(frozen=True, slots=True)
class BertConfig:
    """Layers, hidden size, attention heads, feed-forward size, vocabulary, the longest sequence, whether
    tokens have types, and ε of the normalisations."""

    layers: int = 6
    hidden: int = 384
    heads: int = 12
    ffn: int = 1536
    vocabulary: int = 30522
    positions: int = 512
    token_types: bool = True
    epsilon: float = 1e-12


class BertEncoder:
    """`input_ids`, `attention_mask` int64 [batch, sequence] → `embedding` float32 [batch, hidden]."""

    family = "encoder"
    unit = "sequence"
    revision = 2
    weights_of = ""
    axis = "sequence"
    ignored_keys = (
        "embeddings.position_ids",
        "pooler.*",
        "cls.*",
        "vocab_*",
        "pre_classifier.*",
        "classifier.*",
    )

    def __init__(
        self,
        name: str,
        summary: str,
        architecture: BertConfig,
        default_length: int,
        renamed_keys: tuple[tuple[str, str], ...] = BERT_KEYS,
    ) -> None:
        self.name = name
        self.summary = summary
        self.renamed_keys = renamed_keys
        self.architecture = architecture
        self.config = asdict(architecture)
        self.default_length: int | None = default_length

    def io(self, batch: int, sequence: int | None) -> IOSpec:
        """Shapes of a batch; the mask is 1 on tokens and 0 on padding. `sequence` None: the default."""
        length = sequence or self.default_length or 1
        check_range("batch", batch, 1, MOST_BATCH)
        check_range("sequence", length, 1, self.architecture.positions)
        tokens = {0: (1, MOST_BATCH), 1: (1, self.architecture.positions)}
        return IOSpec(
            inputs=(
                TensorSpec("input_ids", "int64", (batch, length), dynamic=tokens),
                TensorSpec("attention_mask", "int64", (batch, length), dynamic=tokens),
            ),
            outputs=(
                TensorSpec(
                    "embedding", "float32", (batch, self.architecture.hidden), dynamic={0: (1, MOST_BATCH)}
                ),
            ),
        )

    def inputs(self, batch: int, sequence: int | None, seed: int) -> dict[str, Array]:
        """Sentences over few words each, so that their means differ; three of four are padded, from
        TIMED_SEED on none is."""
        length = sequence or self.default_length or 1
        pairs = [_sentence(self.architecture.vocabulary, length, seed + i) for i in range(batch)]
        return {
            "input_ids": np.stack([ids for ids, _ in pairs]),
            "attention_mask": np.stack([mask for _, mask in pairs]),
        }

    def build(self) -> torch.nn.Module:
        from workloads.modules.bert import Module

        return Module(self.architecture).eval()

    def seed_weights(self, module: torch.nn.Module, seed: int) -> None:
        """Normal weights scaled by what flows through them: attention scores have a deviation near 2 (neither
        uniform nor saturated); residual branches are about half of the stream they join, or the tokens of a
        sentence would grow alike from layer to layer and queries lose their effect, and those after the sixth
        are smaller, or the errors of the first would grow until int4 says nothing. The bias of the last
        normalisation takes the mean over calibration sentences away: embeddings that shared one direction
        would all look alike."""
        import torch

        generator = np.random.default_rng(seed)
        hidden, ffn = self.architecture.hidden, self.architecture.ffn
        deviations = {
            "word_embeddings": 0.05,
            "position_embeddings": 0.015,
            "token_type_embeddings": 0.005,
            "query": math.sqrt(2.0 / hidden),
            "key": math.sqrt(2.0 / hidden),
            "value": math.sqrt(1.0 / hidden),
            "attention.output.dense": 0.75 / math.sqrt(hidden),
            "intermediate.dense": 1.0 / math.sqrt(hidden),
            "output.dense": 1.0 / math.sqrt(ffn),
        }
        with torch.no_grad():
            for name, tensor in module.named_parameters():
                shape = tuple(tensor.shape)
                dense = len(shape) == 2 and not name.startswith("embeddings.")
                values = (
                    uneven(generator, shape) if dense else generator.standard_normal(shape, dtype=np.float32)
                )
                if name.endswith("LayerNorm.weight"):
                    values = 1.0 + 0.1 * values
                elif name.endswith("bias"):
                    values *= 0.05
                else:
                    layer = name.removesuffix(".weight")
                    values *= next(value for end, value in deviations.items() if layer.endswith(end))
                    if layer.endswith("output.dense"):
                        values *= min(1.0, STEADY_LAYERS / (int(layer.split(".")[2]) + 1))
                tensor.copy_(torch.from_numpy(values))
            self._center(module)

    def _center(self, module: torch.nn.Module) -> None:
        """Moves the bias of the last LayerNorm by the mean sentence; in fp64 so that machines agree."""
        import torch

        length = min(self.default_length or 1, self.architecture.positions)
        inputs = self.inputs(CALIBRATION_SENTENCES, length, CALIBRATION_SEED)
        module.double()
        pooled: list[torch.Tensor] = []
        hook = module.get_submodule("encoder").register_forward_hook(
            lambda _module, _inputs, tokens: pooled.append(tokens.mean(dim=1))
        )
        module(*(torch.from_numpy(array) for array in inputs.values()))
        hook.remove()
        last = module.get_submodule(f"encoder.layer.{self.architecture.layers - 1}.output.LayerNorm")
        last.get_parameter("bias").sub_(pooled[0].mean(dim=0))
        module.float()


def _sentence(vocabulary: int, length: int, seed: int) -> tuple[Array, Array]:
    """Token ids and mask, int64 [length]: words of one topic by Zipf's law between [CLS] and [SEP]."""
    generator = np.random.default_rng(seed)
    words = generator.integers(min(FIRST_WORD, vocabulary // 2), vocabulary, TOPIC_WORDS)
    frequency = 1.0 / np.arange(1, TOPIC_WORDS + 1)
    ids = generator.choice(words, length, p=frequency / frequency.sum()).astype(np.int64)
    full = seed >= TIMED_SEED or seed % 4 == 0
    used = length if full else int(generator.integers((length + 3) // 4, length, endpoint=True))
    ids[0] = CLS
    if used > 1:
        ids[used - 1] = SEP
    mask = (np.arange(length) < used).astype(np.int64)
    return ids * mask, mask


WORKLOADS = (
    BertEncoder("minilm-l6", "MiniLM-L6 sentence encoder, 23 M parameters", BertConfig(), default_length=128),
    BertEncoder(
        "distilbert",
        "DistilBERT base as a sentence encoder, 66 M parameters",
        BertConfig(layers=6, hidden=768, heads=12, ffn=3072, token_types=False),
        default_length=128,
        renamed_keys=DISTILBERT_KEYS,
    ),
    BertEncoder(
        "bert-base",
        "BERT base as a sentence encoder, 109 M parameters",
        BertConfig(layers=12, hidden=768, heads=12, ffn=3072),
        default_length=128,
    ),
)
