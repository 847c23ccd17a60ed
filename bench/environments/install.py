"""Makes environments and removes them: virtual ones, filled by uv where that is installed, else by pip.

A folder without its marker is one whose making was cut off: it is never used, and deleted by the next try.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

from bench.environments.locate import MARKER, Environment, distributions, find, forget, home, python_in, root
from bench.environments.requirements import NUMPY, Needs, distribution, needs
from bench.files import flock
from bench.files.paths import folder_bytes, writing
from bench.files.whole import replace_file
from bench.interfaces.errors import BackendUnavailable, UsageError, did_you_mean
from bench.processes.answers import ask
from bench.processes.variables import HOMES, MEDDLING, child_variables
from bench.text import strict_json
from bench.text.numbers import file_size

Progress = Callable[[str], None]
LEAST_PYTHON = ">=3.11"
PYTHONS = tuple(f"python3.{minor}" for minor in range(11, 20))
VERSION_S = 20.0
LOG = "install.log"
LOG_LINES = 12
ROOM = 1.3  # of its size: what is unpacked lies beside what was downloaded
OURS = ("PYTHONPATH", "VIRTUAL_ENV", *HOMES, *MEDDLING)
UV_KNOWS = {f"UV_{name}" for name in ("DEFAULT_INDEX", "FIND_LINKS", "INDEX", "INDEX_URL", "NO_INDEX")}
# What pip's configuration says of where packages come from → how uv is told.
TOLD_UV = {
    "index-url": "UV_INDEX_URL",
    "extra-index-url": "UV_EXTRA_INDEX_URL",
    "find-links": "UV_FIND_LINKS",
}


def create(
    spec: str, *, extra: Sequence[str] = (), again: bool = False, progress: Progress = print
) -> Environment:
    """The environment `NAME[==VERSION]`, made unless it is there as it was made, whole.

    Args:
        extra: requirements besides its own.
        again: make it anew all the same.
        progress: gets a line as work goes on.

    Raises:
        UsageError: bakeoff knows no such name.
        BackendUnavailable: no Python fits, the disk has no room, or the installer failed; nothing is left.
    """
    wanted = needs(spec)
    with _lock(wanted.spec):
        there = find(wanted.spec)
        if there and not again and not why_not(there, extra):
            return there
        python = python_for(wanted)
        _require_room(wanted)
        folder = root() / wanted.spec
        with writing():
            shutil.rmtree(folder, ignore_errors=True)
        try:
            return _make(wanted, folder, python, extra, progress)
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise
        finally:
            forget()


def why_not(there: Environment, extra: Sequence[str] = ()) -> str:
    """'' or why an environment cannot be used as it is."""
    if there.stale:
        return "bakeoff needs other packages there now"
    if not set(extra) <= set(there.facts.get("extra", ())):
        return f"it lacks {', '.join(extra)}"
    try:
        same = list(distributions(there.python)) == there.facts["distributions"]
    except BackendUnavailable as error:
        return error.message
    return "" if same else "packages in it have changed since it was made"


def remove(spec: str) -> int:
    """Deletes an environment, whole or not; bytes that it took. Raises UsageError where there is none."""
    folder = root() / spec
    have = [path.name for path in root().glob("*/")]
    if spec not in have:
        hint = did_you_mean(spec, have) or "there is none"
        raise UsageError(f"no environment is named {spec!r}", hint=hint)
    with _lock(spec), writing():
        size = folder_bytes(folder)
        (folder / MARKER).unlink(missing_ok=True)
        shutil.rmtree(folder)
    forget()
    return size


def python_for(wanted: Needs) -> Path:
    """An interpreter that the needs allow, bakeoff's own before others. Raises BackendUnavailable."""
    from packaging.specifiers import SpecifierSet

    allowed = SpecifierSet(",".join(filter(None, (LEAST_PYTHON, wanted.python))))
    seen = []
    for python in _pythons():
        version = _version(python)
        if version and allowed.contains(version):
            return python
        seen.append(version)
    asked = wanted.python or LEAST_PYTHON
    raise BackendUnavailable(
        f"{wanted.spec} needs Python {asked}; here: {', '.join(dict.fromkeys(filter(None, seen))) or 'none'}",
        hint=f"install such a Python on $PATH, then: bakeoff env create {wanted.spec}",
    )


def _pythons() -> Iterator[Path]:
    """bakeoff's own, those on $PATH, and pyenv's."""
    yield Path(getattr(sys, "_base_executable", "") or sys.executable)
    yield from (Path(path) for name in PYTHONS if (path := shutil.which(name)))
    pyenv = Path(os.environ.get("PYENV_ROOT") or os.path.expanduser("~/.pyenv"))
    yield from sorted(pyenv.glob("versions/3.*/bin/python3"))


def _version(python: Path) -> str:
    code = "import platform; answer = platform.python_version()"
    with contextlib.suppress(OSError, subprocess.SubprocessError, ValueError):
        return str(ask(python, code, VERSION_S, child_variables(python, ""), ("-I",)))
    return ""


def _require_room(wanted: Needs) -> None:
    with writing():
        root().mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(root()).free
    if free < wanted.bytes * ROOM:
        raise BackendUnavailable(
            f"{wanted.spec} takes about {file_size(wanted.bytes)}, and {root()} has {file_size(free)} free",
            hint="bakeoff cache prune, bakeoff env remove NAME, or export BAKEOFF_CACHE=FOLDER",
        )


def _make(wanted: Needs, folder: Path, python: Path, extra: Sequence[str], progress: Progress) -> Environment:
    begun = time.monotonic()
    uv = _uv()
    inside = python_in(folder)
    lines = [*wanted.lines, *([] if NUMPY in map(distribution, wanted.lines) else [NUMPY]), *extra]
    progress(f"{wanted.spec}: installing {', '.join(lines)} with {'uv' if uv else 'pip'}")
    with writing():
        folder.mkdir(parents=True)
    if uv:
        commands = [
            [uv, "venv", "--quiet", "--allow-existing", "--python", str(python), str(folder)],
            [uv, "pip", "install", "--python", str(inside), *lines],
        ]
    else:
        commands = [
            [str(python), "-m", "venv", str(folder)],
            [str(inside), "-m", "pip", "install", "--progress-bar", "off", *lines],
        ]
    for command in commands:
        _install(wanted, command, folder / LOG, _variables(uv))
    forget()
    facts = {
        "requirements": list(wanted.lines),
        "extra": list(extra),
        "distributions": list(distributions(inside)),
        "python": _version(inside),
        "installer": "uv" if uv else "pip",
        "made": datetime.now(UTC).isoformat(timespec="seconds"),
        "seconds": round(time.monotonic() - begun, 1),
        "bytes": folder_bytes(folder),
    }
    with writing():
        replace_file(folder / MARKER, (strict_json.dumps(facts, indent=1) + "\n").encode())
    made = Environment(wanted.spec, folder, facts)
    progress(f"{wanted.spec}: {file_size(made.facts['bytes'])} in {made.facts['seconds']:.0f} s, {folder}")
    return made


def _install(wanted: Needs, command: Sequence[str], log: Path, variables: Mapping[str, str]) -> None:
    with log.open("ab") as output:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, env=variables
        )
        try:
            code = process.wait()
        except BaseException:
            process.kill()
            process.wait()
            raise
    if code:
        said = [line for line in log.read_text(errors="replace").splitlines() if line.strip()][-LOG_LINES:]
        end = "".join(f"\n    {line[:300]}" for line in said)
        raise BackendUnavailable(
            f"{wanted.spec}: {Path(command[0]).name} ended with code {code}:{end}",
            hint=f"mend that, then: bakeoff env create {wanted.spec}",
        )


def _uv() -> str:
    """uv beside this interpreter or on $PATH; '' if there is none."""
    return shutil.which("uv", path=str(home().parent)) or shutil.which("uv") or ""


def _variables(uv: str) -> dict[str, str]:
    """The installer's environment: nothing of ours on its path; uv is told what pip's configuration says of
    where packages come from, where nobody has told it, and to look through all of it as pip does."""
    variables = {name: value for name, value in os.environ.items() if name not in OURS}
    if not uv or variables.keys() & UV_KNOWS:
        return variables
    return {"UV_INDEX_STRATEGY": "unsafe-best-match", **variables, **_pip_says()}


def _pip_says() -> dict[str, str]:
    command = [str(home()), "-m", "pip", "config", "list"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    found = {}
    for line in done.stdout.splitlines():
        key, _, value = line.partition("=")
        name = TOLD_UV.get(key.rpartition(".")[2])
        if name and key.split(".")[0] in ("global", "install", ":env:"):
            separator = "," if name == "UV_FIND_LINKS" else " "
            found[name] = separator.join(value.strip("'\"").replace("\\n", " ").split())
    return found


@contextlib.contextmanager
def _lock(spec: str) -> Iterator[None]:
    """One at a time makes or removes an environment; who comes second waits."""
    with writing():
        root().mkdir(parents=True, exist_ok=True)
        file = os.open(root() / f".{spec}.lock", os.O_CREAT | os.O_RDWR | os.O_CLOEXEC)
    try:
        flock.take(file)
        yield
    finally:
        os.close(file)
