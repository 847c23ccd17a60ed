"""What is here: backends with their devices and precisions, or why not; and whether the machine is fit."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import packages_distributions
from pathlib import Path
from typing import Any

from bench.environments.locate import find
from bench.environments.probe import probe_all
from bench.interfaces.backend import Capabilities, Role, Support
from bench.interfaces.errors import BackendUnavailable
from bench.machine import budget, fingerprint, storage
from bench.machine import checks as machine_checks
from bench.machine.checks import Check
from bench.machine.gpu import checks as gpu_fitness
from bench.machine.gpu import devices
from bench.plugins import backend_registry
from bench.processes.process import ROOT
from bench.store.sqlite import DEFAULT_PATH
from bench.text.numbers import memory_size

DISTRIBUTION = "bakeoff"
PACKAGES = ("bench", "backends", "workloads", "reports")


@dataclass(frozen=True, slots=True)
class BackendState:
    """A backend: its version and devices → precisions → support, or (version None) why not and the mend."""

    name: str
    summary: str
    role: Role
    version: str | None
    devices: Mapping[str, Mapping[str, Support]] = field(default_factory=dict)
    detail: Mapping[str, str] = field(default_factory=dict)
    why: str = ""
    mend: str = ""


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """All that `bakeoff doctor` says, as plain data. `machine` is
    `bench.machine.fingerprint.fingerprint()`."""

    backends: tuple[BackendState, ...]
    checks: tuple[Check, ...]
    machine: Mapping[str, Any]

    @property
    def fit(self) -> bool:
        """Nothing is so bad that a measurement would mislead."""
        return all(check.state != "bad" for check in self.checks)


def diagnose(store: Path = DEFAULT_PATH) -> Diagnosis:
    """Looks around, and leaves nothing behind; takes half a second, and the probes that are not cached."""
    seen = machine_checks.sample()  # before the probes make the machine busy
    checks = (
        *machine_checks.checks(budget.core_budget(), seen),
        *_gpu_checks(),
        *storage.checks(store),
        own_names(),
    )
    answers = probe_all(
        name for name in backend_registry.names() if backend_registry.get(name).role != "test"
    )
    backends = tuple(backend_state(name, answer) for name, answer in answers.items())
    fit = (
        check
        for one in backends
        for check in gpu_fitness.misfits(one.name, one.detail, devices.found(), list(devices.gpus().values()))
    )
    return Diagnosis(backends, (*checks, *fit), fingerprint.fingerprint())


def _gpu_checks() -> tuple[Check, ...]:
    return gpu_fitness.checks(devices.found(), devices.gpus(), devices.readings(), os.environ)


def backend_state(name: str, answer: Capabilities | BackendUnavailable) -> BackendState:
    try:
        backend = backend_registry.get(name)
    except BackendUnavailable as error:  # another distribution's, and broken
        return BackendState(name, "", "runtime", None, why=error.message, mend=error.hint)
    if isinstance(answer, BackendUnavailable):
        mend = answer.hint or backend.install
        return BackendState(name, backend.summary, backend.role, None, why=answer.message, mend=mend)
    detail = dict(answer.detail)
    if own := find(name):
        detail["environment"] = str(own.folder)
    return BackendState(name, backend.summary, backend.role, answer.version, dict(answer.devices), detail)


def own_names(
    owners: Mapping[str, Sequence[str]] | None = None, folders: Mapping[str, Path | None] | None = None
) -> Check:
    """Whether the four top-level packages are this distribution's alone: another's `bench` would hide ours.

    `owners`: package → distributions that bring it; `folders`: package → where it is imported from; both
    those of this environment unless given.
    """
    owners = packages_distributions() if owners is None else owners
    folders = {name: _folder(name) for name in PACKAGES} if folders is None else folders
    others = {name: sorted({*owners.get(name, ())} - {DISTRIBUTION}) for name in PACKAGES}
    rivals = sorted({rival for found in others.values() for rival in found})
    if rivals:
        taken = ", ".join(f"{name} ({', '.join(found)})" for name, found in others.items() if found)
        mend = f"pip uninstall {' '.join(rivals)}, or install bakeoff in an environment of its own"
        return Check("package names", "bad", f"other distributions bring {taken} too", mend)
    astray = [name for name, folder in folders.items() if folder != ROOT / name]
    if astray:
        text = f"{', '.join(astray)} would be imported from somewhere else"
        return Check("package names", "bad", text, "cd to another folder, and unset PYTHONPATH")
    return Check("package names", "ok", f"{', '.join(PACKAGES)} are bakeoff's alone")


def _folder(name: str) -> Path | None:
    spec = importlib.util.find_spec(name)
    return Path(spec.origin).resolve().parent if spec and spec.origin else None


def lines(diagnosis: Diagnosis) -> list[str]:
    """The diagnosis as plain text."""
    found = ["Backends"]
    for backend in diagnosis.backends:
        found += _backend_lines(backend)
    found += ["", "Machine", f"  {machine_line(diagnosis.machine)}"]
    width = max((len(check.name) for check in diagnosis.checks), default=0)
    for check in diagnosis.checks:
        found.append(f"  {check.state:<4}  {check.name:<{width}}  {check.fact}")
        if check.mend:
            found.append(f"  {'':<4}  {'':<{width}}  mend: {check.mend}")
    return found


def machine_line(facts: Mapping[str, Any]) -> str:
    """The machine in one line."""
    memory = memory_size(facts["memory_bytes"])
    cores = f"{facts['cores']} cores" if facts["cores"] else "cores unknown"
    shape = f"{cores}, {facts['threads']} threads, {facts['nodes'] or 'unknown'} NUMA node(s)"
    return f"{facts['cpu']}, {shape}, {memory}, {facts['system']} {facts['kernel']}, {facts['python']}"


def _backend_lines(backend: BackendState) -> list[str]:
    if backend.version is None:
        what = [f"  {backend.name + ' ':<14}not available: {backend.why}"]
        return [*what, f"  {'':<14}mend: {backend.mend}"] if backend.mend else what
    found = [f"  {backend.name + ' ':<14}{backend.version}"]
    for device, table in backend.devices.items():
        has = ", ".join(name for name, support in table.items() if support.level == "native") or "nothing"
        found.append(f"  {'':<14}{device}: {has}")
        for name, support in table.items():
            if support.level != "native":
                word = "only emulated" if support.level == "emulated" else "no"
                found.append(f"  {'':<14}  {name}: {word}" + (f" ({support.why})" if support.why else ""))
    found += [f"  {'':<14}{key}: {value}" for key, value in backend.detail.items()]
    return found
