"""A checkpoint is looked at before anything is made of it: what it is, what it holds, and whether it fits."""

from __future__ import annotations

import os
import socket
from argparse import Namespace
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bench.interfaces.errors import ModelFileError
from bench.plugins import workload_registry
from bench.prepare.checkpoints import tables
from tests.helpers.strangers import (
    NOT_CHECKPOINTS,
    WORKLOAD,
    Touches,
    converted,
    floats,
    named,
    python,
    refused,
    saved,
    sharded,
    state,
    swapped,
    tensors,
    to,
    zipped,
)
from tools import workload_states

INDEX = "model.safetensors.index.json"


def refused_twice(path: Path | str) -> str:
    """As `refused`; the converter says the same, word for word, up to what to do."""
    said = refused(path)
    with pytest.raises(ModelFileError) as caught:
        converted(path)
    assert caught.value.message == said.partition("\n")[0]
    return said


def test_the_table_is_that_of_the_modules() -> None:
    """Else: python -m tools.workload_states"""
    assert tables.TABLE.read_text() == workload_states.text()
    assert {workload_registry.get(name).weights_of or name for name in workload_registry.names()} - {
        "tiny-cnn"
    } == set(tables.names())


@pytest.mark.parametrize("name", NOT_CHECKPOINTS)
def test_what_is_no_checkpoint_is_named(tmp_path: Path, name: str) -> None:
    content, what, instead = NOT_CHECKPOINTS[name]
    trace = tmp_path / "trace.npz"
    (tmp_path / name).write_bytes(content(trace))
    said = refused_twice(tmp_path / name)
    assert what in said.partition("\n")[0]
    assert instead in said.partition("\n")[2]
    assert not trace.exists()


def test_what_is_no_file_is_not_waited_for(tmp_path: Path) -> None:
    """In a process of its own: what is wrong here hangs."""
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "link").symlink_to("fifo")
    sharded(tmp_path / "parts", state())
    shard = tmp_path / "parts" / "model-00001-of-00002.safetensors"
    shard.unlink()
    os.mkfifo(shard)
    code = (
        "import sys\nfrom bench.prepare.graph import content_for\n"
        "from bench.interfaces.errors import ModelFileError\n"
        "for path in sys.argv[1:]:\n"
        "    try: content_for('mobilenet-v2', path)\n"
        "    except ModelFileError as error: print(error.message)\n"
        "assert 'torch' not in sys.modules\n"
    )
    with socket.socket(socket.AF_UNIX) as one:
        one.bind("socket")
        paths = [*map(tmp_path.joinpath, ("fifo", "link", "parts", "socket")), "/dev/zero", "/dev/null"]
        said = python(code, *paths).splitlines()
    pipe = "a named pipe (FIFO), not a file"
    device = "a character device, not a file"
    assert [line.partition(": ")[2] for line in said] == [
        pipe,
        pipe,
        pipe,
        "a socket, not a file",
        device,
        device,
    ]


def test_what_is_not_there(tmp_path: Path) -> None:
    (tmp_path / "dangling.pt").symlink_to("gone.pt")
    assert "No such file" in refused(tmp_path / "none.pt")
    assert "a link to gone.pt, which is not there" in refused(tmp_path / "dangling.pt")


TAKEN: dict[str, Callable[[Path], Path]] = {
    "plain": lambda path: saved(path, state()),
    "old": lambda path: saved(path, state(), _use_new_zipfile_serialization=False),
    "safetensors": lambda path: tensors(path, state()),
    "half": lambda path: saved(path, floats(lambda one: one.half())),
    "bf16": lambda path: tensors(path, floats(lambda one: one.bfloat16())),
    "double": lambda path: saved(path, floats(lambda one: one.double())),
    "lean": lambda path: saved(path, {k: v for k, v in state().items() if "num_batches" not in k}),
    "sharded": lambda path: sharded(path, state()),
    "sharded-bin": lambda path: sharded(path, state(), "bin"),
    "index": lambda path: sharded(path, state()) / INDEX,
}


@pytest.mark.parametrize("form", TAKEN)
def test_what_is_taken(tmp_path: Path, form: str) -> None:
    from bench.prepare.checkpoints.checkpoints import check

    path = TAKEN[form](tmp_path / "w")
    reading = check(WORKLOAD, str(path))
    assert reading is not None
    assert reading.said == ""
    assert float(converted(path)["classifier.1.weight"].abs().sum()) == 0.0  # what is built is not zero


WRAPPED: dict[str, tuple[Callable[[], Any], str]] = {
    "ddp": (lambda: named("module."), "without the prefix 'module.'"),
    "compiled": (lambda: named("_orig_mod."), "without the prefix '_orig_mod.'"),
    "both": (lambda: named("_orig_mod.module."), "without the prefix '_orig_mod.module.'"),
    "lightning": (lambda: {"state_dict": named("model.")}, "under 'state_dict', without the prefix 'model.'"),
    "model": (lambda: {"model": state(), "epoch": 3}, "under 'model'"),
    "model_state_dict": (
        lambda: {
            "model_state_dict": state(),
            "optimizer": {"state": {0: {"m": state()["classifier.1.bias"]}}},
        },
        "under 'model_state_dict'",
    ),
    "ema": (lambda: {"ema": state(), "config": {"lr": [0.1, 0.2]}}, "under 'ema'"),
    "net": (lambda: {"net": named("module."), "acc": 91.2}, "under 'net', without the prefix 'module.'"),
    "one-fits": (lambda: {"model": {"head": state()["classifier.1.bias"]}, "ema": state()}, "under 'ema'"),
}


@pytest.mark.parametrize("form", WRAPPED)
def test_a_known_wrapper_or_prefix_is_taken_and_said(tmp_path: Path, form: str) -> None:
    from bench.prepare.checkpoints.checkpoints import check
    from bench.prepare.converters.weights import load_checkpoint

    content, said = WRAPPED[form]
    path = saved(tmp_path / "w.pt", content())
    reading = check(WORKLOAD, str(path))
    assert reading is not None
    assert reading.said == said
    module = workload_registry.get(WORKLOAD).build()
    assert load_checkpoint(workload_registry.get(WORKLOAD), module, path) == reading
    assert float(module.state_dict()["classifier.1.weight"].abs().sum()) == 0.0


@pytest.mark.parametrize("prefix", ["", "module.", "model.", "module._orig_mod.model."])
def test_a_prefix_that_is_the_workloads_own_stays(prefix: str) -> None:
    """All names of a Llama begin with `model.`."""
    from bench.prepare.checkpoints.fitting import fit
    from bench.prepare.checkpoints.tree import Tensor

    name = "llama-small:prefill"
    table = {key: Tensor(dtype, tuple(shape)) for key, (dtype, *shape) in (tables.of(name) or {}).items()}
    assert all(key.startswith("model.") for key in table)
    tree = {f"{prefix}{key}": one for key, one in table.items()}
    assert fit(tree, table, workload_registry.get(name), "w.pt").prefix == prefix


def quantised() -> dict[str, Any]:
    import torch

    return {
        key: torch.quantize_per_tensor(one, 0.1, 0, torch.qint8) if key == "classifier.1.weight" else one
        for key, one in state().items()
    }


UNFIT: dict[str, tuple[Callable[[], Any], tuple[str, ...]]] = {
    "int8": (to("int8"), ("features.0.0.weight is int8, not floating point", "before they were quantised")),
    "complex": (to("complex64"), ("features.0.0.weight is complex64, not floating point",)),
    "bool": (to("bool"), ("features.0.0.weight is bool, not floating point",)),
    "fp8": (to("float8_e4m3fn"), ("features.0.0.weight is float8_e4m3fn, not floating point",)),
    "one-int16": (
        swapped("classifier.1.bias", lambda one: one.short()),
        ("313 of the 314 keys fit", "classifier.1.bias is int16, not floating point"),
    ),
    "float-counter": (
        swapped("features.0.1.num_batches_tracked", lambda one: one.float()),
        ("features.0.1.num_batches_tracked is float32, not an integer",),
    ),
    "shape": (
        swapped("classifier.1.bias", lambda one: one[:10]),
        ("differs: classifier.1.bias is [10], not [1000]",),
    ),
    "lacks": (
        lambda: {("fc.bias" if key == "classifier.1.bias" else key): one for key, one in state().items()},
        ("313 of the 314 keys fit", "lacks classifier.1.bias", "has besides fc.bias"),
    ),
    "near": (
        lambda: {key.replace("classifier.1.", "classifier."): one for key, one in state().items()},
        ("312 of the 314 keys fit", "(nearest to classifier.1.bias: classifier.bias)"),
    ),
    "elsewhere": (
        lambda: {"model": state("resnet50")},
        ("(under 'model') is no checkpoint of mobilenet-v2: 0 of the 314 keys fit",),
    ),
    "two": (lambda: {"model": state(), "ema": state()}, ("several states that fit", "'model' and 'ema'")),
    "unusual": (
        lambda: {"generator": state()},
        ("under a usual name", "it has 'generator'", "['generator']"),
    ),
    "mixed": (lambda: {**state(), "epoch": 3}, ("other things than tensors", "epoch (int)")),
    "nothing": (dict, ("holds no tensor",)),
    "list": (lambda: list(state().values()), ("holds list, not a state_dict",)),
    "numbers": (lambda: {"epoch": 3, "acc": 0.5}, ("no state_dict, only epoch (int), acc (float)",)),
}


@pytest.mark.parametrize("form", UNFIT)
def test_what_does_not_fit_is_told_by_name(tmp_path: Path, form: str) -> None:
    content, says = UNFIT[form]
    said = refused_twice(saved(tmp_path / "w.pt", content()))
    assert [part for part in says if part not in said] == []


@pytest.mark.parametrize("form", ["int8", "complex", "bool", "fp8", "one-int16", "shape"])
def test_safetensors_are_told_alike(tmp_path: Path, form: str) -> None:
    content, says = UNFIT[form]
    said = refused_twice(tensors(tmp_path / "w.safetensors", {k: v.clone() for k, v in content().items()}))
    assert [part for part in says if part not in said] == []


@pytest.mark.filterwarnings("ignore:.*quantize", "ignore:TypedStorage")
def test_quantised_and_sparse_tensors(tmp_path: Path) -> None:
    assert "classifier.1.weight is qint8" in refused_twice(saved(tmp_path / "q.pt", quantised()))
    sparse = swapped("classifier.1.weight", lambda one: one.to_sparse())()
    assert "classifier.1.weight is sparse" in refused_twice(saved(tmp_path / "s.pt", sparse))


def test_another_workloads_checkpoint_is_named_as_such(tmp_path: Path) -> None:
    said = refused(saved(tmp_path / "r.pt", state("resnet50")))
    assert "it is one of resnet50: --workload resnet50" in said


MADE_BY_CODE: dict[str, tuple[Callable[[Path], Any], str]] = {
    "args": (lambda _: {"state_dict": state(), "args": Namespace(lr=1)}, "argparse.Namespace"),
    "numpy": (lambda _: {"model": state(), "best": np.float64(0.5)}, "multiarray.scalar"),
    "evil": (lambda trace: {**state(), "x": Touches(trace)}, "never loaded"),
    "module": (lambda _: workload_registry.get("contract-cnn").build(), "a whole object of torch.nn."),
}


@pytest.mark.parametrize("form", MADE_BY_CODE)
@pytest.mark.parametrize("zipped_", [True, False])
def test_objects_that_code_would_make_are_named_and_not_made(
    tmp_path: Path, form: str, zipped_: bool
) -> None:
    content, says = MADE_BY_CODE[form]
    trace = tmp_path / "it-ran"
    path = saved(tmp_path / "w.pt", content(trace), _use_new_zipfile_serialization=zipped_)
    said = refused_twice(path)
    assert says in said
    assert "state_dict()" in said
    assert "weights_only" not in said
    assert "add_safe_globals" not in said
    assert not trace.exists()


def test_what_torch_advises_is_never_passed_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Should it refuse what was judged harmless."""
    import torch

    def refuses(*_: object, **__: object) -> None:
        raise ValueError("use weights_only=False, or torch.serialization.add_safe_globals")

    path = saved(tmp_path / "w.pt", state())
    monkeypatch.setattr(torch, "load", refuses)
    with pytest.raises(ModelFileError, match="never loaded") as caught:
        converted(path)
    assert "weights_only" not in str(caught.value)
    assert "add_safe_globals" not in str(caught.value)


def test_a_value_of_the_zip_that_is_missing(tmp_path: Path) -> None:
    import zipfile

    whole = saved(tmp_path / "w.pt", state())
    with zipfile.ZipFile(whole) as archive:
        files = {one: archive.read(one) for one in archive.namelist()}
    (tmp_path / "less.pt").write_bytes(zipped({k: v for k, v in files.items() if not k.endswith("/data/3")}))
    assert "data/3 is missing or too short" in refused(tmp_path / "less.pt")


HOSTILE = {  # pickles that a reader without bounds takes hours or the machine's memory for
    # a key of tuples of the same tuple, 60 deep: hashing it visits 2**60
    "hash": b"\x80\x02})" + b"q\x00h\x00\x86" * 60 + b"K\x01s.",
    "memo": b"\x80\x02}r\xff\xff\xff\xff.",  # a memo of 2**32 places
    "long": b"\x80\x02\x8b\xff\xff\xff\x7f.",  # a number of 2 GB
    "itself": b"\x80\x02}q\x00X\x01\x00\x00\x00ah\x00s.",  # a dictionary that holds itself
    "rest": b"\x80\x02}X\xff",
    "below": b"\x80\x02000.",
}


def test_hostile_pickles_end(tmp_path: Path) -> None:
    for name, content in HOSTILE.items():
        (tmp_path / f"{name}.pt").write_bytes(zipped({"m/data.pkl": content, "m/version": b"3"}))
    code = (
        "import resource, sys\nfrom bench.prepare.graph import content_for\n"
        "from bench.interfaces.errors import ModelFileError\n"
        "resource.setrlimit(resource.RLIMIT_AS, (2 << 30, 2 << 30))\n"
        "for path in sys.argv[1:]:\n"
        "    try: content_for('mobilenet-v2', path)\n"
        "    except ModelFileError as error: print(error.message)\n"
    )
    said = python(code, *(tmp_path / f"{name}.pt" for name in HOSTILE)).splitlines()
    assert len(said) == len(HOSTILE)
    assert not [line for line in said if "holds no" not in line and "damaged zip" not in line]


def test_control_characters_of_a_name_are_not_shown(tmp_path: Path) -> None:
    said = refused(
        saved(tmp_path / "w.pt", {**state(), "a\x1b[2J\u202eb" + "x" * 500: state()["classifier.1.bias"]})
    )
    assert "\x1b" not in said
    assert "\u202e" not in said
    assert "x" * 200 not in said
