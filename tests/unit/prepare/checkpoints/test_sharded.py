"""Sharded checkpoints by their index, and what the command line makes of any of them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bench.interfaces.errors import EXIT_USAGE
from bench.plugins import workload_registry
from bench.prepare.graph import content_for, weights_sha256
from tests.helpers.strangers import (
    BIAS,
    WORKLOAD,
    converted,
    named,
    refused,
    rewritten,
    saved,
    sharded,
    state,
    swapped,
    tensors,
    to,
)

INDEX = "model.safetensors.index.json"


def test_a_single_files_hash_is_that_of_its_bytes(tmp_path: Path) -> None:
    import hashlib

    path = saved(tmp_path / "w.pt", state())
    assert weights_sha256(path) == hashlib.sha256(path.read_bytes()).hexdigest()


def test_the_hash_of_a_sharded_one_covers_every_shard_and_the_index(tmp_path: Path) -> None:
    folder = sharded(tmp_path / "w", state())
    before = weights_sha256(folder)
    assert weights_sha256(folder / INDEX) == before
    other = {**state(), "classifier.1.bias": state()["classifier.1.bias"] + 1}
    assert weights_sha256(sharded(tmp_path / "v", other)) != before


def test_the_hash_tells_apart_which_of_two_files_a_key_is_taken_from(tmp_path: Path) -> None:
    folder = tmp_path / "w"
    folder.mkdir()
    for number in (1, 2):
        tensors(folder / f"{number}.safetensors", {**state(), BIAS: state()[BIAS] + number})
    where = dict.fromkeys(state(), "1.safetensors")
    found = set()
    for number in (1, 2):
        text = {
            "weight_map": {**where, "classifier.1.weight": "2.safetensors", BIAS: f"{number}.safetensors"}
        }
        (folder / INDEX).write_text(json.dumps(text))
        found.add(weights_sha256(folder))
        assert float(converted(folder)[BIAS][0]) == number
    assert len(found) == 2


def first_at(name: str) -> Callable[[dict[str, str]], dict[str, str]]:
    return lambda where: {**where, next(iter(where)): name}


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (first_at("../outside.safetensors"), "../outside.safetensors, which is outside of its folder"),
        (first_at("/etc/passwd"), "/etc/passwd, which is outside of its folder"),
        (first_at("link.safetensors"), "outside.safetensors, outside of its folder"),
        (first_at("gone.safetensors"), "gone.safetensors of its folder is not there"),
        (first_at("model-00002-of-00002.safetensors"), "is not in the file that it gives"),
        (lambda where: {**where, "classifier.1.bias": 3}, "does not give a file for each key"),
        (lambda where: {}, "does not give a file for each key"),
        (lambda where: {**where, "more": next(iter(where.values()))}, "more is not in the file"),
    ],
)
def test_an_index_that_does_not_hold(
    tmp_path: Path, change: Callable[[dict[str, str]], dict[str, str]], says: str
) -> None:
    folder = sharded(tmp_path / "w", state())
    tensors(tmp_path / "outside.safetensors", state())
    (folder / "link.safetensors").symlink_to(tmp_path / "outside.safetensors")
    rewritten(folder / INDEX, change)
    assert says in refused(folder)


def test_links_within_hugging_faces_cache_are_followed(tmp_path: Path) -> None:
    home = tmp_path / "models--a--b"
    made = sharded(tmp_path / "made", state())
    snapshot = home / "snapshots" / "c0ffee"
    snapshot.mkdir(parents=True)
    (home / "blobs").mkdir()
    for number, file in enumerate(sorted(made.iterdir())):
        file.rename(home / "blobs" / str(number))
        (snapshot / file.name).symlink_to(f"../../blobs/{number}")
    content_for(WORKLOAD, str(snapshot))
    assert float(converted(snapshot)["classifier.1.weight"].abs().sum()) == 0.0


def test_a_folder_without_an_index(tmp_path: Path) -> None:
    (tmp_path / "bare").mkdir()
    assert "a folder that has no index (model.safetensors.index.json)" in refused(tmp_path / "bare")
    tensors(tmp_path / "bare" / "model.safetensors", state())
    assert f"--weights {tmp_path / 'bare' / 'model.safetensors'}" in refused(tmp_path / "bare")


def test_an_index_is_read_up_to_a_bound(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from bench.prepare.checkpoints import sharded as module

    folder = sharded(tmp_path / "w", state())
    monkeypatch.setattr(module, "MAX_INDEX", 1000)
    assert "that is no index" in refused(folder)
    (folder / INDEX).write_text("[" * 900)
    assert "broken JSON" in refused(folder)


# the command line


def test_nothing_is_started_for_a_file_that_is_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from bench import api
    from bench.cli import main

    def started(*_: object) -> None:
        pytest.fail("a worker or converter was started")

    monkeypatch.setattr(api, "probe_all", started)
    monkeypatch.setattr(api, "prepare", started)
    path = saved(tmp_path / "int8.pt", to("int8")())
    (tmp_path / "mine.yaml").write_text(
        "workloads: [{name: mobilenet-v2, weights: int8.pt}]\nbackends: [torch]\n"
    )
    flags = ("--workload", WORKLOAD, "--weights", "int8.pt")
    commands = (
        ("run", *flags, "--backend", "torch"),
        ("run", str(tmp_path / "mine.yaml")),  # beside the file, wherever we are
        ("list", "cases", *flags),
        ("ab", "torch", "torch@threads=1", *flags),
        ("aa", "torch", *flags),
    )
    (tmp_path / "elsewhere").mkdir()
    for command in commands:
        monkeypatch.chdir(tmp_path / ("elsewhere" if "mine.yaml" in command[1] else "."))
        assert main(command) == EXIT_USAGE, command
        err = capsys.readouterr().err
        assert f"{path} is no checkpoint of mobilenet-v2" in err
        assert "int8, not floating point" in err


def test_how_it_is_read_is_told_once_before_anything_is_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from bench.interfaces.backend import Target
    from bench.interfaces.case import Case
    from bench.prepare import prepare as preparing

    class Making(Exception):
        pass

    def make(*_: object) -> None:
        raise Making

    told: list[tuple[str, Any]] = []
    monkeypatch.setattr(preparing, "make_all", make)
    path = saved(tmp_path / "w.pt", {"model": named("module.")})
    content = content_for(WORKLOAD, str(path))
    cases = [Case(WORKLOAD, content, n, None, "torch", Target(), weights=str(path)) for n in (1, 2)]
    plain = Case(WORKLOAD, content_for(WORKLOAD), 1, None, "torch", Target())
    with pytest.raises(Making):
        preparing.prepare([*cases, plain], lambda event, facts: told.append((event, dict(facts))))
    assert told == [("note", {"text": f"{path} is read under 'model', without the prefix 'module.'"})]


def test_how_it_was_read_stands_in_the_lineage(tmp_path: Path) -> None:
    import torch

    from tests.helpers.tiny_cases import case, recorded

    module = workload_registry.get("tiny-cnn").build()
    workload_registry.get("tiny-cnn").seed_weights(module, 3)
    torch.save({"model": {f"module.{k}": v for k, v in module.state_dict().items()}}, tmp_path / "t.pt")
    ready = recorded(one := case(weights=str(tmp_path / "t.pt")))[0][one.id]
    assert ready.error == ""
    assert ready.model is not None
    assert ready.model.lineage[-1]["read"] == "under 'model', without the prefix 'module.'"


def test_a_run_is_not_resumed_with_other_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from bench import api
    from bench.interfaces.errors import UsageError
    from bench.store.records import CaseRecord, RunRecord
    from bench.store.sqlite import Store
    from bench.suite.suite import Suite

    path = saved(tmp_path / "w.pt", state())
    entry = {"name": WORKLOAD, "weights": str(path)}
    suite = Suite.from_dict({"workloads": [entry], "backends": ["torch"]})
    monkeypatch.setattr(api, "probe_all", lambda names: {})
    planned, _, _ = api.plan_suite(suite)
    with Store.open(tmp_path / "s.sqlite", create=True) as store:
        record = RunRecord("r1", "", "interrupted", "2026-01-01", suite=suite.to_dict())
        store.create_run(record)
        store.add_cases("r1", [CaseRecord(case) for case, _, _ in planned.refused])
    saved(path, swapped("classifier.1.bias", lambda one: one + 1)())
    with pytest.raises(UsageError, match=r"w\.pt has changed since run r1"):
        api.run(store=tmp_path / "s.sqlite", resume="r1")
