"""Suite files: what they may say, each mistake with its line, the flags over them, the schema."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from bench.interfaces.errors import EXIT_USAGE, SuiteError, UsageError
from bench.suite.flags import suite_from_flags
from bench.suite.profiles import PROFILES
from bench.suite.suite import FOLDER, Suite, builtin_names, json_schema, load_suite
from bench.suite.yaml_lines import MAX_BYTES
from bench.text.numbers import rounded_time
from bench.text.units import seconds, size
from tests.helpers.strangers import python

GOOD = """
name: all of it
description: every key
workloads:
  - resnet50
  - {name: minilm-l6, sequence: [16, 128], batch: 4, weights: model.safetensors}
backends:
  - torch
  - name: onnxruntime
    preset: [stock, expert]
    options: {enable_mem_pattern: false, session.dynamic_block_base: 4}
    precisions: fp32
precisions: [fp32, "bf16:emulated", "int8:qdq"]
devices: [cpu, "cuda:0", "openvino:GPU.0", "cuda:0:1", "cuda:all", "cuda:GPU-8f3c-11"]
batches: [1, 8]
threads: [1, auto]
baseline: onnxruntime
profile: publish
budget: 1h30m
anchor: false
null: false
limits: {load: 5m, warmup: 30, burst: 10s, memory: 8GiB}
relevant: 1.5
"""
LEAST = "workloads: [resnet50]\nbackends: [torch]\n"


def suite(tmp_path: Path, text: str, name: str = "mine.yaml") -> Suite:
    path = tmp_path / name
    path.write_text(text)
    return load_suite(path)


def mistakes(tmp_path: Path, text: str) -> str:
    with pytest.raises(SuiteError) as caught:
        suite(tmp_path, text)
    assert caught.value.exit_code == EXIT_USAGE
    return caught.value.message.replace(f"{tmp_path}/", "")


def test_every_key(tmp_path: Path) -> None:
    found = suite(tmp_path, GOOD)
    plain, own = found.workloads
    assert (plain.name, plain.sequence, plain.batch, plain.weights) == ("resnet50", None, None, "")
    assert (own.sequence, own.batch) == ((16, 128), (4,))
    assert own.weights == str(tmp_path / "model.safetensors")  # beside the file, wherever we are
    assert found.backends[0].preset == ("stock",)
    assert found.backends[1].preset == ("stock", "expert")
    assert found.backends[1].options == {"enable_mem_pattern": False, "session.dynamic_block_base": 4}
    assert found.backends[1].precisions == ("fp32",)
    assert found.threads == (1, "auto")
    assert found.budget == 5400
    assert (found.limits.load, found.limits.warmup, found.limits.burst) == (300, 30, 10)
    assert found.limits.memory == 8 * 1024**3
    assert (found.anchor, found.null, found.relevant, found.profile) == (False, False, 1.5, "publish")
    assert found.baseline_spec == "onnxruntime"


def test_defaults(tmp_path: Path) -> None:
    found = suite(tmp_path, LEAST)
    assert found.name == "mine"
    assert (found.precisions, found.devices, found.batches, found.threads) == (
        ("fp32",),
        ("cpu",),
        (1,),
        ("auto",),
    )
    assert (found.anchor, found.null, found.relevant, found.profile) == (True, True, 2.0, "quick")
    assert (found.budget, found.limits.memory) == (None, None)
    assert found.baseline_spec == "torch"


def test_there_and_back(tmp_path: Path) -> None:
    found = suite(tmp_path, GOOD)
    assert suite(tmp_path, found.to_yaml(), "again.yaml") == found
    assert Suite.from_dict(json.loads(json.dumps(found.to_dict()))) == found
    assert Suite.model_validate(json.loads(found.model_dump_json())) == found  # as a store keeps it


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (LEAST + "batches: 0", "3: batches: must be greater than or equal to 1, not 0"),
        (LEAST + "batches:\n  - 1\n  - -4", "5: batches: must be greater than or equal to 1, not -4"),
        (LEAST + "batches: [1.5]", "3: batches: must be a valid integer, not 1.5"),
        (LEAST + "batches: [true]", "3: batches: must be a valid integer, not True"),
        (LEAST + "batches: []", "3: batches: is empty"),
        (LEAST + "threads: [0]", "3: threads: must be a whole number from 1 on, or auto, not 0"),
        (LEAST + "threads: all", "3: threads: must be a whole number from 1 on, or auto, not 'all'"),
        (LEAST + "precision: fp32", "3: unknown key 'precision'; did you mean 'precisions'?"),
        (LEAST + "precisions: fp23", "3: precisions: no precision is named 'fp23'; did you mean 'fp32'?"),
        (LEAST + "devices: [c p]", "3: devices: 'c p' is no device"),
        (LEAST + 'devices: ["c:p:u"]', "3: devices: 'c:p:u' is no device"),
        (LEAST + "budget: soon", "3: budget: 'soon' is no duration"),
        (
            LEAST + "profile: quik",
            "3: profile: must be 'quick', 'standard', 'publish', 'ab' or 'aa', not 'quik'",
        ),
        (LEAST + "null: maybe", "3: null: must be true or false"),
        (LEAST + "relevant: 0", "3: relevant: must be greater than 0, not 0"),
        (LEAST + "limits:\n  load: 9\n  memry: 1", "5: limits: unknown key 'memry'; did you mean 'memory'?"),
        (LEAST + "limits: {memory: lots}", "3: limits.memory: 'lots' is no size"),
        (LEAST + "baseline: onnx", "3: baseline: 'onnx' is none of the suite's backends; known: torch"),
        ("backends: [torch]", "1: workloads: is missing"),
        (
            "workloads:\n- resnet5\nbackends: [torch]",
            "2: workloads.name: no workload is named 'resnet5'; did you mean 'resnet50'?",
        ),
        (
            "workloads:\n- name: resnet50\n  sequence: 8\nbackends: [torch]",
            "3: workloads.sequence: resnet50 has no sequence axis",
        ),
        (
            "workloads: [resnet50]\nbackends:\n\n- torhc",
            "4: backends.name: no backend 'torhc'; did you mean 'torch'?",
        ),
        (
            "workloads: [resnet50]\nbackends:\n- torch\n- {name: torch, preset: exprt}",
            "4: backends.preset: torch has no preset 'exprt'; did you mean 'expert'?",
        ),
        (
            "workloads: [resnet50]\nbackends: ['torch==']",
            "2: backends.name: backend 'torch==' cannot be read",
        ),
        (
            "workloads: [resnet50]\nbackends: ['torch:nope']",
            "2: backends.name: backend 'torch' has no variant 'nope'",
        ),
        ("workloads: [resnet50\nbackends: [torch]", "2: "),
        (LEAST + "batches: [1]\nbatches: [2]", "4: key 'batches' stands twice"),
        ("- resnet50", "1: not a suite"),
        ("", "1: not a suite"),
        (LEAST + "name: !!python/object/apply:os.system [id]", "3: could not determine a constructor"),
        (LEAST + "name: 2024-99-99", "3: '2024-99-99': month"),
        (LEAST + "name: \x07", "3: a character"),
        (LEAST + "batches: 0x_", "3: '0x_': "),
        (LEAST + "limits: {<<: {load: 1}}", "3: keys are plain words here"),
    ],
)
def test_each_mistake_has_its_line(tmp_path: Path, text: str, expected: str) -> None:
    assert mistakes(tmp_path, text).startswith(f"mine.yaml:{expected}")


def test_all_mistakes_at_once_in_order(tmp_path: Path) -> None:
    found = mistakes(tmp_path, LEAST + "budget: x\nbatches: [1, 0]\nnul: 1").splitlines()
    assert [line.split(" ")[0] for line in found] == [f"mine.yaml:{n}:" for n in (3, 4, 5)]


BOMB = "a: &a [x,x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"{new}: &{new} [{','.join([f'*{old}'] * 10)}]\n" for old, new in zip("abcdefgh", "bcdefghi", strict=True)
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (BOMB, "aliases expand"),
        ("a: &a [*a]", "aliases expand"),
        ("a: " + "[" * 5000, "nested deeper than 30"),
        ("a: [" + "1," * 30_000 + "]", "too large"),
        ("#" * (MAX_BYTES + 1), "over 1000 kB"),
    ],
)
def test_bombs(tmp_path: Path, text: str, expected: str) -> None:
    assert expected in mistakes(tmp_path, text)


def test_aliases_within_reason(tmp_path: Path) -> None:
    text = (
        "workloads: [resnet50]\nbackends:\n- {name: torch, precisions: &p [fp32]}\n"
        "- {name: onnxruntime, precisions: *p}"
    )
    assert suite(tmp_path, text).backends[1].precisions == ("fp32",)


def test_files_that_are_none(tmp_path: Path) -> None:
    with pytest.raises(SuiteError, match="did you mean 'quick'"):
        load_suite("quik")
    with pytest.raises(SuiteError, match="a folder, not a file"):
        load_suite(tmp_path)
    (tmp_path / "binary.yaml").write_bytes(b"name: x\n\xff\xfe")
    with pytest.raises(SuiteError, match=r"binary.yaml:2: not UTF-8"):
        load_suite(tmp_path / "binary.yaml")


def test_weights_that_can_be_no_path(tmp_path: Path) -> None:
    for word in (r"a\0b", r"\ud800"):
        text = f'workloads:\n- {{name: resnet50, weights: "{word}"}}\nbackends: [torch]\n'
        with pytest.raises(SuiteError, match=r"mine.yaml:2: workloads.weights: .* can be no path"):
            suite(tmp_path, text)


def test_weights_that_are_a_link_stay_a_link(tmp_path: Path) -> None:
    """Beside it lie the files that it names, and not beside what it links to."""
    (tmp_path / "blob").write_text("{}")
    (tmp_path / "model.safetensors.index.json").symlink_to("blob")
    entry = "{name: resnet50, weights: model.safetensors.index.json}"
    found = suite(tmp_path, f"workloads: [{entry}]\nbackends: [torch]\n")
    assert found.workloads[0].weights == str(tmp_path / "model.safetensors.index.json")


def test_what_is_no_suite_is_named(tmp_path: Path) -> None:
    """A pipe and a device are refused in a process of its own: what is wrong there hangs."""
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "linked.yaml").symlink_to("fifo")
    (tmp_path / "dangling.yaml").symlink_to("gone.yaml")
    forms = {
        "page.yaml": (b"<!doctype html><html>Log in", "an HTML page: a log-in"),
        "pointer.yaml": (b"version https://git-lfs.github.com/spec/v1\n", "a Git LFS pointer"),
        "s.sqlite": (b"SQLite format 3\0\xff" + bytes(90), "an SQLite file, not a suite"),
        "m.tar.gz": (b"\x1f\x8b\x08\xff" + bytes(90), "a gzip archive, not a suite"),
    }
    for name, (content, _) in forms.items():
        (tmp_path / name).write_bytes(content)
    names = [*(tmp_path / name for name in ("fifo", "linked.yaml", "dangling.yaml", *forms)), "/dev/zero"]
    said = python(
        "import sys\nfrom bench.suite.suite import SuiteError, load_suite\n"
        "for name in sys.argv[1:]:\n"
        "    try: load_suite(name)\n"
        "    except SuiteError as error: print(error.message)\n",
        *names,
    ).splitlines()
    pipe = "a named pipe (FIFO), not a file"
    wanted = [pipe, pipe, "a link to gone.yaml, which is not there", *(what for _, what in forms.values())]
    for name, what, line in zip(names, [*wanted, "a character device, not a file"], said, strict=True):
        assert str(name) in line
        assert what in line


def test_quick_is_what_the_readme_runs() -> None:
    assert "quick" in builtin_names()
    quick = load_suite("quick")
    assert [entry.name for entry in quick.workloads] == [
        "resnet50",
        "mobilenet-v2",
        "minilm-l6",
        "distilbert",
        "llama-small:prefill",
        "llama-small:decode",
    ]
    assert [entry.spec for entry in quick.backends] == ["torch", "onnxruntime", "openvino"]
    assert (quick.name, quick.baseline, quick.profile) == ("quick", "torch", "quick")
    assert quick.profile in PROFILES


def test_the_schema_is_current_and_takes_the_suites() -> None:
    """Remade by `python -m bench.suite.suite > bench/suite/builtin/suite.schema.json`."""
    schema = json.loads((FOLDER / "suite.schema.json").read_text())
    assert schema == json_schema()
    validator = jsonschema.Draft202012Validator(schema)
    validator.check_schema(schema)
    for name in builtin_names():
        text = (FOLDER / f"{name}.yaml").read_text()
        assert text.startswith("# yaml-language-server: $schema=suite.schema.json\n")
        validator.validate(yaml.safe_load(text))
    good = yaml.safe_load(GOOD.replace("null:", '"null":'))
    validator.validate(good)
    for key, value in {"batches": 0, "threads": "all", "wrong": 1, "profile": "x", "precisions": []}.items():
        assert list(validator.iter_errors({**good, key: value})), key


@pytest.fixture
def base(tmp_path: Path) -> Suite:
    return suite(tmp_path, GOOD)


def test_flags_replace_lists(base: Suite) -> None:
    found = suite_from_flags(
        base,
        {
            "backends": ["onnxruntime", "torch==2.13.0"],
            "precisions": ["bf16"],
            "devices": ["cpu"],
            "batches": ["2,3"],
            "threads": ["auto", "2"],
            "budget": "90s",
            "profile": "quick",
        },
    )
    assert [entry.spec for entry in found.backends] == ["onnxruntime", "torch==2.13.0"]
    assert found.backends[0].preset == ("stock", "expert")  # its settings in the suite stay
    assert found.backends[0].precisions is None  # but for what the flag says
    assert found.precisions == ("bf16",)
    assert found.batches == (2, 3)
    assert {entry.batch for entry in found.workloads} == {None}
    assert found.threads == ("auto", 2)
    assert (found.budget, found.profile, found.baseline) == (90, "quick", "onnxruntime")
    assert found.workloads[1].sequence == (16, 128)


def test_a_baseline_that_is_measured_no_more_is_dropped(base: Suite) -> None:
    assert suite_from_flags(base, {"backends": ["openvino", "torch"]}).baseline_spec == "openvino"


def test_no_flags_change_nothing(base: Suite) -> None:
    assert suite_from_flags(base, {"backends": [], "batches": None, "budget": ""}) == base


def test_sequences_presets_and_weights(base: Suite, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    found = suite_from_flags(base, {"sequences": ["32"], "presets": ["expert"]})
    assert [entry.sequence for entry in found.workloads] == [None, (32,)]
    assert {entry.preset for entry in found.backends} == {("expert",)}
    alone = suite_from_flags(base, {"workloads": ["resnet50"], "weights": "w.safetensors"})
    assert alone.workloads[0].weights == str(tmp_path / "w.safetensors")


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        ({"batches": ["0"]}, "--batch: must be greater than or equal to 1, not 0"),
        ({"batches": ["x"]}, "--batch: must be a valid integer, not 'x'"),
        ({"threads": ["0"]}, "--threads: must be a whole number"),
        ({"workloads": ["resnet5"]}, "--workload: no workload is named 'resnet5'; did you mean 'resnet50'?"),
        ({"backends": ["torhc"]}, "--backend: no backend 'torhc'; did you mean 'torch'?"),
        ({"precisions": ["fp33"]}, "--precision: no precision is named 'fp33'; did you mean 'fp32'?"),
        ({"devices": ["?"]}, "--device: '?' is no device"),
        ({"baseline": "openvino"}, "--baseline: 'openvino' is none of the suite's backends"),
        ({"budget": "soon"}, "--budget: 'soon' is no duration"),
        ({"profile": "x"}, "--profile: must be 'quick'"),
        ({"presets": ["exprt"]}, "--preset: torch has no preset 'exprt'"),
        ({"weights": "a"}, "--weights goes with one workload"),
        ({"workloads": ["resnet50"], "sequences": ["8"]}, "--sequence: resnet50 has no sequence axis"),
    ],
)
def test_mistakes_name_the_flag(base: Suite, flags: dict[str, Any], expected: str) -> None:
    with pytest.raises(UsageError) as caught:
        suite_from_flags(base, flags)
    assert caught.value.message.startswith(expected)


def test_units() -> None:
    assert [seconds(text) for text in ("90s", "10m", "1h30m", "1.5m", "45", "1h 5s")] == [
        90,
        600,
        5400,
        90,
        45,
        3605,
    ]
    assert [size(text) for text in ("8GB", "8GiB", "512 MiB", "1000", "1.5k")] == [
        8 * 10**9, 8 * 2**30, 512 * 2**20, 1000, 1500,
    ]  # fmt: skip
    for wrong in ("", "0", "-3", "10x", "m", "nan", "inf", "30m1h"):
        with pytest.raises(ValueError):
            seconds(wrong)
    for wrong in ("", "0", "8XB", "GB", "-1"):
        with pytest.raises(ValueError):
            size(wrong)
    assert [rounded_time(value) for value in (45, 360, 5400, 7200)] == ["45 s", "6 min", "1 h 30 min", "2 h"]
