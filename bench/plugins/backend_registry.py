"""Finds backends by name without importing a runtime.

A backend is a folder of the package `backends` that holds `backend.py` with an attribute `BACKEND`, or an
entry point of another distribution in the group `bakeoff.backends` whose value is such an object; in both the
name is that of the backend, but a folder has an underscore for a hyphen.
"""

from __future__ import annotations

import functools
import importlib
import importlib.util
import re
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, cast

from bench.interfaces.backend import Backend, BaseBackend, Role
from bench.interfaces.errors import BackendUnavailable, UsageError, did_you_mean

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

GROUP = "bakeoff.backends"
PACKAGE, FILE, REQUIREMENTS = "backends", "backend.py", "requirements.txt"
DISTRIBUTION = re.compile(r"[\w.-]+")
SPEC = re.compile(r"(?P<name>[\w.-]+?)(:(?P<variant>[\w.-]+))?(==(?P<version>[\w.+!-]+))?")


@functools.cache
def folder(name: str = "") -> Path:
    """Where the package of backends lies, or one of its backends."""
    spec = importlib.util.find_spec(PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        raise BackendUnavailable(f"the package {PACKAGE!r} is not installed", hint="pip install bakeoff")
    return Path(spec.submodule_search_locations[0], name.replace("-", "_"))


@functools.cache
def _folders() -> frozenset[str]:
    return frozenset(file.parent.name.replace("_", "-") for file in folder().glob(f"*/{FILE}"))


@functools.cache
def _entry_points() -> dict[str, EntryPoint]:
    from importlib.metadata import entry_points  # a worker of a backend of this package does without

    return {entry.name: entry for entry in entry_points(group=GROUP)}


def names(role: Role | None = None) -> list[str]:
    """Backends there are, sorted, all or of one role. One that cannot be imported is left out of a role,
    with a warning."""
    known = sorted({*_folders(), *_entry_points()})
    return known if role is None else [name for name in known if _has_role(name, role)]


def _has_role(name: str, role: Role) -> bool:
    try:
        return get(name).role == role
    except BackendUnavailable as error:
        warnings.warn(str(error), stacklevel=3)
        return False


def module_of(name: str) -> str:
    """The module of a backend of this package of that name."""
    return f"{PACKAGE}.{name.replace('-', '_')}.{Path(FILE).stem}"


@functools.cache
def get(name: str) -> Backend:
    """The backend of that name; a folder of this package goes before an entry point.

    Raises UsageError for an unknown name, BackendUnavailable where another distribution's is broken.
    """
    if name in _folders():
        return cast(Backend, importlib.import_module(module_of(name)).BACKEND)
    entry = _entry_points().get(name)
    if entry is None:
        raise UsageError(
            f"no backend {name!r}", hint=f"{did_you_mean(name, names())} (bakeoff list backends)"
        )
    try:
        backend = entry.load()
    except Exception as error:
        raise BackendUnavailable(
            f"backend {name!r} ({entry.value}) cannot be imported: {type(error).__name__}: {error}",
            hint=f"mend or remove the distribution {entry.dist.name if entry.dist else '?'}",
        ) from error
    if not isinstance(backend, Backend) or backend.name != name:
        raise BackendUnavailable(
            f"backend {name!r}: {entry.value} is not a Backend of that name",
            hint="class BackendContract in bench/contract/suite.py says what is missing",
        )
    return backend


@functools.cache
def no_telemetry(distributions: tuple[str, ...]) -> dict[str, str]:
    """Variables that keep the runtimes among these distributions from reporting their use. Others do without
    them: `CI` is read by many tools, and OpenVINO's alone means its telemetry by it."""
    found: dict[str, str] = {}
    for name in sorted(_folders()):
        backend = get(name)
        brings = {match[0] for line in requirements(name) if (match := DISTRIBUTION.match(line))}
        if isinstance(backend, BaseBackend) and not brings.isdisjoint(distributions):
            found |= backend.no_telemetry
    return found


def parse(spec: str) -> tuple[str, str, str | None]:
    """`NAME[:VARIANT][==VERSION]` as (name, variant, version); '' and None where left out.

    Raises UsageError for what cannot be read, an unknown backend or an unknown variant.
    """
    match = SPEC.fullmatch(spec)
    if match is None:
        raise UsageError(f"backend {spec!r} cannot be read", hint="write NAME[:VARIANT][==VERSION]")
    name, variant = match["name"], match["variant"] or ""
    variants = [known for known in get(name).variants if known]
    if variant and variant not in variants:
        hint = did_you_mean(variant, variants) or f"write {name} alone"
        raise UsageError(f"backend {name!r} has no variant {variant!r}", hint=hint)
    return name, variant, match["version"]


def requirements(name: str) -> list[str]:
    """What pip installs for a backend of this package; empty for one that needs nothing more."""
    path = folder(name) / REQUIREMENTS
    if not path.is_file():
        return []
    lines = (line.split("#", 1)[0].strip() for line in path.read_text().splitlines())
    return [line for line in lines if line]
