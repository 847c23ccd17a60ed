from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from bench.interfaces.workload import TIMED_SEED
from bench.worker import verify
from tests.helpers.families import Made, breakages, make, onnx_error
from workloads.bert import WORKLOADS, BertConfig, BertEncoder

CONFIG = BertConfig(layers=2, hidden=32, heads=4, ffn=64, vocabulary=400, positions=64)
TINY = BertEncoder("tiny", "two layers", CONFIG, default_length=24)
MINILM = WORKLOADS[0]


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Made:
    return make(TINY, tmp_path_factory.mktemp("tiny"), "origin", "reference", "exported", "onnx", "band")


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> Made:
    return make(MINILM, tmp_path_factory.mktemp("minilm"), "origin", "reference")


def test_names_and_sizes_are_transformers() -> None:
    module = MINILM.build()
    state = module.state_dict()
    assert sum(p.numel() for p in module.parameters()) == 22_713_216 - 384 * 385  # without the pooler
    layer = "encoder.layer.5."
    assert {key.removeprefix(layer) for key in state if key.startswith(layer)} == {
        f"{part}.{kind}"
        for part in (
            *(f"attention.self.{name}" for name in ("query", "key", "value")),
            *("attention.output.dense", "attention.output.LayerNorm", "intermediate.dense"),
            *("output.dense", "output.LayerNorm"),
        )
        for kind in ("weight", "bias")
    }
    tables = ("word_embeddings", "position_embeddings", "token_type_embeddings", "LayerNorm")
    assert {f"embeddings.{name}.weight" for name in tables} <= state.keys()


def test_verification_samples_are_padded_and_the_timed_one_is_not() -> None:
    masks = MINILM.inputs(8, 128, 0)["attention_mask"]
    lengths = masks.sum(axis=1)
    assert (lengths < 128).sum() >= 4
    assert (lengths == 128).any()
    assert (np.diff(masks, axis=1) <= 0).all()  # padding at the end
    assert (MINILM.inputs(4, 128, TIMED_SEED)["attention_mask"] == 1).all()


@pytest.mark.parametrize("length", [1, 2, 3, 64])
def test_inputs_at_any_length(length: int) -> None:
    inputs = TINY.inputs(6, length, 0)
    for spec in TINY.io(6, length).inputs:
        assert inputs[spec.name].shape == spec.shape
        assert inputs[spec.name].dtype == np.dtype(spec.dtype)
    assert inputs["input_ids"].min() >= 0
    assert inputs["input_ids"].max() < CONFIG.vocabulary
    assert (inputs["attention_mask"].sum(axis=1) >= 1).all()


def test_samples_depend_on_their_own_seed_alone() -> None:
    whole = TINY.inputs(4, 24, 10)
    for i in range(4):
        one = TINY.inputs(1, 24, 10 + i)
        for name, array in one.items():
            np.testing.assert_array_equal(whole[name][i], array[0])


@pytest.mark.parametrize(("batch", "sequence"), [(0, 24), (1025, 24), (1, 65)])
def test_shapes_out_of_range(batch: int, sequence: int) -> None:
    with pytest.raises(ValueError, match="outside"):
        TINY.io(batch, sequence)


@pytest.mark.parametrize("batch", [1, 3])
def test_onnx_is_the_module(tiny: Made, batch: int) -> None:
    assert verify.judge(onnx_error(tiny, batch), tiny.band) == ""


@pytest.mark.parametrize("length", [1, 7, 64])
def test_files_take_any_length(tiny: Made, length: int) -> None:
    import onnxruntime
    import torch

    inputs = TINY.inputs(2, length, 3)
    arguments = [torch.from_numpy(array) for array in inputs.values()]
    with torch.inference_mode():
        expected = tiny.module()(*arguments).numpy()
        exported = torch.export.load(tiny.files["exported"]).module()(*arguments).numpy()
    session = onnxruntime.InferenceSession(tiny.files["onnx"], providers=["CPUExecutionProvider"])
    np.testing.assert_allclose(exported, expected, atol=2e-6)
    np.testing.assert_allclose(session.run(None, inputs)[0], expected, atol=2e-6)


def test_cost_is_the_products(tiny: Made) -> None:
    cost = tiny.facts["reference"]["cost"]
    tokens, hidden, ffn = 24, CONFIG.hidden, CONFIG.ffn
    products = tokens * (4 * hidden * hidden + 2 * hidden * ffn) + 2 * tokens * tokens * hidden
    assert cost["flops"] == 2 * CONFIG.layers * products
    assert cost["looked_up"] == 2 * tokens * hidden  # a word and a position for each token
    tables = (CONFIG.vocabulary + CONFIG.positions) * hidden
    assert cost["weights"] == cost["parameters"] - tables - 2 * hidden  # nor the types of tokens, one row


def test_each_breakage_is_over_the_fp32_band(tiny: Made) -> None:
    module = tiny.module()
    assert verify.judge(tiny.error(module), tiny.band) == ""
    names = ("attention.self.query", "attention.self.value", "attention.output.dense", "intermediate.dense")
    for name in names:
        for what in breakages(module, f"encoder.layer.1.{name}.weight"):
            assert tiny.error(module).error > tiny.band.high, what


def test_a_mask_that_is_ignored_is_over_the_band(tiny: Made) -> None:
    ones = np.ones_like(tiny.reference.inputs["attention_mask"])
    assert tiny.error(tiny.module(), attention_mask=ones).error > 100 * tiny.band.high


def test_padding_changes_nothing(tiny: Made) -> None:
    import torch

    inputs = TINY.inputs(1, 24, 1)
    used = int(inputs["attention_mask"].sum())
    assert used < 24
    module = tiny.module()
    with torch.inference_mode():
        padded = module(*(torch.from_numpy(array) for array in inputs.values())).numpy()
        cut = module(*(torch.from_numpy(array[:, :used]) for array in inputs.values())).numpy()
    np.testing.assert_allclose(padded, cut, atol=1e-6)


def test_bf16_band_lies_above_fp32s(tiny: Made) -> None:
    band = tiny.facts["band"]["band"]
    assert band["low"] == tiny.band.high < 1e-3 < band["high"] < 0.5


def degeneration(made: Made, config: BertConfig) -> None:
    """Asserts that attention is neither uniform nor saturated, and that outputs answer their inputs."""

    module, spread = made.module(), {}

    def attended(name: str) -> Any:
        def hook(layer: Any, inputs: tuple[Any, ...], _output: Any) -> None:
            x, mask = inputs
            q, k = (
                y.view(*x.shape[:2], config.heads, -1).transpose(1, 2) for y in (layer.query(x), layer.key(x))
            )
            scores = q @ k.transpose(-1, -2) / math.sqrt(q.shape[-1]) + mask
            p = scores.softmax(dim=-1)
            entropy = -(p * p.clamp(min=1e-30).log()).sum(dim=-1)
            used = (mask == 0).sum(dim=-1).clamp(min=2).log()
            spread[name] = float((entropy / used)[0].mean())  # sample 0 is not padded

        return hook

    for name, layer in module.named_modules():
        if name.endswith("attention.self"):
            layer.register_forward_hook(attended(name))
    assert made.error(module).error < 5e-6
    assert len(spread) == config.layers
    for name, share in spread.items():
        assert 0.3 < share < 0.95, f"{name}: {share}"
    outputs = made.reference.outputs["embedding"]
    np.testing.assert_allclose(np.linalg.norm(outputs, axis=1), 1)
    between = outputs @ outputs.T
    assert between[~np.eye(8, dtype=bool)].max() < 0.8
    assert (verify.norms(outputs) > 0.4).all()


def test_tiny_weights_do_not_degenerate(tiny: Made) -> None:
    degeneration(tiny, CONFIG)


@pytest.mark.slow
def test_minilm_does_not_degenerate(real: Made) -> None:
    degeneration(real, MINILM.architecture)
    assert real.facts["reference"]["cost"]["flops"] == 2_868_903_936


@pytest.mark.slow
def test_each_breakage_of_minilm_is_over_the_fp32_band(real: Made) -> None:
    module = real.module()
    names = ("0.attention.self.query", "3.attention.self.value", "5.attention.self.key", "5.output.dense")
    for name in names:
        for what in breakages(module, f"encoder.layer.{name}.weight"):
            assert real.error(module).error > real.band.high, what
