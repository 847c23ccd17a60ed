"""Probes in processes of their own, of backends that another distribution brings and that misbehave."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bench.environments import locate
from bench.environments import probe as probing
from bench.environments.locate import environment_fingerprint, installed_versions, interpreter
from bench.environments.probe import probe, probe_all
from bench.interfaces.backend import Capabilities, Support
from bench.interfaces.errors import BackendUnavailable
from bench.plugins import backend_registry
from bench.processes.process import Process
from tests.helpers.waiting import until

BACKENDS = """
import os, signal, subprocess, sys, time
from pathlib import Path
from bench.interfaces.backend import BaseBackend, Capabilities, Support
from bench.interfaces.errors import BackendUnavailable

class Odd(BaseBackend):
    summary = "odd"
    formats = ()
    install = "pip install odd"
    def __init__(self, name): self.name = name
    def load(self, model, target, io): raise NotImplementedError
    def probe(self): return getattr(self, self.name.replace("-", "_"))()
    def odd_fine(self):
        with open(Path(__file__).parent / "probes", "a") as file:
            file.write("x")
        return Capabilities("1.0", {"cpu": {"fp32": Support("native")}}, {"pid": str(os.getpid())})
    def odd_loud(self):
        import atexit
        atexit.register(print, "goodbye")
        print("x" * 3_000_000)
        print("a warning", file=sys.stderr, end="")
        return Capabilities("2.0", {})
    def odd_missing(self): raise BackendUnavailable("odd: not here", hint="pip install it")
    def odd_broken(self): raise RuntimeError("licence expired")
    def odd_segfault(self):
        print("about to crash", flush=True)
        os.kill(os.getpid(), signal.SIGSEGV)
    def odd_silent(self): os._exit(3)
    def odd_hanging(self):
        child = subprocess.Popen(["sleep", "3600"])
        print("waiting for a licence server", flush=True)
        (Path(__file__).parent / "half").write_text(str(child.pid))
        (Path(__file__).parent / "half").rename(Path(__file__).parent / "child")
        time.sleep(3600)
    def odd_lying(self):
        print('{"ok": true', flush=True)
        os._exit(0)

NAMES = "odd-fine odd-loud odd-missing odd-broken odd-segfault odd-silent odd-hanging odd-lying".split()
globals().update({name.replace("-", "_"): Odd(name) for name in NAMES})
"""
KINDS = ("fine", "loud", "missing", "broken", "segfault", "silent", "hanging", "lying")
NAMES = [f"odd-{kind}" for kind in KINDS]


@pytest.fixture
def odd(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A distribution of misbehaving backends, and an empty cache."""
    (tmp_path / "odd_backends.py").write_text(BACKENDS)
    info = tmp_path / "odd-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: odd\nVersion: 1.0\n")
    points = "\n".join(f"{name} = odd_backends:{name.replace('-', '_')}" for name in NAMES)
    (info / "entry_points.txt").write_text(f"[bakeoff.backends]\n{points}\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setenv("BAKEOFF_CACHE", str(tmp_path / "cache"))
    forget()
    yield tmp_path
    sys.modules.pop("odd_backends", None)
    forget()


def forget() -> None:
    for cached in (backend_registry._entry_points, backend_registry.get, locate._distributions):
        cached.cache_clear()


def answers(folder: Path) -> list[Path]:
    return sorted((folder / "cache" / "probes").glob("*"))


def test_a_probe_is_asked_once(odd: Path) -> None:
    first = probe("odd-fine")
    assert first.devices == {"cpu": {"fp32": Support("native")}}
    assert first.detail["pid"] != str(os.getpid())  # in a process of its own
    assert probe("odd-fine") == first
    assert (odd / "probes").read_text() == "x"


def test_a_damaged_answer_is_asked_again(odd: Path) -> None:
    probe("odd-fine")
    [kept] = answers(odd)
    for damage in (
        "",
        "{",
        "[]",
        '{"version": 1}',
        json.dumps({"version": "1", "devices": [], "detail": {}}),
    ):
        kept.write_text(damage)
        assert probe("odd-fine").version == "1.0"


def test_another_environment_or_another_code_is_asked_again(
    odd: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    probe("odd-fine")
    (odd / "odd_backends.py").write_text(BACKENDS + "# changed\n")
    probe("odd-fine")
    assert (odd / "probes").read_text() == "xx"
    info = odd / "newcomer-2.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: newcomer\nVersion: 2.0\n")
    forget()
    probe("odd-fine")
    assert (odd / "probes").read_text() == "xxx"
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "7")
    probe("odd-fine")
    assert (odd / "probes").read_text() == "xxxx"


@pytest.mark.parametrize("file", ["backend.py", "providers.py", "formats/deep.py", "requirements.txt"])
def test_an_answer_rests_on_all_of_a_backends_folder(
    file: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is answered is decided in private files too: an edit to any asks anew."""
    folder = tmp_path / "null"
    for name in ("backend.py", "providers.py", "formats/deep.py", "requirements.txt"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("before")
    own = backend_registry.folder
    monkeypatch.setattr(
        probing.backend_registry, "folder", lambda name="": folder if name == "null" else own(name)
    )
    before = probing.code_of("null")
    assert probing.code_of("null") == before
    (folder / file).write_text("after")
    assert probing.code_of("null") != before


def test_a_cache_that_cannot_be_written_costs_no_answer(odd: Path) -> None:
    (odd / "cache").write_text("a file where a folder should be")
    assert probe("odd-fine").version == "1.0"


@pytest.mark.parametrize(
    ("name", "message", "hint"),
    [
        ("odd-missing", "odd: not here", "pip install it"),
        ("odd-broken", "odd-broken: its probe failed: RuntimeError: licence expired", "--probe odd-broken"),
        ("odd-segfault", "odd-segfault: its probe died of signal 11; the end of its output:", "--probe"),
        ("odd-silent", "odd-silent: its probe ended with exit code 3 and no answer", "--probe"),
        ("odd-lying", "odd-lying: its probe ended with exit code 0 and no answer", "--probe"),
    ],
)
def test_what_goes_wrong_says_why_and_is_not_kept(odd: Path, name: str, message: str, hint: str) -> None:
    with pytest.raises(BackendUnavailable) as caught:
        probe(name)
    assert caught.value.message.startswith(message)
    assert hint in caught.value.hint
    assert answers(odd) == []


def test_the_end_of_the_output_is_shown(odd: Path) -> None:
    with pytest.raises(BackendUnavailable, match="about to crash"):
        probe("odd-segfault")


def test_a_hanging_probe_is_ended_with_its_children(odd: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Patient(Process):
        """Its 3 s are over when the probe hangs, however long it took to get there."""

        def __init__(self, *arguments: Any, **named: Any) -> None:
            super().__init__(*arguments, **named)
            wait = self.popen.wait

            def hanging(timeout: float | None = None) -> int:
                if timeout == probing.PROBE_S:
                    until((odd / "child").exists, "the probe's start")
                    timeout = 0.01
                return wait(timeout)

            monkeypatch.setattr(self.popen, "wait", hanging)

    monkeypatch.setattr(probing, "PROBE_S", 3.0)
    monkeypatch.setattr(probing, "Process", Patient)
    with pytest.raises(BackendUnavailable, match=r"did not answer in 3 s(.|\n)*licence server"):
        probe("odd-hanging")
    child = int((odd / "child").read_text())
    state = Path(f"/proc/{child}/stat")
    assert not state.exists() or state.read_text().rpartition(")")[2].split()[0] in "ZX"


def test_an_answer_among_megabytes(odd: Path) -> None:
    assert probe("odd-loud").version == "2.0"


def test_many_at_once_with_errors_as_values(odd: Path) -> None:
    found = probe_all(["odd-fine", "odd-missing", "odd-fine", "onnxruntime==0.0.1"])
    assert list(found) == ["odd-fine", "odd-missing", "onnxruntime==0.0.1"]
    assert isinstance(found["odd-fine"], Capabilities)
    assert isinstance(found["odd-missing"], BackendUnavailable)
    missing = found["onnxruntime==0.0.1"]
    assert isinstance(missing, BackendUnavailable)
    assert "installed: onnxruntime" in missing.message
    assert missing.hint == "bakeoff env create onnxruntime==0.0.1"


def test_interpreters() -> None:
    [(name, version)] = installed_versions("onnxruntime").items()
    assert name == "onnxruntime"
    assert interpreter("onnxruntime") == interpreter("onnxruntime", version) == Path(sys.executable)
    torch = installed_versions("torch")["torch"]
    assert interpreter("torch", torch.partition("+")[0]) == Path(sys.executable)
    with pytest.raises(BackendUnavailable, match=r"torch==1.0 is not installed; installed: torch 2"):
        interpreter("torch", "1.0")


@pytest.mark.parametrize("spelt", ["tensorflow_cpu", "tensorflow-cpu", "TensorFlow.CPU"])
def test_a_runtime_is_found_however_its_distribution_is_spelt(
    monkeypatch: pytest.MonkeyPatch, spelt: str
) -> None:
    monkeypatch.setattr(locate, "distributions", lambda python: (f"{spelt}==2.21.0", "numpy==2.4.0"))
    assert installed_versions("tensorflow", Path("elsewhere")) == {"tensorflow-cpu": "2.21.0"}


def test_an_interpreter_that_is_none(tmp_path: Path) -> None:
    broken = tmp_path / "python"
    broken.write_text("#!/bin/sh\nexit 1\n")
    broken.chmod(0o755)
    with pytest.raises(BackendUnavailable, match="does not list what it has installed"):
        environment_fingerprint(broken)


def test_importing_it_needs_no_runtime() -> None:
    program = (
        "import sys, bench.environments.locate; "
        "print([m for m in ('torch', 'onnxruntime', 'pandas') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
