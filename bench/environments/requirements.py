"""What an environment needs, as data beside what needs it. Standard library and packaging.

`backends/NAME/requirements.txt` is for a backend, `to-NAME.txt` beside converters for the tools that write
model files. A file holds requirements as pip reads them, the runtime itself first, and may say more in
comments:

    # python: >=3.12      which Python it takes, where that is not bakeoff's own
    # size: 480 MB        what it takes on the disk, to be told before it is installed
    # device: cuda        what it runs on, of a runtime that does not run on a CPU
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from bench.interfaces.errors import UsageError, did_you_mean
from bench.plugins import backend_registry
from bench.text.units import size

VERSION = re.compile(r"[\w.+!-]+")
FACT = re.compile(r"#\s*(python|size|device):\s*(.+)")
NUMPY = "numpy"  # a worker's own need, in whatever version the runtime allows


@dataclass(frozen=True, slots=True)
class Needs:
    """What an environment holds.

    Attributes:
        name: of the backend or of the tools.
        lines: requirements for pip.
        python: specifier of the Pythons that it takes, '' for any that bakeoff runs on.
        bytes: what it takes on the disk, roughly; 0 if nobody has said.
        version: of the runtime, None for any that `lines` allow.
        device: what it runs on, '' for a CPU (and perhaps more).
    """

    name: str
    lines: tuple[str, ...]
    python: str = ""
    bytes: int = 0
    version: str | None = None
    device: str = ""

    @property
    def spec(self) -> str:
        """`NAME` or `NAME==VERSION`."""
        return f"{self.name}=={self.version}" if self.version else self.name


def known() -> dict[str, Path]:
    """Name → file, of backends and of tools."""
    folder = backend_registry.folder()
    own = sorted(folder.glob(f"*/{backend_registry.REQUIREMENTS}"))
    tools = sorted((*folder.glob("formats/*.txt"), *folder.glob("*/formats/*.txt")))
    return {path.parent.name.replace("_", "-"): path for path in own} | {path.stem: path for path in tools}


def needs(spec: str) -> Needs:
    """What `NAME[==VERSION]` needs. Raises UsageError for a name without such a file, and for what is no
    version: it becomes the name of a folder."""
    name, pinned, version = spec.partition("==")
    if pinned and not VERSION.fullmatch(version):
        raise UsageError(f"{version!r} is no version", hint="write NAME==VERSION, as in numpy==2.4.0")
    path = known().get(name)
    if path is None:
        raise UsageError(
            f"{name!r} needs no environment that bakeoff knows of", hint=did_you_mean(name, known())
        )
    found = parse(name, path.read_text())
    if not version:
        return found
    runtime, *others = found.lines
    return replace(found, lines=(_pinned(runtime, version), *others), version=version)


def parse(name: str, text: str) -> Needs:
    """A requirements file. Raises ValueError for a size that is none."""
    found = (match for line in text.splitlines() if (match := FACT.fullmatch(line.strip())))
    facts = {match[1]: match[2] for match in found}
    lines = tuple(line for raw in text.splitlines() if (line := raw.split("#", 1)[0].strip()))
    taken = size(facts["size"]) if "size" in facts else 0
    return Needs(name, lines, facts.get("python", ""), taken, device=facts.get("device", ""))


def distribution(requirement: str) -> str:
    """`onnxruntime>=1.30` → `onnxruntime`."""
    from packaging.requirements import Requirement

    return Requirement(requirement).name


def _pinned(requirement: str, version: str) -> str:
    """`onnxruntime-gpu[cuda]>=1.30` at 1.31.1 → `onnxruntime-gpu[cuda]==1.31.1`."""
    from packaging.requirements import Requirement

    extras = ",".join(sorted(Requirement(requirement).extras))
    return f"{distribution(requirement)}{f'[{extras}]' if extras else ''}=={version}"


def unmet(lines: Iterable[str], installed: Sequence[str]) -> list[str]:
    """The requirements that `installed` (`name==version` each) does not meet."""
    return list(_unmet(lines, installed))


def _unmet(lines: Iterable[str], installed: Sequence[str]) -> Iterator[str]:
    from packaging.requirements import Requirement
    from packaging.utils import canonicalize_name

    versions = {canonicalize_name(n): v for n, _, v in (one.partition("==") for one in installed)}
    for line in lines:
        requirement = Requirement(line)
        if requirement.marker is not None and not requirement.marker.evaluate():
            continue
        version = versions.get(canonicalize_name(requirement.name))
        if version is None or not requirement.specifier.contains(version, prereleases=True):
            yield line
