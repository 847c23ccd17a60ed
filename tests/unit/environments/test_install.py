"""Environments made from wheels of this test's own: whole or absent, remade when they have changed."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from bench.cli import main
from bench.environments import install, locate, requirements
from bench.environments.install import create, python_for, remove, why_not
from bench.environments.locate import environments as all_environments
from bench.environments.locate import find, interpreter, place, python_in, root, tools
from bench.environments.requirements import needs, parse, unmet
from bench.interfaces.errors import BackendUnavailable, UsageError
from tests.helpers.waiting import PATIENCE_S

QUIET = {"progress": lambda line: None}


def wheel(folder: Path, name: str, version: str, *, needs: str = "") -> None:
    """A distribution of one module."""
    info = f"{name}-{version}.dist-info"
    with zipfile.ZipFile(folder / f"{name}-{version}-py3-none-any.whl", "w") as file:
        file.writestr(f"{name}.py", f"__version__ = {version!r}\n")
        file.writestr(
            f"{info}/METADATA",
            f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
            + (f"Requires-Dist: {needs}\n" if needs else ""),
        )
        file.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        file.writestr(f"{info}/RECORD", f"{name}.py,,\n{info}/METADATA,,\n{info}/WHEEL,,\n{info}/RECORD,,\n")


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """`odd` needs `oddrt`, of which there are two versions; no package comes from anywhere else."""
    for version in ("1.0", "2.0"):
        wheel(tmp_path, "oddrt", version)
    wheel(tmp_path, "bakeoff_test_helper", "1.0", needs="no-such-distribution")
    file = tmp_path / "odd.txt"
    file.write_text("# size: 1 MB\noddrt>=1  # the runtime\n")
    for module in (requirements, locate):
        monkeypatch.setattr(module, "known", lambda: {"odd": file})
    monkeypatch.setattr(install, "NUMPY", "oddrt")  # no worker is started here
    for name in ("PIP_EXTRA_INDEX_URL", "UV_EXTRA_INDEX_URL", "UV_INDEX_URL", "PYTHONPATH"):
        monkeypatch.delenv(name, raising=False)
    for tool in ("PIP", "UV"):
        monkeypatch.setenv(f"{tool}_FIND_LINKS", str(tmp_path))
        monkeypatch.setenv(f"{tool}_NO_INDEX", "1")
    monkeypatch.setenv("BAKEOFF_CACHE", str(tmp_path / "cache"))
    locate.forget()
    yield tmp_path
    locate.forget()


def version_in(python: Path) -> str:
    code = "import oddrt; print(oddrt.__version__)"
    return subprocess.run([python, "-c", code], capture_output=True, text=True, check=True).stdout.strip()


@pytest.mark.parametrize("installer", ["uv", "pip"])
def test_one_is_made_and_found(shop: Path, installer: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if installer == "pip":
        monkeypatch.setattr(install, "_uv", lambda: "")
    elif not install._uv():
        pytest.skip("uv is not installed")
    assert find("odd") is None
    assert place(needs("odd")) is None
    made = create("odd", **QUIET)
    assert made.facts["installer"] == installer
    assert find("odd") == made
    assert version_in(made.python) == "2.0"
    assert interpreter("odd") == tools("odd") == place(needs("odd")) == made.python
    assert "oddrt==2.0" in made.facts["distributions"]
    assert 0 < made.facts["bytes"] < 1e9
    assert why_not(made) == ""
    before = (made.folder / locate.MARKER).stat().st_mtime_ns
    create("odd", **QUIET)
    assert (made.folder / locate.MARKER).stat().st_mtime_ns == before, "it was there"
    create("odd", again=True, **QUIET)
    assert (made.folder / locate.MARKER).stat().st_mtime_ns > before


def test_versions_live_side_by_side(shop: Path) -> None:
    create("odd==1.0", **QUIET)
    create("odd", **QUIET)
    assert version_in(interpreter("odd", "1.0")) == "1.0"
    assert interpreter("odd", "2.0") == interpreter("odd"), "the one of its name holds that version"
    assert [one.spec for one in all_environments()] == ["odd", "odd==1.0"]


def test_what_was_cut_off_is_not_used_and_made_anew(shop: Path) -> None:
    made = create("odd", **QUIET)
    (made.folder / locate.MARKER).unlink()
    assert find("odd") is None
    assert all_environments() == []
    (made.folder / "half").write_text("")
    again = create("odd", **QUIET)
    assert not (again.folder / "half").exists()


@pytest.mark.parametrize("text", ["", "{", "[]", '{"python": "3.11"}'])
def test_a_damaged_marker_is_none(shop: Path, text: str) -> None:
    made = create("odd", **QUIET)
    (made.folder / locate.MARKER).write_text(text)
    assert find("odd") is None


def test_a_failure_says_the_installers_words_and_leaves_nothing(shop: Path) -> None:
    with pytest.raises(BackendUnavailable) as caught:
        create("odd", extra=["bakeoff_test_helper"], **QUIET)
    assert "no-such-distribution" in caught.value.message
    assert caught.value.hint.endswith("bakeoff env create odd")
    assert find("odd") is None
    assert not (root() / "odd").exists()


def test_an_interrupt_leaves_nothing(shop: Path) -> None:
    def interrupt(line: str) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        create("odd", progress=interrupt)
    assert not (root() / "odd").exists()


def test_one_that_has_changed_is_made_anew(shop: Path) -> None:
    made = create("odd", **QUIET)
    for info in made.folder.glob("lib/python*/site-packages/oddrt-2.0.dist-info"):
        shutil.rmtree(info)
    locate.forget()
    assert why_not(made) == "packages in it have changed since it was made"
    assert why_not(create("odd", **QUIET)) == ""
    (shop / "odd.txt").write_text("oddrt==1.0\n")
    stale = find("odd")
    assert stale is not None
    assert stale.stale
    assert why_not(stale) == "bakeoff needs other packages there now"
    assert place(needs("odd")) is None, "a set-up makes it anew"
    assert version_in(create("odd", **QUIET).python) == "1.0"


def test_a_version_that_is_nowhere_says_how_to_get_it(shop: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(locate, "_owners", lambda modules: {"oddrt": "1.0"})  # beside bakeoff
    monkeypatch.setattr(
        "bench.plugins.backend_registry.get", lambda name: type("B", (), {"runtime": ("oddrt",)})
    )
    assert interpreter("odd", "1.0") == locate.home()
    with pytest.raises(BackendUnavailable, match="is not installed; installed: oddrt") as caught:
        interpreter("odd", "3.0")
    assert caught.value.hint == "bakeoff env create odd==3.0"


def test_a_python_that_is_not_here_is_named(shop: Path) -> None:
    have = ".".join(map(str, sys.version_info[:2]))
    with pytest.raises(BackendUnavailable, match=rf"odd needs Python >=3.99; here: .*{have}"):
        python_for(parse("odd", "# python: >=3.99\noddrt\n"))
    assert python_for(needs("odd")).exists()


def test_a_disk_without_room_is_told_before(shop: Path) -> None:
    (shop / "odd.txt").write_text("# size: 900000 GB\noddrt\n")
    with pytest.raises(BackendUnavailable, match=r"odd takes about 900 TB, and .* free"):
        create("odd", **QUIET)


def test_removed_is_gone(shop: Path) -> None:
    made = create("odd", **QUIET)
    assert remove("odd") > 0
    assert not made.folder.exists()
    with pytest.raises(UsageError, match="no environment is named 'odd'"):
        remove("odd")
    for outside in ("..", "", "../environments"):
        with pytest.raises(UsageError):
            remove(outside)


def test_unknown_names_are_mistakes() -> None:
    with pytest.raises(UsageError, match="no environment that bakeoff knows of") as caught:
        needs("onnxruntim")
    assert caught.value.hint == "did you mean 'onnxruntime'?"


def test_requirements_files_say_more_in_comments() -> None:
    found = parse("x", "# python: >=3.12\n#size: 1.5 GB\n\nruntime==1 # pinned\nother\n")
    assert (found.lines, found.python, found.bytes) == (("runtime==1", "other"), ">=3.12", 1_500_000_000)
    with pytest.raises(ValueError, match="no size"):
        parse("x", "# size: large\n")


def test_requirements_are_met_by_what_is_installed() -> None:
    have = ["Odd_RT==2.0", "torch==2.13.0+cpu", "early==3.0rc1"]
    assert unmet(["odd-rt>=1", "torch>=2.9,<2.14", "early>=3.0rc1"], have) == []
    assert unmet(["odd-rt<2", "absent", "absent; python_version < '3'"], have) == ["odd-rt<2", "absent"]


def test_the_command_tells_what_is_there(shop: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["env", "list"]) == 0
    assert "none in" in capsys.readouterr().out
    assert main(["env", "create", "odd"]) == 0
    assert "odd: ready, oddrt 2.0 on Python 3." in capsys.readouterr().out
    assert main(["env", "list", "--json"]) == 0
    [one] = json.loads(capsys.readouterr().out)["environments"]
    assert (one["environment"], one["holds"], one["problem"]) == ("odd", "oddrt 2.0", "")
    assert main(["env", "list"]) == 0
    assert "whole" in capsys.readouterr().out
    assert main(["env", "remove", "odd"]) == 0
    assert "freed" in capsys.readouterr().out
    assert main(["env", "remove", "odd"]) == 2
    assert main(["env", "create", "nonesuch"]) == 2


def test_a_child_of_another_environment_sees_our_code_and_nothing_else(
    shop: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from bench.processes.process import Process

    made = create("odd", **QUIET)
    monkeypatch.setenv("PYTHONPATH", str(shop))
    names = ("bench", "backends", "workloads", "oddrt", "reports", "pandas", "yaml", "pytest")
    code = f"import importlib.util as u; print([bool(u.find_spec(name)) for name in {names}])"
    process = Process(["-c", code], interpreter=python_in(made.folder))
    process.popen.wait(PATIENCE_S)
    assert process.end().strip() == "[True, True, True, True, False, False, False, False]"


def test_every_child_there_is_told_what_makes_its_environment_whole(
    shop: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Whoever starts one hands the command in: the room of processes knows no environments."""
    from bench.environments import probe as probing
    from bench.interfaces.backend import Target
    from bench.interfaces.case import Case
    from bench.interfaces.job import Job
    from bench.interfaces.tensors import IOSpec
    from bench.measure import link
    from bench.measure.gpu import peaks
    from bench.plugins.converter_registry import converters
    from bench.prepare import launch
    from bench.processes.process import Process

    python = python_in(create("odd", **QUIET).folder)
    mended = locate.mend(python)
    assert mended.startswith("bakeoff env create odd")
    process = Process(["-c", "import os; print(os.environ['BAKEOFF_MEND'])"], interpreter=python, mend=mended)
    process.popen.wait(PATIENCE_S)
    assert process.end().strip() == mended

    class Started(Exception):
        pass

    def start(*_: object, **told: object) -> None:
        assert told["mend"] == mended
        raise Started

    for module in (probing, peaks, link, launch):
        monkeypatch.setattr(module, "Process", start)
    job = Job(Case("w", "c", 1, None, "null", Target()), None, IOSpec((), ()))
    told = {"workload": "w", "weights": "", "facts": {}, "parents": {}}
    bounds = {"memory_bytes": 1, "limit_s": 1.0, "python": python, "variables": {}}
    starts: list[Callable[[], object]] = [
        lambda: probing._ask("null", python),
        lambda: peaks._measured("null", "cpu", python),
        lambda: link.Link(job, interpreter=python),
        lambda: launch.Making(converters()["inputs"], "0" * 32, ({},), told, {}, **bounds),
    ]
    for begin in starts:
        with pytest.raises(Started):
            begin()


@pytest.mark.parametrize("spec", ["torch==../../x", "torch==/etc", "torch==", "torch==2 --pre", "torch==2\n"])
def test_a_version_that_could_be_a_path_or_a_flag_is_none(spec: str) -> None:
    with pytest.raises(UsageError, match="is no version"):
        needs(spec)
