"""What is printed cannot end what is measured: alphabets, readers who leave, disks that are full."""

import contextlib
import importlib
import io
import json
import os
import subprocess
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from bench.cli import main, streams
from tests.helpers import fake_results as fake
from tests.helpers.fake_results import Ask
from tests.helpers.fake_runs import write_run

ROOT = Path(__file__).parents[3]
ASCII = (
    {"PYTHONIOENCODING": "ascii"},
    {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"},
    {"PYTHONIOENCODING": "latin-1"},
)


@pytest.fixture(scope="module")
def stores(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Three runs each; ONNX Runtime is 30 % slower in the second, and a case came out wrong."""
    folder = tmp_path_factory.mktemp("stores")
    paths = []
    for name, seconds in (("a", 0.04), ("b", 0.052)):
        path = folder / f"{name}.sqlite"
        for i in range(3):
            asks = [Ask("torch", 0.0893), Ask("onnxruntime", seconds)]
            asks.append(Ask("openvino", status="failed", reason="no file café–日本.onnx: 3 µs × 2 …"))
            write_run(path, f"2026112{i}-090000", asks, seed=ord(name) + i)
        paths.append(path)
    return paths[0], paths[1]


Done = subprocess.CompletedProcess[bytes]
ALPHABET = ("LC_", "LANG", "PYTHONIO", "PYTHONUTF8")


def bakeoff(*words: object, out: Any = subprocess.PIPE, **variables: str) -> Done:
    kept = {key: value for key, value in os.environ.items() if not key.startswith(ALPHABET)}
    environment = {**kept, "PYTHONPATH": str(ROOT), "COLUMNS": "100", **variables}
    command = [sys.executable, "-m", "bench", *map(str, words)]
    return subprocess.run(command, stdout=out, stderr=subprocess.PIPE, env=environment, timeout=120)


@pytest.mark.parametrize("variables", ASCII, ids=lambda one: next(iter(one)))
def test_every_command_degrades(variables: Mapping[str, str], stores: tuple[Path, Path]) -> None:
    a, b = stores
    for words in (
        ("--help",),
        ("run", "--help"),
        ("show", "--store", a),
        ("list", "suites"),
        ("list", "workloads"),
        ("compare", a, b),
    ):
        done = bakeoff(*words, **variables)
        assert (done.returncode, done.stderr) == (0, b""), words
        assert b"\\u2500" not in done.stdout


def test_signs_become_near_ones(stores: tuple[Path, Path]) -> None:
    done = bakeoff("show", "--store", stores[0], PYTHONIOENCODING="ascii").stdout.decode("ascii")
    assert "0.4" in done
    assert "1x" in done
    assert "+-" in done
    assert "no file caf\\xe9-\\u65e5\\u672c.onnx: 3 us x 2 ..." in " ".join(done.split())
    assert not {"×", "±", "─"} & set(done)


def test_an_error_is_told_in_ascii_too() -> None:
    done = bakeoff("show", "--store", "not–there.sqlite", PYTHONIOENCODING="ascii")
    assert done.returncode != 0
    assert b"no store at not-there.sqlite" in done.stderr


@pytest.mark.parametrize(
    "words", [("show", "--json"), ("list", "runs", "--json"), ("list", "suites", "--json")]
)
def test_json_is_ascii_where_the_stream_is(words: tuple[str, ...], stores: tuple[Path, Path]) -> None:
    store = ("--store", stores[0])
    near = bakeoff(*words, *store, PYTHONIOENCODING="ascii")
    wide = bakeoff(*words, *store, PYTHONIOENCODING="utf-8")
    assert near.stdout.isascii()
    assert near.returncode == wide.returncode == 0
    assert json.loads(near.stdout) == json.loads(wide.stdout)


def test_files_stay_utf8(stores: tuple[Path, Path], tmp_path: Path) -> None:
    for format in ("csv", "json", "markdown"):
        done = bakeoff(
            "export",
            "--store",
            stores[0],
            "--format",
            format,
            "-o",
            tmp_path / "out",
            PYTHONIOENCODING="ascii",
        )
        assert done.returncode == 0
        assert "café–日本" in (tmp_path / "out").read_text(encoding="utf-8")


@pytest.mark.parametrize("format", ["csv", "json", "markdown"])
def test_a_file_holds_a_name_that_is_no_text(format: str, tmp_path: Path) -> None:
    """A reason may name a file whose name was in another encoding: Python keeps its bytes as surrogates."""
    from reports.exporters import export
    from reports.html import page

    found = fake.judged(fake.make("resnet50", [Ask("torch", status="failed", reason="no caf\udce9.onnx")]))
    assert "caf" in export(format, found, tmp_path / "out").read_text(encoding="utf-8")
    assert "caf" in page.write(found, tmp_path / "out.html").read_text(encoding="utf-8")


def closed_pipe() -> int:
    reading, writing = os.pipe()
    os.close(reading)
    return writing


def test_a_reader_who_leaves_changes_no_exit_code(stores: tuple[Path, Path]) -> None:
    a, b = (f"{path}::{','.join(f'2026112{i}-090000' for i in range(3))}" for path in stores)
    for words, code in ((("show", "--store", stores[0]), 0), (("compare", a, b, "--gate", "5%"), None)):
        expected = bakeoff(*words).returncode if code is None else code
        gone = closed_pipe()
        done = bakeoff(*words, out=gone)
        os.close(gone)
        assert (done.returncode, done.stderr) == (expected, b"")
        if code is None:
            assert expected == 1  # the gate is closed, whoever reads


def test_a_closed_standard_output_is_no_defect(stores: tuple[Path, Path]) -> None:
    command = f'"{sys.executable}" -m bench show --store "{stores[0]}" >&-'
    done = subprocess.run(
        command, shell=True, capture_output=True, env={**os.environ, "PYTHONPATH": str(ROOT)}
    )
    assert (done.returncode, done.stderr) == (0, b"")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
@pytest.mark.parametrize("words", [("show",), ("show", "--json"), ("list", "runs")])
def test_a_full_disk_is_told_once_with_its_code(words: tuple[str, ...], stores: tuple[Path, Path]) -> None:
    with open("/dev/full", "wb") as full:
        done = bakeoff(*words, "--store", stores[0], out=full)
    assert done.returncode == 4
    assert done.stderr.decode().splitlines() == [
        "bakeoff: standard output could not be written whole: No space left on device",
        "  free some space and repeat the command; what was measured is kept",
    ]


def test_a_pipe_that_does_not_block_is_waited_for() -> None:
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    text = "x" * (1 << 20)
    got: list[bytes] = []

    def read() -> None:
        with os.fdopen(reading, "rb") as file:
            got.append(file.read())

    reader = threading.Thread(target=read)
    out = io.TextIOWrapper(io.BufferedWriter(streams.Sink(writing, "wb")), encoding="ascii")
    reader.start()
    print(text, file=out, flush=True)
    out.close()
    reader.join()
    assert got == [text.encode() + b"\n"]


def test_a_handler_that_was_asked_for_stays(stores: tuple[Path, Path]) -> None:
    done = bakeoff("show", "--store", stores[0], PYTHONIOENCODING="ascii:replace").stdout
    assert b"1?" in done


def test_streams_of_somebody_else_are_left_where_they_are(
    stores: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    before = sys.stdout
    assert main(["show", "--store", str(stores[0])]) == 0
    assert sys.stdout is before
    assert "1×" in capsys.readouterr().out


@pytest.mark.parametrize("program", ["__main__", "verdicts", "simulations.__main__"])
def test_what_measures_for_hours_prints_the_same_way(
    program: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Benchmarks print `×` and `±` between their measurements."""
    called = []
    monkeypatch.setattr(streams, "settle", lambda: called.append(program))
    module = importlib.import_module(f"benchmarks.{program}")
    with contextlib.suppress(SystemExit):
        module.main(["--no-such-thing"])
    assert called == [program]
    assert capsys.readouterr().err
