"""What surroundings bring into child processes: plug-ins, and nothing that stands in for a runtime."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from bench.environments import install, locate
from bench.environments import probe as probing
from bench.environments.locate import environment_fingerprint
from bench.environments.probe import probe
from bench.interfaces.errors import BackendUnavailable
from bench.measure.gpu import peaks
from bench.plugins import backend_registry, runtimes
from bench.plugins.shadows import blamed, shadow
from bench.processes import answers
from bench.processes.process import ROOT, Process
from bench.processes.variables import HOMES, LAST_PATH, MEDDLING, child_variables


@pytest.fixture
def user_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder on the user's $PYTHONPATH; nothing is cached."""
    folder = tmp_path / "théirs and 'mine"
    folder.mkdir()
    monkeypatch.setenv("PYTHONPATH", str(folder))
    monkeypatch.setenv("BAKEOFF_CACHE", str(tmp_path / "cache"))
    locate._distributions.cache_clear()
    yield folder
    locate._distributions.cache_clear()


def child(code: str, interpreter: Path | None = None) -> str:
    process = Process(["-c", code], interpreter=interpreter)
    process.popen.wait(60)
    return process.end().strip()


def test_a_shadowing_file_does_not_stand_in_for_a_runtime(user_path: Path) -> None:
    (user_path / "onnxruntime").mkdir()
    (user_path / "onnxruntime" / "__init__.py").write_text("raise ImportError('a stranger')")
    (user_path / "torch.py").write_text("__version__ = '0'")
    (user_path / "numpy.py").write_text("")
    assert "cpu" in probe("onnxruntime").devices
    file = child("import bench, torch; print(torch.__file__)")
    assert "site-packages" in file


def test_plugins_and_packages_of_the_users_path_are_found_behind_the_others(user_path: Path) -> None:
    (user_path / "of_theirs.py").write_text("print('theirs')")
    assert child("import bench, of_theirs") == "theirs"
    last = child("import bench, sys; print(sys.path[-1]); print(sys.path[1])").splitlines()
    assert last[0] == str(user_path)
    assert str(user_path) not in last[1]


def test_its_distributions_count_for_our_own_interpreter_alone(user_path: Path) -> None:
    (user_path / "theirs-3.dist-info").mkdir()
    (user_path / "theirs-3.dist-info" / "METADATA").write_text(
        "Metadata-Version: 2.1\nName: theirs\nVersion: 3\n"
    )
    assert "theirs==3" in locate.distributions(Path(sys.executable))
    assert LAST_PATH in child_variables(Path("/another/python"), "code")
    assert child_variables(Path("/another/python"), "code")[LAST_PATH] == ""


@pytest.mark.parametrize("name", [*MEDDLING, *HOMES])
def test_what_a_person_set_for_one_python_stays_there(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, "1")
    assert name not in child_variables(Path("/another/python"), "code")
    assert (name in child_variables(None, "code")) == (name in HOMES)


def test_warnings_and_optimisation_do_not_reach_a_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONWARNINGS", "error")
    monkeypatch.setenv("PYTHONOPTIMIZE", "2")
    code = "import sys, warnings; warnings.warn('old'); print(sys.flags.optimize, sys.warnoptions)"
    assert child(code).splitlines()[-1] == "0 []"


LOUD = "import atexit; print('{\"ok\": false} hello'); atexit.register(print, 'goodbye {')\n"


def test_a_sitecustomize_that_prints_is_not_the_answer(
    user_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (user_path / "sitecustomize.py").write_text(LOUD)
    loud = dict(os.environ)  # as of one in an environment's site-packages, which we do not take away
    for module in (locate, install):
        monkeypatch.setattr(module, "child_variables", lambda *arguments: loud)
    python = Path(sys.executable)
    assert any(line.startswith("numpy==") for line in locate.distributions(python))
    assert len(environment_fingerprint(python)) == 16
    monkeypatch.setattr("bench.processes.process.child_variables", lambda *arguments: {**loud, **_code(loud)})
    assert "cpu" in probing._ask("null", python).devices
    monkeypatch.setattr(backend_registry, "get", lambda name: _Measuring())
    assert peaks._measured("null", "cuda:0", python) == {}


def _code(variables: dict[str, str]) -> dict[str, str]:
    return {"PYTHONPATH": os.pathsep.join([variables["PYTHONPATH"], str(ROOT)])}


class _Measuring:
    def environment(self, target: Any) -> dict[str, str]:
        return {}


def test_the_version_of_an_interpreter_that_prints(tmp_path: Path) -> None:
    loud = tmp_path / "python"
    loud.write_text(f'#!/bin/sh\necho 9.9.9\nexec "{sys.executable}" "$@"\n')
    loud.chmod(0o755)
    assert install._version(loud) == ".".join(map(str, sys.version_info[:3]))


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        (f'hello {{\n{answers.MARK}{{"ok": true}}\n{{"ok": false}} goodbye', {"ok": True}),
        (f"{answers.MARK}[1]{answers.MARK}[2] and more", [2]),
        (f'{answers.MARK}{{"ok": tr', None),
        ('{"ok": true}', None),
        ("", None),
    ],
)
def test_an_answer_among_other_output(text: str, answer: Any) -> None:
    assert answers.heard(text) == answer


def test_an_interpreter_without_an_answer_says_why(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="ModuleNotFoundError: No module named 'nowhere'"):
        answers.ask(Path(sys.executable), "import nowhere", 30.0, os.environ)
    with pytest.raises(ValueError, match="no answer"):
        answers.ask(Path(sys.executable), "import os; os._exit(0)", 30.0, os.environ)
    with pytest.raises(subprocess.TimeoutExpired):
        answers.ask(Path(sys.executable), "import time; time.sleep(60)", 0.5, os.environ)


def test_a_file_that_hides_an_installed_package(tmp_path: Path) -> None:
    ours, theirs = tmp_path / "site", tmp_path / "theirs"
    for folder in (ours, theirs):
        (folder / "runtime").mkdir(parents=True)
    (ours / "runtime" / "__init__.py").touch()
    both = [str(theirs), str(ours)]
    assert shadow("runtime.part", both) is None  # a folder without a package hides none
    (theirs / "runtime.py").touch()
    assert shadow("runtime.part", both) == (theirs / "runtime.py", ours / "runtime" / "__init__.py")
    assert shadow("runtime", both[::-1]) == (ours / "runtime" / "__init__.py", theirs / "runtime.py")
    (theirs / "runtime-1.dist-info").mkdir()
    (theirs / "runtime-1.dist-info" / "RECORD").write_text("runtime.py,,\n")
    assert shadow("runtime", both) is None  # installed there, as with --system-site-packages
    assert shadow("sys", both) is None
    assert blamed(KeyError("runtime")) is None


def test_a_runtime_that_a_file_hides_is_missing_by_that_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "onnxruntime.py").touch()
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(
        BackendUnavailable, match=r"onnxruntime\.py would be imported as onnxruntime, and hides"
    ):
        runtimes.import_runtime(backend_registry.get("onnxruntime"))


def test_a_folder_of_a_runtimes_name_is_no_runtime(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "ncnn").mkdir()
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(BackendUnavailable, match="ncnn is a folder without a package"):
        runtimes.import_runtime(backend_registry.get("ncnn"))
    sys.modules.pop("ncnn", None)


def test_a_failed_probe_names_what_pythonpath_brings(user_path: Path) -> None:
    (user_path / "ncnn.py").write_text("")
    with pytest.raises(BackendUnavailable, match=r"PYTHONPATH brings .*ncnn\.py"):
        probe("ncnn")


def test_an_answer_is_one_line_of_json(capfd: pytest.CaptureFixture[str]) -> None:
    print("unfinished", end="")
    answers.say({"a": "ü\n"})
    last = capfd.readouterr().out.splitlines()[-1]
    assert json.loads(last.removeprefix(answers.MARK)) == {"a": "ü\n"}
