"""A runtime's refusal, a damaged file and the surroundings' fault are told apart, by every backend."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from backends.support import faults
from backends.torch import plain_paths, variants
from bench.interfaces.backend import Target
from bench.interfaces.errors import BakeoffError, ModelFileError, PrepareError, UnsupportedCase
from bench.interfaces.tensors import IOSpec, ModelFile, TensorSpec
from bench.plugins import backend_registry
from bench.processes.resources import speaks_of_memory

SHAPE = (1, 3, 8, 8)
IO = IOSpec(
    (TensorSpec("x", "input_0", "float32", SHAPE),), (TensorSpec("y", "output_0", "float32", (1, 4)),)
)


class CppCompileError(RuntimeError):
    """As Inductor's: with the compiler's output."""

    output = "In file included from x.cpp:1:\nx.cpp:3:10: fatal error: omp.h: No such file or directory\n"


class InductorError(RuntimeError):
    """As PyTorch's: what went wrong is within it."""

    def __init__(self, inner: Exception) -> None:
        super().__init__(f"{type(inner).__name__}: {inner}")
        self.inner_exception = inner


SURROUNDINGS = [
    (InductorError(CppCompileError("C++ compile error")), "fatal error: omp.h"),
    (RuntimeError("No working C++ compiler found"), "No working C++ compiler"),
    (PermissionError(13, "Permission denied", "/x/model.so"), "Permission denied: '/x/model.so'"),
    (OSError(28, "No space left on device"), "No space left"),
    (RuntimeError("LLVM ERROR: IO failure on output stream: No space left on device"), "No space left"),
    (subprocess.CalledProcessError(1, ["ld"], output=b"ld: cannot find -lgomp\n"), "cannot find -lgomp"),
    (ImportError("/x/a.so: cannot open shared object file"), "cannot open shared object"),
    (RuntimeError("CUDA error: no kernel image is available"), "CUDA error"),
]


@pytest.mark.parametrize(("error", "said"), SURROUNDINGS, ids=lambda value: str(value)[:20])
def test_what_a_compiler_or_a_file_system_says_is_no_refusal(
    error: Exception, said: str, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(PrepareError, match=r"it cannot: ") as raised, faults.refusals("it cannot", "leave"):
        raise error
    assert said in raised.value.message
    assert said in capfd.readouterr().err  # the log keeps it


def test_what_the_runtime_says_of_the_model_is_one() -> None:
    refused = pytest.raises(UnsupportedCase, match="it cannot: no lowering")
    with refused as raised, faults.refusals("it cannot", "leave it out"):
        raise NotImplementedError("no lowering for aten::x")
    assert raised.value.hint == "leave it out"


@pytest.mark.parametrize("error", [TypeError("a defect of ours"), MemoryError(), RuntimeError("bad_alloc")])
def test_defects_and_want_of_memory_stay_what_they_are(error: Exception) -> None:
    with pytest.raises(type(error)) as raised, faults.refusals("it cannot", "leave", RuntimeError):
        raise error
    assert raised.value is error


@pytest.mark.parametrize(
    ("name", "module", "error"),
    [
        ("torch", "backends.torch.variants.build", InductorError(CppCompileError("C++ compile error"))),
        ("torch", "backends.torch.variants.build", TypeError("'NoneType' object is not callable")),
    ],
)
def test_a_failed_compiler_is_no_unsupported_case(
    name: str, module: str, error: Exception, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*arguments: Any) -> None:
        raise error

    monkeypatch.setattr(module, fail)
    monkeypatch.setattr("backends.torch.backend._module", lambda *arguments: None)
    model = ModelFile("torch-graph", tmp_path / "graph.pt", "")
    with pytest.raises((PrepareError, TypeError)):
        backend_registry.get(name).build(model, Target(variant="compile"), IO, tmp_path)


def made(folder: Path, name: str = "model.bin", content: bytes = b"content") -> ModelFile:
    (folder / name).write_bytes(content)
    return ModelFile("format", folder / name, hashlib.sha256(content).hexdigest())


def test_a_file_that_is_as_it_was_made_is_not_blamed(tmp_path: Path) -> None:
    error = faults.broken(made(tmp_path), RuntimeError("no executor of that name"))
    assert not isinstance(error, ModelFileError)
    assert "no executor of that name; the file is as it was made" in error.message
    assert "delete" not in str(error)


def test_nor_is_what_was_built_and_stands_in_the_manifest(tmp_path: Path) -> None:
    file = made(tmp_path)
    (tmp_path / "manifest.json").write_text(json.dumps({"files": {"model.bin": {"sha256": file.sha256}}}))
    built = ModelFile("format", file.path, "of what it was built from")
    assert not isinstance(faults.broken(built, ValueError("no")), ModelFileError)


def test_a_damaged_file_is_to_be_deleted(tmp_path: Path) -> None:
    file = made(tmp_path)
    file.path.write_bytes(b"conten")
    for error in (RuntimeError("truncated"), OSError("cannot be read as an archive")):
        blamed = faults.broken(file, error)
        assert isinstance(blamed, ModelFileError)
        assert "delete it and run again" in blamed.hint
    file.path.unlink()
    assert "it is not there" in str(faults.broken(file, RuntimeError("no such file")))


def test_nor_the_file_for_a_library_that_lies_where_nothing_may_run(tmp_path: Path) -> None:
    file = made(tmp_path)
    file.path.write_bytes(b"another")
    said = "x.so: failed to map segment from shared object"
    error = faults.broken(file, RuntimeError(f"Error in dlopen: /nowhere/{said}"))
    assert isinstance(error, PrepareError)
    assert "noexec" in error.hint
    assert "TMPDIR" in error.hint


def test_a_folder_without_execution_is_no_want_of_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    said = "ImportError: /x/a.so: failed to map segment from shared object"
    assert speaks_of_memory(said)
    monkeypatch.setattr(os, "statvfs", lambda path: SimpleNamespace(f_flag=os.ST_NOEXEC))
    assert not speaks_of_memory(said)
    assert speaks_of_memory(f"{said}\nstd::bad_alloc")


def stand_in(monkeypatch: pytest.MonkeyPatch, name: str, **members: Any) -> None:
    package, _, leaf = name.rpartition(".")
    module = ModuleType(name)
    vars(module).update(members)
    monkeypatch.setitem(sys.modules, name, module)
    if package:
        stand_in(monkeypatch, package, **{leaf: module})


def fail(*arguments: Any, **named: Any) -> None:
    raise ValueError("Error creating device: no driver 'local-task'; NOT_FOUND")


def test_an_iree_device_that_cannot_be_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    flags = SimpleNamespace(parse_flags=lambda text: None)
    stand_in(monkeypatch, "iree.runtime", flags=flags, get_device=fail)
    with pytest.raises(ValueError, match="no driver"):
        backend_registry.get("iree").load(made(tmp_path), Target(threads=1), IO)


def test_a_tvm_device_that_cannot_be_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_device() -> None:
        raise RuntimeError("Device API cpu is not enabled")

    stand_in(monkeypatch, "tvm.runtime.vm", VirtualMachine=object)
    sys.modules["tvm"].cpu = no_device  # type: ignore[attr-defined]
    stand_in(monkeypatch, "tvm_ffi", load_module=lambda *arguments, **named: object())
    with pytest.raises(RuntimeError, match="not enabled") as raised:
        backend_registry.get("tvm").load(made(tmp_path), Target(threads=1), IO)
    assert not isinstance(raised.value, BakeoffError)


def test_plain_paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plain_paths.tempfile, "tempdir", str(tmp_path))
    assert plain_paths.plain(tmp_path / "inductor") == tmp_path / "inductor"
    for name in ("a b", "it's", 'a"b', "ü", "a;b", "$(x)", "a\nb"):
        link = plain_paths.plain(tmp_path / name)
        assert plain_paths.PLAIN.fullmatch(str(link))
        assert link.resolve() == (tmp_path / name).resolve()
        assert plain_paths.plain(tmp_path / name) == link
    (tmp_path / "a b").rmdir()
    gone = sum(not link.exists() for link in plain_paths.private().iterdir())
    plain_paths.plain(tmp_path / "c d")
    assert (gone, [link for link in plain_paths.private().iterdir() if not link.exists()]) == (1, [])


def test_a_private_folder_of_others_is_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plain_paths.tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(plain_paths, "FALLBACKS", ())
    (tmp_path / f"bakeoff-{os.getuid()}").mkdir()
    (tmp_path / f"bakeoff-{os.getuid()}").chmod(0o777)  # anybody may have put links there
    with pytest.raises(PrepareError, match="neither blanks nor quotes") as raised:
        plain_paths.plain(tmp_path / "a b")
    assert "TMPDIR" in raised.value.hint


def test_temporary_files_of_a_compiler_lie_under_a_plain_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    blank = tmp_path / "t 'ü"
    blank.mkdir()
    monkeypatch.setenv("TMPDIR", str(blank))
    monkeypatch.setattr(plain_paths.tempfile, "tempdir", None)
    plain_paths.plain_temporary()
    assert plain_paths.PLAIN.fullmatch(os.environ["TMPDIR"])
    assert plain_paths.tempfile.gettempdir() == os.environ["TMPDIR"]


@pytest.mark.slow
def test_torch_compiles_where_the_path_has_blanks_quotes_and_accents(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The real compiler: its command lines are split at blanks."""
    import torch
    from torch.fx import symbolic_trace

    class Sum(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> tuple[torch.Tensor]:
            return (torch.ops.aten.relu.default(torch.ops.aten.add.Tensor(x, x)),)

    blank = tmp_path / "a 'b\" ü"
    (blank / "tmp").mkdir(parents=True)
    monkeypatch.setenv("TMPDIR", str(blank / "tmp"))
    monkeypatch.setattr(plain_paths.tempfile, "tempdir", None)
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", "")
    example = (torch.ones(2, 2),)
    path = variants.build("compile", symbolic_trace(Sum()), example, blank, "cpu")
    assert path.parent == blank
    assert variants.load("compile", path, example, "cpu")(*example)[0].tolist() == [[2, 2], [2, 2]]
    assert any((blank / "inductor").iterdir())
