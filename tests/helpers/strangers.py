"""What people hand in as a checkpoint: a file for each form, and calls that would hang bounded."""

from __future__ import annotations

import io
import json
import pickle
import subprocess
import sys
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bench.interfaces.errors import EXIT_USAGE, ModelFileError
from bench.plugins import workload_registry
from bench.prepare.graph import content_for

ROOT = Path(__file__).resolve().parents[2]
HANGS_S = 120  # far beyond what any of it takes; only what hangs gets there
State = dict[str, Any]
WORKLOAD, BIAS = "mobilenet-v2", "classifier.1.bias"


def state(workload: str = "mobilenet-v2") -> State:
    """Tensors of the right names, shapes and dtypes, all zero."""
    import torch

    with torch.device("meta"):
        named = workload_registry.get(workload).build().state_dict()
    return {key: torch.zeros(one.shape, dtype=one.dtype) for key, one in named.items()}


def python(code: str, *arguments: object) -> str:
    """The standard output of code in a process of its own, which may hang."""
    done = subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=HANGS_S,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def saved(path: Path, content: Any, **how: Any) -> Path:
    import torch

    torch.save(content, path, **how)
    return path


def tensors(path: Path, content: State) -> Path:
    from safetensors.torch import save_file

    save_file(content, path)
    return path


def floats(change: Callable[[Any], Any]) -> State:
    """The state with its floats changed."""
    return {key: change(one) if one.is_floating_point() else one for key, one in state().items()}


def sharded(folder: Path, content: State, suffix: str = "safetensors") -> Path:
    """A checkpoint in two files with their index, as Hugging Face's libraries write it."""
    folder.mkdir(parents=True, exist_ok=True)
    name = "model" if suffix == "safetensors" else "pytorch_model"
    keys, half = list(content), len(content) // 2
    where = {}
    for number, part in enumerate((keys[:half], keys[half:]), 1):
        file = folder / f"{name}-0000{number}-of-00002.{suffix}"
        (tensors if suffix == "safetensors" else saved)(file, {key: content[key] for key in part})
        where |= dict.fromkeys(part, file.name)
    (folder / f"{name}.{suffix}.index.json").write_text(json.dumps({"weight_map": where}))
    return folder


def rewritten(index: Path, change: Callable[[dict[str, str]], Mapping[str, str]]) -> Path:
    """An index whose map was changed."""
    index.write_text(json.dumps({"weight_map": change(json.loads(index.read_text())["weight_map"])}))
    return index


def header(entries: Mapping[str, Any], data: bytes = b"") -> bytes:
    """A safetensors file with that header."""
    text = json.dumps(entries).encode()
    return len(text).to_bytes(8, "little") + text + data


def zipped(files: Mapping[str, bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return out.getvalue()


def arrays(path: Path) -> bytes:
    np.savez(path, x=np.zeros(3))
    content = path.read_bytes()
    path.unlink()
    return content


class Touches:
    """A pickle that runs code when it is loaded."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return (Path.touch, (self.path,))


F32 = {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}
NOT_CHECKPOINTS: dict[str, tuple[Callable[[Path], bytes], str, str]] = {
    # name → (its bytes, what is said of it, what to do)
    "empty.pt": (lambda _: b"", "is empty", "fetch or save it again"),
    "pointer.safetensors": (
        lambda _: b"version https://git-lfs.github.com/spec/v1\noid sha256:12\nsize 9\n",
        "a Git LFS pointer",
        "git lfs pull",
    ),
    "page.bin": (
        lambda _: b"\n <!DOCTYPE html>\n<html>Log in",
        "an HTML page: a log-in",
        "download the file",
    ),
    "error.pt": (lambda _: b'<?xml version="1.0"?><Error>AccessDenied', "an XML file", "download the file"),
    "m.gguf": (lambda _: b"GGUF\x03\x00\x00\x00" + bytes(32), "a GGUF file", "PyTorch"),
    "m.h5": (lambda _: b"\x89HDF\r\n\x1a\n" + bytes(32), "an HDF5 file (Keras)", "save_file"),
    "m.npz": (arrays, "a NumPy archive (.npz)", "save_file"),
    "m.npy": (lambda _: b"\x93NUMPY\x01\x00" + bytes(32), "a NumPy array", "save_file"),
    "m.tar.gz": (lambda _: b"\x1f\x8b\x08\x00" + bytes(32), "a gzip archive", "unpack it"),
    "m.tar": (lambda _: b"w".ljust(257, b"\0") + b"ustar" + bytes(250), "a tar archive", "unpack it"),
    "m.onnx": (lambda _: b"\x08\x0a\x12\x07pytorch" + bytes(32), "an ONNX model", "exported from"),
    "m.tflite": (lambda _: b"\x1c\0\0\0TFL3" + bytes(32), "a TensorFlow Lite model", "made from"),
    "s.sqlite": (lambda _: b"SQLite format 3\0" + bytes(80), "an SQLite file", "--weights"),
    "config.json": (lambda _: b'{"hidden": 384}', "a JSON file, but no index", "--weights"),
    "notes.txt": (lambda _: b"hello\n", "a text file", "safetensors"),
    "noise.bin": (lambda _: bytes(range(255, 60, -1)), "neither safetensors nor", "save_file"),
    "some.zip": (lambda _: zipped({"a/readme.md": b"x"}), "a zip of other things (a/readme.md)", "unpack it"),
    "none.zip": (lambda _: zipped({}), "an empty zip", "unpack it"),
    "script.pt": (
        lambda _: zipped({"m/data.pkl": b"\x80\x02}.", "m/constants.pkl": b"\x80\x02)."}),
        "a TorchScript program",
        "state_dict()",
    ),
    "program.pt2": (lambda _: zipped({"p/archive_format": b"pt2"}), "an exported program", "state_dict()"),
    "cut.pt": (lambda _: zipped({"m/data.pkl": b"\x80\x02}."})[:40], "a damaged zip", "again"),
    "plain.pkl": (
        lambda path: pickle.dumps({"w": Touches(path)}),
        "that torch.save did not write",
        "state_dict()",
    ),
    "a.safetensors": (lambda _: b"\x08\0\0\0\0\0\0\0{broken}", "a broken safetensors file", "again"),
    "cut.safetensors": (lambda _: header({"w": F32}, bytes(8))[:30], "it was cut off", "again"),
    "short.safetensors": (lambda _: header({"w": F32}, bytes(7)), "w ends 1 bytes behind the end", "again"),
    "long.safetensors": (lambda _: header({"w": F32}, bytes(9)), "1 bytes at its end", "again"),
    "hole.safetensors": (
        lambda _: header({"w": {**F32, "data_offsets": [4, 12]}}, bytes(12)),
        "w leaves a hole",
        "again",
    ),
    "over.safetensors": (
        lambda _: header({"v": F32, "w": {**F32, "data_offsets": [4, 12]}}, bytes(12)),
        "w overlaps another",
        "again",
    ),
    "dtype.safetensors": (lambda _: header({"w": {**F32, "dtype": "F31"}}, bytes(8)), "F31", "again"),
    "shape.safetensors": (
        lambda _: header({"w": {**F32, "shape": [3]}}, bytes(8)),
        "does not agree",
        "again",
    ),
    "minus.safetensors": (
        lambda _: header({"w": {**F32, "shape": [-2]}}, bytes(8)),
        "whole numbers",
        "again",
    ),
    "twice.safetensors": (
        lambda _: (lambda text: len(text).to_bytes(8, "little") + text)(b'{"w": 1, "w": 2}'),
        "w stands twice",
        "again",
    ),
}


def refused(path: Path | str) -> str:
    """What the parent says of a checkpoint, as the command line ends with it."""
    with pytest.raises(ModelFileError) as caught:
        content_for(WORKLOAD, str(path))
    assert caught.value.exit_code == EXIT_USAGE
    assert str(path) in caught.value.message or str(Path(path).parent) in caught.value.message
    return str(caught.value)


def converted(path: Path | str) -> dict[str, Any]:
    """The module's state with the weights that its converter takes from a checkpoint."""
    from bench.prepare.converters.weights import load_checkpoint

    workload = workload_registry.get(WORKLOAD)
    module = workload.build()
    load_checkpoint(workload, module, Path(path))
    return dict(module.state_dict())


def named(prefix: str) -> dict[str, Any]:
    return {f"{prefix}{key}": one for key, one in state().items()}


def to(name: str) -> Callable[[], dict[str, Any]]:
    import torch

    return lambda: floats(lambda one: one.to(getattr(torch, name)))


def swapped(key: str, change: Callable[[Any], Any]) -> Callable[[], dict[str, Any]]:
    return lambda: {**state(), key: change(state()[key])}
