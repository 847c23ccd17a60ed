"""What a device can do at most, measured once on each kind of GPU through a runtime that can
(`bench.interfaces.backend.Measuring`), in a process of its own, and kept with the machine's facts.
"""

from __future__ import annotations

import math
import subprocess
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from bench.cache.artefacts import key_of
from bench.environments.locate import installed_versions, interpreter, mend
from bench.files.paths import cache_root
from bench.files.whole import replace_file
from bench.interfaces.backend import Measuring
from bench.interfaces.case import Case
from bench.interfaces.errors import BackendUnavailable
from bench.machine.gpu import devices
from bench.plugins import backend_registry
from bench.prepare.graph import processor
from bench.processes.answers import heard
from bench.processes.process import Process
from bench.text import strict_json

LIMIT_S = 120.0


def with_ceilings(machine: Mapping[str, Any], cases: Iterable[Case]) -> dict[str, Any]:
    """A machine's facts with the limits of the GPUs that the cases use, from the cache or measured now."""
    cases = list(cases)
    known = machine.get("gpus", [])
    gpus = [dict(gpu) for gpu in known]
    for place, gpu in enumerate(gpus):
        device = f"{devices.KIND}:{place}"
        able = {
            case.backend: case.version
            for case in cases
            if case.target.device == device and _able(case.backend)
        }
        for backend, version in able.items():
            if found := _ceilings(backend, version, device):
                gpu["ceilings"] = found
                break
    return {**machine, "gpus": gpus} if gpus else dict(machine)


def _able(backend: str) -> bool:
    return isinstance(backend_registry.get(backend), Measuring)


def _ceilings(backend: str, version: str | None, device: str) -> dict[str, float]:
    try:
        python = interpreter(backend, version)
    except BackendUnavailable:
        return {}
    facts = {
        "backend": backend,
        "versions": installed_versions(backend, python),
        "processor": processor(device),
    }
    path = cache_root() / "ceilings" / f"{key_of(facts)[:16]}.json"
    try:
        kept = strict_json.loads(path.read_text())
        return kept if isinstance(kept, dict) else {}
    except (OSError, ValueError):
        found = _measured(backend, device, python)
    if found:
        _keep(path, found)
    return found


def _measured(backend: str, device: str, python: Path) -> dict[str, float]:
    """{} where it fails: a row then has no share, and nothing else is lost."""
    seen = devices.alone(device, devices.gpus())
    arguments = ["-m", "bench.worker", "--ceilings", backend, devices.inside(device)]
    process = Process(arguments, interpreter=python, environment=seen, mend=mend(python))
    try:
        process.popen.wait(LIMIT_S)
    except subprocess.TimeoutExpired:
        pass
    finally:
        log = process.end()
    found = heard(log)
    ceilings = found.get("ceilings", {}) if isinstance(found, dict) else {}
    return {name: float(value) for name, value in ceilings.items() if positive(value)}


def _keep(path: Path, found: Mapping[str, float]) -> None:
    with suppress(OSError):  # a cache that cannot be written costs time, not an answer
        replace_file(path, strict_json.dumps(found).encode())


def positive(value: Any) -> bool:
    """Whether it is a number that a limit can be."""
    return isinstance(value, int | float) and math.isfinite(value) and value > 0
