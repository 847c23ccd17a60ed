"""Environments: where a backend's processes, and the tools that write model files, find their packages.

A backend runs in the environment of its name where there is one, else in bakeoff's own. One of a version
(`onnxruntime==1.30.0`) serves the cases that name it. They lie in the cache's folder, one each:

    ROOT/environments/NAME[==VERSION]/environment.json      written last: without it, it is not used

`bench.environments.install` makes them; `bench.environments.probe` asks what a runtime can do there.
"""

from __future__ import annotations

import functools
import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.environments.requirements import Needs, distribution, known, needs, unmet
from bench.files.paths import cache_root
from bench.interfaces.errors import BackendUnavailable
from bench.machine import cpuinfo
from bench.machine.topology import read_text
from bench.processes.answers import ask
from bench.processes.variables import child_variables
from bench.text import strict_json

FOLDER = "environments"
MARKER = "environment.json"
LIST_S = 60.0
# Where devices other than the CPU show themselves, and what hides them, or their libraries, from a runtime.
DEVICE_PATTERNS = ("nvidia[0-9]*", "dri/render*", "kfd", "accel/accel*")
DEVICE_VARIABLES = (
    "CUDA_VISIBLE_DEVICES",
    "HIP_VISIBLE_DEVICES",
    "ONEAPI_DEVICE_SELECTOR",
    "LD_LIBRARY_PATH",
)
LIST_DISTRIBUTIONS = (
    "import importlib.metadata as m; answer = sorted({f'{d.name}=={d.version}' for d in m.distributions()})"
)


@dataclass(frozen=True, slots=True)
class Environment:
    """One that is whole.

    Attributes:
        spec: `NAME` or `NAME==VERSION`.
        folder: a virtual environment.
        facts: its marker: `requirements`, `distributions` (`name==version` each), `python`, `installer`,
            `made` (ISO 8601), `seconds` and `bytes` that it took.
    """

    spec: str
    folder: Path
    facts: Mapping[str, Any]

    @property
    def python(self) -> Path:
        """Its interpreter."""
        return python_in(self.folder)

    @property
    def stale(self) -> bool:
        """Whether bakeoff would install something else today, or nothing of that name."""
        name, _, _ = self.spec.partition("==")
        return name not in known() or list(needs(self.spec).lines) != self.facts["requirements"]


def python_in(folder: Path) -> Path:
    """The interpreter of a virtual environment."""
    return folder / "bin" / "python"


def root() -> Path:
    """Where environments lie."""
    return cache_root() / FOLDER


def find(spec: str) -> Environment | None:
    """The environment of that name, None where there is none or it was never finished."""
    folder = root() / spec
    try:
        facts = strict_json.loads((folder / MARKER).read_text())
        whole = {"requirements", "distributions", "python"} <= facts.keys()
    except (OSError, ValueError, AttributeError):
        return None
    return Environment(spec, folder, facts) if whole and python_in(folder).exists() else None


def environments() -> list[Environment]:
    """All that are whole, by name."""
    return [one for path in sorted(root().glob(f"*/{MARKER}")) if (one := find(path.parent.name))]


def home() -> Path:
    """The interpreter of bakeoff's own environment."""
    return Path(sys.executable)


def interpreter(backend: str, version: str | None = None) -> Path:
    """The Python that runs `backend` at `version` (any, if None).

    Raises:
        BackendUnavailable: no environment holds that version.
    """
    own = find(backend)
    if version is None:
        return own.python if own else home()
    if exact := find(f"{backend}=={version}"):
        return exact.python
    found: list[str] = []
    for path in [*([own.python] if own else []), home()]:
        installed = installed_versions(backend, path)
        if any(version in (have, have.partition("+")[0]) for have in installed.values()):
            return path
        found += [f"{name} {have}" for name, have in installed.items()]
    raise BackendUnavailable(
        f"{backend}=={version} is not installed; installed: {', '.join(dict.fromkeys(found)) or 'nothing'}",
        hint=f"bakeoff env create {backend}=={version}",
    )


def mend(python: Path) -> str:
    """The command that makes that interpreter's environment anew; '' where it is not one of these."""
    folder = python.parent.parent
    return f"bakeoff env create {folder.name} --again" if folder.parent == root() else ""


def tools(name: str) -> Path:
    """The Python that writes model files with the tools of that name; bakeoff's own for ''.

    Raises:
        BackendUnavailable: they are installed nowhere.
    """
    if not name:
        return home()
    if own := find(name):
        return own.python
    if unmet(needs(name).lines, distributions(home())):
        raise BackendUnavailable(f"the tools {name} are not installed", hint=f"bakeoff env create {name}")
    return home()


def place(wanted: Needs) -> Path | None:
    """The Python of the environment that holds what is needed, None if none does."""
    if own := find(wanted.spec):
        return None if own.stale else own.python
    return None if unmet(wanted.lines, distributions(home())) else home()


def installed_versions(backend: str, python: Path | None = None) -> dict[str, str]:
    """Distribution → version of the one that brings the backend's runtime, in that environment or our own."""
    from bench.plugins.backend_registry import get

    if python is None or python == home():
        return _owners({module.partition(".")[0] for module in get(backend).runtime})
    runtime = distribution(needs(backend).lines[0])
    try:
        return versions_of([runtime], python)
    except BackendUnavailable:
        return {}


def _owners(modules: set[str]) -> dict[str, str]:
    from importlib.metadata import packages_distributions, version

    owners = packages_distributions()
    return {name: version(name) for module in modules for name in sorted(set(owners.get(module, ())))}


def environment_fingerprint(interpreter: Path) -> str:
    """Sixteen hexadecimal digits over the interpreter, the distributions that it sees, the CPU's instruction
    sets and the devices: what a probe's answer rests on."""
    facts = {
        "interpreter": [str(interpreter), interpreter.stat().st_mtime_ns],
        "distributions": distributions(interpreter),
        "flags": cpuinfo.flags(),
        "devices": sorted(str(path) for pattern in DEVICE_PATTERNS for path in Path("/dev").glob(pattern)),
        "driver": read_text(Path("/proc/driver/nvidia/version")),
        "visible": {name: os.environ.get(name) for name in DEVICE_VARIABLES},
    }
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:16]


def distributions(interpreter: Path) -> tuple[str, ...]:
    """`name==version` of everything installed in the interpreter's environment, sorted."""
    return _distributions(str(interpreter))


def versions_of(names: Iterable[str], python: Path) -> dict[str, str]:
    """Distribution → version in that environment. Raises BackendUnavailable for one that is not there."""
    from packaging.utils import canonicalize_name

    if python == home():
        return {name: _own_version(name) for name in names}
    have = {canonicalize_name(n): v for n, _, v in (one.partition("==") for one in distributions(python))}
    lacking = [name for name in names if canonicalize_name(name) not in have]
    if lacking:
        raise BackendUnavailable(f"{', '.join(lacking)} not installed in {python.parent.parent}")
    return {name: have[canonicalize_name(name)] for name in names}


def _own_version(name: str) -> str:
    import importlib.metadata

    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError as error:
        raise BackendUnavailable(f"{name} is not installed") from error


def forget() -> None:
    """What environments hold is looked up again: one has been made or removed."""
    _distributions.cache_clear()


@functools.cache
def _distributions(interpreter: str) -> tuple[str, ...]:
    try:
        variables = child_variables(Path(interpreter), "")
        return tuple(ask(Path(interpreter), LIST_DISTRIBUTIONS, LIST_S, variables))
    except (OSError, subprocess.SubprocessError, ValueError) as error:
        raise BackendUnavailable(
            f"{interpreter} does not list what it has installed: {error}",
            hint=mend(Path(interpreter)) or f"{interpreter} -m pip list",
        ) from error
