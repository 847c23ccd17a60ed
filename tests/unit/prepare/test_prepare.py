from __future__ import annotations

import os
import pickle
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bench.cache.inventory import holdings
from bench.files.paths import cache_root
from bench.interfaces.backend import Target
from bench.interfaces.case import HARNESS, Case
from bench.interfaces.errors import ModelFileError
from bench.plugins import workload_registry
from bench.prepare.graph import HARNESS_IO, content_for, weights_sha256
from bench.prepare.prepare import Prepared
from bench.worker import verify
from tests.helpers.tiny_cases import PLUGIN, Events, case, own_cache, recorded


@pytest.fixture(scope="module", autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    with own_cache(tmp_path_factory.mktemp("cache")) as folder:
        yield folder


@pytest.fixture(scope="module")
def first() -> tuple[list[Case], dict[str, Prepared], Events]:
    cases = [case("torch"), case("onnxruntime"), case("torch", "bf16"), case("openvino", batch=9)]
    return cases, *recorded(*cases)


def test_everything_is_made(first: tuple[list[Case], dict[str, Prepared], Events]) -> None:
    cases, prepared, events = first
    for one in cases:
        ready = prepared[one.id]
        assert (ready.error, ready.status) == ("", "ok")
        assert ready.made
        assert ready.seconds > 0
        assert ready.model is not None
        assert ready.model.format == ("torch-graph" if one.backend == "torch" else "onnx")
        assert ready.model.path.is_file()
        assert ready.reference is not None
        assert verify.load_reference(ready.reference).count == max(8, one.batch)
        assert ready.inputs is not None
        with np.load(ready.inputs) as file:
            assert {t.name: t.shape for t in ready.io.inputs} == {
                name: file[name].shape for name in file.files
            }
    states = [facts["state"] for kind, facts in events if kind == "prepare"]
    assert states.count("making") == states.count("made") == 10
    assert "failed" not in states


def test_what_is_made_is_what_would_be_used(
    first: tuple[list[Case], dict[str, Prepared], Events],
) -> None:
    """`bakeoff cache list` judges artefacts by the key that preparing gives them."""
    _, prepared, _ = first
    found = [one for one in holdings() if one.workload == "tiny-cnn"]
    assert len(found) >= 9
    assert {(one.state, one.reason) for one in found} == {("current", "")}
    assert all(one.about["seconds"] > 0 and one.about["peak_bytes"] > 10**7 for one in found)
    assert {one.sha256 for one in found} >= {ready.model.sha256 for ready in prepared.values() if ready.model}


def test_its_progress_is_told(first: tuple[list[Case], dict[str, Prepared], Events]) -> None:
    _, _, events = first
    made = [facts for kind, facts in events if kind == "prepare" and facts["state"] == "made"]
    assert [facts["done"] for facts in made] == list(range(1, 11))
    assert {facts["of"] for facts in made} == {10}
    assert all(facts["seconds"] > 0 and facts["bytes"] > 100 for facts in made)
    ticks = [facts["artefacts"] for kind, facts in events if kind == "making"]
    assert ticks  # a converter imports torch, which takes over a second
    assert all(0 < len(tick) <= 2 and min(tick.values()) > 0 for tick in ticks)
    assert set().union(*ticks) <= {facts["artefact"] for facts in made}
    (total,) = (facts for kind, facts in events if kind == "prepared")
    assert (total["made"], total["cached"], total["unsupported"]) == (10, 0, 0)
    assert total["seconds"] >= max(facts["seconds"] for facts in made)
    assert total["cache_bytes"] > sum(facts["bytes"] for facts in made)  # manifests besides


def test_the_timed_input_is_no_verification_sample(
    first: tuple[list[Case], dict[str, Prepared], Events],
) -> None:
    cases, prepared, _ = first
    ready = prepared[cases[0].id]
    assert ready.reference is not None
    assert ready.inputs is not None
    samples = verify.load_reference(ready.reference).inputs["image"]
    with np.load(ready.inputs) as file:
        assert not any(np.array_equal(file["image"][0], sample) for sample in samples)


def test_lineage_and_bands(first: tuple[list[Case], dict[str, Prepared], Events]) -> None:
    cases, prepared, _ = first
    single, onnx, reduced, _ = (prepared[one.id] for one in cases)
    assert onnx.model is not None
    assert single.model is not None
    assert [step["kind"] for step in onnx.model.lineage] == ["onnx", "exported", "origin"]
    assert onnx.model.lineage[0]["opset"] == 20
    assert [step["kind"] for step in single.model.lineage] == ["torch-graph", "exported", "origin"]
    assert onnx.model.lineage[0]["parents"] == single.model.lineage[0]["parents"]
    assert "onnxscript" in onnx.model.lineage[0]["versions"]
    assert single.band is not None
    assert reduced.band is not None
    assert single.band.low == 0
    assert reduced.band.low == single.band.high < reduced.band.high


def test_cost_follows_batch_and_precision(first: tuple[list[Case], dict[str, Prepared], Events]) -> None:
    cases, prepared, _ = first
    one, _, reduced, nine = (prepared[c.id].cost for c in cases)
    assert one is not None
    assert reduced is not None
    assert nine is not None
    assert nine.flops == 9 * one.flops
    assert one.detail["weight_bytes"] == nine.detail["weight_bytes"] == 2 * reduced.detail["weight_bytes"]
    assert one.detail["tensor_bytes"] == 4 * (3 * 32 * 32 + 10)
    assert one.bytes == one.detail["weight_bytes"] + one.detail["tensor_bytes"]


def test_the_second_time_makes_nothing(first: tuple[list[Case], dict[str, Prepared], Events]) -> None:
    cases, prepared, _ = first
    again, events = recorded(*cases)
    *settled, (last, total) = events
    assert {(kind, facts["state"]) for kind, facts in settled} == {("prepare", "cached")}
    assert [facts["done"] for _, facts in settled] == list(range(1, 11))
    assert last == "prepared"
    assert (total["made"], total["cached"], total["failed"]) == (0, 10, 0)
    for one in cases:
        assert again[one.id] == replace(prepared[one.id], seconds=0.0, made=())


def test_a_damaged_file_is_made_anew(first: tuple[list[Case], dict[str, Prepared], Events]) -> None:
    cases, prepared, _ = first
    model = prepared[cases[1].id].model
    assert model is not None
    model.path.write_bytes(b"broken")
    again, events = recorded(cases[1])
    assert again[cases[1].id].made == ("tiny-cnn onnx",)
    assert [kind for kind, _ in events].count("note") == 1
    assert model.path.stat().st_size > 1000


def test_the_parent_imports_no_runtime(cache: Path) -> None:
    code = (
        "import sys; from tests.helpers.tiny_cases import case; from bench.prepare.prepare import prepare\n"
        "one = case('onnxruntime'); ready = prepare([one], lambda *_: None)[one.id]\n"
        "print(ready.error, sorted({'torch', 'onnxruntime', 'pandas', 'onnx'} & set(sys.modules)))"
    )
    root = PLUGIN.parent.parent
    variables = {**os.environ, "PYTHONPATH": f"{PLUGIN}{os.pathsep}{root}"}
    done = subprocess.run([sys.executable, "-c", code], env=variables, capture_output=True, text=True)
    assert done.stdout.strip() == "[]", done.stderr


def test_the_harness_needs_nothing() -> None:
    one = Case(HARNESS, "", 1, None, "null", Target(), role="overhead")
    prepared, events = recorded(one)
    assert prepared[one.id] == Prepared(None, HARNESS_IO)
    assert events == []


@pytest.mark.parametrize(
    ("changed", "status", "says"),
    [
        ({"target": Target(precision="int3")}, "unsupported", "no error band is known for int3"),
        ({"batch": 5000}, "unsupported", "batch 5000 is outside 1 to 1024"),
        ({"sequence": 7}, "unsupported", "no sequence axis"),
        ({"backend": "torhc"}, "failed", "did you mean 'torch'"),
        ({"content": "0" * 16}, "failed", "has changed"),
        ({"workload": "tiny-cnm"}, "failed", "did you mean 'tiny-cnn'"),
    ],
)
def test_cases_that_cannot_be_prepared(changed: dict[str, Any], status: str, says: str) -> None:
    one = replace(case(), **changed)
    prepared, events = recorded(one)
    assert prepared[one.id].status == status
    assert says in prepared[one.id].error
    assert events == []


def test_a_backend_of_other_formats(monkeypatch: pytest.MonkeyPatch) -> None:
    from bench.plugins import backend_registry as backends

    monkeypatch.setattr(backends.get("torch"), "formats", ("gguf",), raising=False)
    one = case("torch")
    ready = recorded(one)[0][one.id]
    assert ready.status == "unsupported"
    assert ready.error.startswith("torch takes gguf; converters make ")
    assert {"exported", "onnx"} <= set(ready.error.partition(" make ")[2].split(", "))


class Evil:
    """A pickle that runs code when it is loaded."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return (Path.touch, (self.path,))


def checkpoint(path: Path, change: Callable[[dict[str, Any]], Any]) -> str:
    import torch

    torch.save(change(workload_registry.get("tiny-cnn").build().state_dict()), path)
    return str(path)


def without(key: str) -> Callable[[dict[str, Any]], Any]:
    return lambda state: {k: v for k, v in state.items() if k != key}


BAD: list[tuple[Callable[[dict[str, Any]], Any], str]] = [
    (without("fc.weight"), "is no checkpoint of tiny-cnn: 55 of the 56 keys fit; it lacks fc.weight"),
    (lambda s: {**s, "layer9.w": s["fc.bias"]}, "has besides layer9.w"),
    (lambda s: {**s, "fc.bias": s["fc.bias"][:5]}, "differs: fc.bias is [5], not [10]"),
    (lambda s: {**s, "fc.bias": s["fc.bias"] * float("nan")}, "fc.bias holds values that are not finite"),
    (lambda s: {**s, "epoch": 3}, "other things than tensors among them: epoch (int)"),
    (lambda s: list(s.values()), "holds list"),
]


@pytest.mark.parametrize(("change", "says"), BAD)
def test_bad_checkpoints(tmp_path: Path, change: Callable[[dict[str, Any]], Any], says: str) -> None:
    from bench.prepare.converters.weights import load_checkpoint

    workload = workload_registry.get("tiny-cnn")
    path = checkpoint(tmp_path / "bad.pt", change)
    with pytest.raises(ModelFileError, match=r"bad\.pt") as caught:
        load_checkpoint(workload, workload.build(), Path(path))
    assert says in str(caught.value)


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("a.safetensors", b"\x08\x00\x00\x00\x00\x00\x00\x00{broken}", "broken safetensors"),
        ("b.pt", b"no checkpoint", "a text file"),
        ("c.pt", b"", "is empty"),
    ],
)
def test_files_that_are_no_checkpoint(tmp_path: Path, name: str, content: bytes, says: str) -> None:
    from bench.prepare.converters.weights import read_checkpoint

    (tmp_path / name).write_bytes(content)
    with pytest.raises(ModelFileError, match=name) as caught:
        read_checkpoint(tmp_path / name)
    assert says in str(caught.value)


def test_a_pickle_with_code_is_never_loaded(tmp_path: Path) -> None:
    from bench.prepare.converters.weights import read_checkpoint

    trace, path = tmp_path / "it-ran", tmp_path / "evil.pt"
    path.write_bytes(pickle.dumps({"conv1.weight": Evil(trace)}))
    for call in (lambda: case(weights=str(path)), lambda: read_checkpoint(path)):
        with pytest.raises(ModelFileError, match="never loaded") as caught:
            call()
        assert "safetensors" in str(caught.value)
    assert not trace.exists()


def test_a_checkpoint_that_only_its_converter_can_judge_fails_its_case_alone(tmp_path: Path) -> None:
    """tiny-cnn is another distribution's: there is no table of its tensors."""
    bad, good = case(weights=checkpoint(tmp_path / "bad.pt", without("fc.weight"))), case()
    prepared, events = recorded(bad, good)
    assert prepared[bad.id].status == "failed"
    assert "it lacks fc.weight" in prepared[bad.id].error
    assert prepared[good.id].error == ""
    failed = [facts["artefact"] for _, facts in events if facts.get("state") == "failed"]
    assert {"tiny-cnn origin", "tiny-cnn exported"} <= set(failed)  # and what descends from it


def test_a_users_checkpoint_is_used(tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    module = workload_registry.get("tiny-cnn").build()
    workload_registry.get("tiny-cnn").seed_weights(module, 7)
    path = tmp_path / "mine.safetensors"
    state = {k: v for k, v in module.state_dict().items() if "num_batches" not in k}
    save_file(state, path)
    one = case(weights=str(path))
    assert one.content != case().content
    ready = recorded(one)[0][one.id]
    assert ready.error == ""
    assert ready.model is not None
    assert ready.model.lineage[-1]["weights"] == "checkpoint"
    origin = cache_root() / "origin"
    made = [load_file(p)["fc.bias"] for p in origin.glob("*/weights.safetensors")]
    assert any(bool((bias == state["fc.bias"]).all()) for bias in made)
    own = [held for held in holdings() if held.own and held.sha256 == ready.model.sha256]
    assert [(held.workload, held.state) for held in own] == [("tiny-cnn", "current")]
    assert str(tmp_path) not in (own[0].folder / "manifest.json").read_text()  # the checkpoint's path


def test_a_missing_checkpoint(tmp_path: Path) -> None:
    with pytest.raises(ModelFileError, match=r"none\.pt.*No such file"):
        content_for("tiny-cnn", str(tmp_path / "none.pt"))
    (tmp_path / "w").write_bytes(b"1")
    before = weights_sha256(tmp_path / "w")
    (tmp_path / "w").write_bytes(b"22")
    assert weights_sha256(tmp_path / "w") != before


def test_tools_do_not_report_their_use(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """ONNX Runtime and OpenVINO leave an identity in the home where they do."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("CI", raising=False)
    cases = [case("onnxruntime", "int8:qdq"), case("openvino", "int8:native")]
    prepared, _ = recorded(*cases)
    assert [prepared[one.id].error for one in cases] == ["", ""]
    assert not list(tmp_path.rglob("*"))
