"""The decoder: its arithmetic against transformers', and generation step by step on real runtimes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bench.interfaces.backend import Session, Stepping, Target
from bench.interfaces.tensors import Array, IOSpec, ModelFile
from bench.interfaces.workload import content_hash
from bench.plugins import backend_registry
from bench.worker import verify
from benchmarks.decoding import sampled
from tests.helpers.families import Made, make
from workloads.llama import WORKLOADS, Llama, LlamaConfig, LlamaDecode, LlamaPrefill

CONFIG = LlamaConfig(layers=3, hidden=64, heads=4, kv_heads=2, ffn=96, vocabulary=300, positions=512)
PREFILL, DECODE = LlamaPrefill("tiny", "three layers", CONFIG), LlamaDecode("tiny", "three layers", CONFIG)
STEPS = 64
RUNTIMES = ("torch", "onnxruntime", "openvino")
FORMATS = {"torch": "torch-graph", "onnxruntime": "onnx", "openvino": "onnx"}


@pytest.fixture(scope="module")
def prefill(tmp_path_factory: pytest.TempPathFactory) -> Made:
    kinds = ("origin", "reference", "exported", "torch-graph", "onnx", "band")
    return make(PREFILL, tmp_path_factory.mktemp("prefill"), *kinds)


@pytest.fixture(scope="module")
def decode(tmp_path_factory: pytest.TempPathFactory) -> Made:
    kinds = ("origin", "reference", "exported", "torch-graph", "onnx", "band")
    return make(DECODE, tmp_path_factory.mktemp("decode"), *kinds)


def test_the_geometry_is_smollm2s() -> None:
    module = WORKLOADS[0].build()
    assert sum(p.numel() for p in module.parameters()) == 134_515_008
    state = module.state_dict()
    assert state["model.embed_tokens.weight"].shape == (49152, 576)
    assert state["model.layers.29.self_attn.k_proj.weight"].shape == (192, 576)
    assert "model.cos" not in state


def test_two_steps_of_one_model_share_its_weights_and_nothing_else() -> None:
    assert PREFILL.build().state_dict().keys() == DECODE.build().state_dict().keys()
    assert PREFILL.weights_of == DECODE.weights_of == PREFILL.name
    assert content_hash(PREFILL) != content_hash(DECODE)


def test_shapes_of_a_step() -> None:
    io = DECODE.io(2, 7)
    shapes = {t.name: t.shape for t in (*io.inputs, *io.outputs)}
    assert shapes["past.2.value"] == (2, 2, 7, 16)
    assert shapes["present.2.value"] == (2, 2, 8, 16)
    assert io.growing == {into: 2 for _, into in io.state}
    assert [t.name for t in io.fetched] == ["logits"]
    assert len(io.carried) == 6
    read = PREFILL.io(2, 7)
    assert (read.carried, read.growing) == (frozenset(), {})
    assert [t.name for t in read.fetched] == ["logits"]
    for bad in ((0, 7), (65, 7), (1, 512)):
        with pytest.raises(ValueError, match="outside"):
            DECODE.io(*bad)


def test_inputs_depend_on_their_own_seed_alone() -> None:
    for workload in (PREFILL, DECODE):
        whole = workload.inputs(3, 9, 10)
        assert {name: a.shape for name, a in whole.items()} == {
            t.name: t.shape for t in workload.io(3, 9).inputs
        }
        for i in range(3):
            for name, array in workload.inputs(1, 9, 10 + i).items():
                np.testing.assert_array_equal(whole[name][i], array[0])


def test_it_is_transformers_model_with_the_same_weights(prefill: Made, decode: Made) -> None:
    transformers = pytest.importorskip("transformers")
    import torch

    theirs = transformers.LlamaForCausalLM(
        transformers.LlamaConfig(
            hidden_size=CONFIG.hidden,
            num_hidden_layers=CONFIG.layers,
            num_attention_heads=CONFIG.heads,
            num_key_value_heads=CONFIG.kv_heads,
            intermediate_size=CONFIG.ffn,
            vocab_size=CONFIG.vocabulary,
            max_position_embeddings=CONFIG.positions,
            rms_norm_eps=CONFIG.epsilon,
            rope_parameters={"rope_type": "default", "rope_theta": CONFIG.theta},
            tie_word_embeddings=True,
        )
    ).eval()
    missing, unexpected = theirs.load_state_dict(prefill.module().state_dict(), strict=False)
    assert (missing, unexpected) == (["lm_head.weight"], [])
    ids = torch.from_numpy(PREFILL.inputs(2, 33, 5)["input_ids"])
    with torch.inference_mode():
        ours, expected = prefill.module()(ids), theirs(ids, use_cache=True)
        torch.testing.assert_close(ours[0], expected.logits[:, -1], rtol=0, atol=2e-5)
        torch.testing.assert_close(ours[-1], expected.past_key_values.layers[-1].values, rtol=0, atol=2e-5)
        token = ours[0].argmax(-1, keepdim=True)
        step = decode.module()(token, *ours[1:])
        further = theirs(token, past_key_values=expected.past_key_values)
        torch.testing.assert_close(step[0], further.logits[:, -1], rtol=0, atol=2e-5)


def test_seeded_weights_answer_their_prompt(prefill: Made) -> None:
    """Neither the last token again nor one answer to everything: what random weights easily do."""
    reference = prefill.reference
    logits = reference.outputs["logits"]
    likeliest = logits.argmax(axis=1)
    assert len(set(likeliest)) > 4
    assert (likeliest == reference.inputs["input_ids"][:, -1]).sum() < 3
    assert (reference.norms["logits"] > 0.5 * np.linalg.norm(logits, axis=1)).all()


@contextmanager
def opened(made: Made, runtime: str, io: IOSpec) -> Iterator[Session]:
    kind = FORMATS[runtime]
    backend = backend_registry.get(runtime)
    with backend.load(ModelFile(kind, made.files[kind], ""), Target(), io) as session:
        yield session


@pytest.mark.parametrize("runtime", RUNTIMES)
@pytest.mark.parametrize("which", ["prefill", "decode"])
@pytest.mark.parametrize("batch", [1, 3])
def test_a_step_is_within_the_band(
    which: str, runtime: str, batch: int, request: pytest.FixtureRequest
) -> None:
    made: Made = request.getfixturevalue(which)
    io = made.workload.io(batch, made.workload.default_length)
    with opened(made, runtime, io) as session:
        found = verify.check(made.reference, lambda x: session.fetch(session.run(session.stage(x))), batch)
    assert verify.judge(found, made.band) == ""


def generated(module: Any, ids: Array, cache: tuple[Any, ...], steps: int) -> list[int]:
    """Tokens of the module itself."""
    import torch

    tokens = [int(ids[0, 0])]
    with torch.inference_mode():
        for step in range(steps):
            logits, *cache = module(torch.tensor([[tokens[-1]]]), *cache)  # type: ignore[assignment]
            tokens.append(sampled(logits.numpy(), step))
    return tokens[1:]


def after_prompt(prefill: Made, length: int) -> tuple[Array, tuple[Any, ...]]:
    """The token after a prompt, and the prompt's cache."""
    import torch

    with torch.inference_mode():
        logits, *cache = prefill.module()(torch.from_numpy(PREFILL.inputs(1, length, 3)["input_ids"]))
    return logits.argmax(-1, keepdim=True).numpy(), tuple(cache)


@pytest.mark.parametrize("runtime", RUNTIMES)
@pytest.mark.parametrize("context", [1, 128])
def test_it_generates_the_reference_token_for_token(
    prefill: Made, decode: Made, runtime: str, context: int
) -> None:
    ids, cache = after_prompt(prefill, context)
    expected = generated(decode.module(), ids, cache, STEPS)
    assert len(set(expected)) > STEPS / 4
    arrays = {into: tensor.numpy() for (_, into), tensor in zip(DECODE.state, cache, strict=True)}
    found = []
    with opened(decode, runtime, DECODE.io(1, context)) as session:
        assert isinstance(session, Stepping)
        staged = session.stage({"input_ids": ids, **arrays})
        for step in range(STEPS):
            outputs = session.run(staged)
            found.append(sampled(session.fetch(outputs)["logits"], step))
            staged = session.advance(staged, outputs, {"input_ids": np.array([[found[-1]]])})
    assert found == expected


def addresses(runtime: str, staged: Any, outputs: Any, io: IOSpec) -> tuple[list[int], list[int]]:
    """Where the state lies: as the outputs have it, and as the next step is staged."""
    places = {t.name: i for i, t in enumerate(io.outputs)}
    order = [t.name for t in io.inputs]
    if runtime == "torch":
        return [outputs[places[o]].data_ptr() for o, _ in io.state], [
            staged[order.index(i)].data_ptr() for _, i in io.state
        ]
    if runtime == "onnxruntime":
        return [outputs[places[o]].data_ptr() for o, _ in io.state], [
            staged[i].data_ptr() for _, i in io.state
        ]
    ports = {name: i for i, port in enumerate(outputs.model_inputs) for name in port.get_names()}
    given = {name: i for i, port in enumerate(outputs.model_outputs) for name in port.get_names()}
    return [outputs.get_output_tensor(given[o]).data.ctypes.data for o, _ in io.state], [
        staged.tensors[ports[i]].data.ctypes.data for _, i in io.state
    ]


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_the_cache_goes_on_where_it_lies(decode: Made, runtime: str) -> None:
    io = DECODE.io(1, 40)
    inputs: Mapping[str, Array] = DECODE.inputs(1, 40, 0)
    with opened(decode, runtime, io) as session:
        assert isinstance(session, Stepping)
        staged = session.stage(inputs)
        for _ in range(3):
            outputs = session.run(staged)
            assert session.fetch(outputs).keys() == {"logits"}
            staged = session.advance(staged, outputs, {"input_ids": inputs["input_ids"]})
            left, next_step = addresses(runtime, staged, outputs, io)
            assert left == next_step
            assert len(set(left)) == len(io.state)


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_a_token_is_staged_onto_a_cache_that_stays(decode: Made, runtime: str) -> None:
    """What a timed step does: the same cache again and again, a new token."""
    io = DECODE.io(1, 40)
    inputs = DECODE.inputs(1, 40, 0)
    others = {**inputs, "input_ids": (inputs["input_ids"] + 7) % CONFIG.vocabulary}
    with opened(decode, runtime, io) as session:

        def logits(staged: Any) -> Array:
            return session.fetch(session.run(staged))["logits"].copy()

        kept = session.stage(inputs)
        first, other = logits(kept), logits(session.stage(others))
        again = logits(session.stage({"input_ids": others["input_ids"]}, onto=kept))
        np.testing.assert_array_equal(again, other)
        assert not np.array_equal(first, other)
        np.testing.assert_array_equal(logits(kept), first)


@pytest.mark.parametrize("workload", WORKLOADS, ids=lambda one: one.name)
def test_registered(workload: Llama, tmp_path: Path) -> None:
    from bench.plugins.workload_registry import get

    assert get(workload.name) is workload
    assert get(workload.weights_of).weights_of == workload.weights_of
