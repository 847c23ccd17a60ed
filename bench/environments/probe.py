"""What a runtime can do here: asked of a process of its own environment, kept while that stays as it is."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

from bench import interfaces
from bench.environments.locate import environment_fingerprint, interpreter, mend
from bench.files.paths import cache_root
from bench.files.whole import replace_file
from bench.interfaces.backend import Capabilities, Target
from bench.interfaces.errors import BackendUnavailable
from bench.machine import instructions
from bench.machine.gpu.devices import BY_BUS
from bench.plugins import backend_registry
from bench.processes.answers import heard
from bench.processes.process import Process
from bench.text import strict_json

PROBE_S = 90.0
PROBES_AT_ONCE = 2


def probe(name: str) -> Capabilities:
    """What `NAME[==VERSION]` can do here, from the cache or from a process of its own environment.

    Raises:
        BackendUnavailable: not installed, does not start, crashes or hangs; never cached.
    """
    backend, _, version = name.partition("==")
    python = interpreter(backend, version or None)
    path = _cache_path(backend, python)
    if (known := _cached(path)) is not None:
        return known
    capabilities = _ask(backend, python)
    _keep(path, capabilities)
    return capabilities


def probe_all(names: Iterable[str]) -> dict[str, Capabilities | BackendUnavailable]:
    """Name → capabilities, or the error that says why not; two processes at a time."""
    names = list(dict.fromkeys(names))
    with ThreadPoolExecutor(PROBES_AT_ONCE) as pool:
        return dict(zip(names, pool.map(_probe_or_error, names), strict=True))


def _probe_or_error(name: str) -> Capabilities | BackendUnavailable:
    try:
        return probe(name)
    except BackendUnavailable as error:
        return error


def _ask(backend: str, python: Path) -> Capabilities:
    variables = {**backend_registry.get(backend).environment(Target()), **BY_BUS}
    known = mend(python)
    arguments = ["-m", "bench.worker", "--probe", backend]
    process = Process(arguments, interpreter=python, environment=variables, mend=known)
    again = known or f"see it fail: {python.name} -P -m bench.worker --probe {backend}"
    code: int | None = None
    try:
        code = process.popen.wait(PROBE_S)
    except subprocess.TimeoutExpired:
        pass
    finally:
        log = process.end()
    answer = heard(log) if code is not None else None
    if not isinstance(answer, dict):
        raise BackendUnavailable(_with_log(f"{backend}: its probe {_how_it_ended(code)}", log), hint=again)
    if not answer["ok"]:
        message, hint = str(answer.get("message", "")), str(answer.get("hint", ""))
        if answer.get("kind") == "missing":
            raise BackendUnavailable(message, hint=hint)
        raise BackendUnavailable(f"{backend}: its probe failed: {message}", hint=hint or again)
    return Capabilities.from_dict(answer["capabilities"])


def _how_it_ended(code: int | None) -> str:
    if code is None:
        return f"did not answer in {PROBE_S:g} s"
    return f"died of signal {-code}" if code < 0 else f"ended with exit code {code} and no answer"


def _with_log(message: str, log: str, lines: int = 8) -> str:
    end = [line[:300] for line in log.strip().splitlines()[-lines:]]
    return "\n    ".join([f"{message}; the end of its output:", *end]) if end else message


def _cache_path(backend: str, python: Path) -> Path:
    """The answer also rests on the code that asks: all of the backend's folder, and what backends share."""
    name = f"{backend}-{environment_fingerprint(python)}-{code_of(backend)[:8]}.json"
    return cache_root() / "probes" / name


def code_of(backend: str) -> str:
    """SHA-256 over the files, names and contents, that a backend's answers rest on: its folder, or its file
    where another distribution brings it, and what it may ask of us."""
    own = getattr(sys.modules.get(type(backend_registry.get(backend)).__module__), "__file__", None)
    files = [Path(path) for path in (own, instructions.__file__) if path]
    shared = Path(interfaces.__path__[0])
    for folder in (backend_registry.folder(backend), backend_registry.folder("support"), shared):
        files += sorted(path for path in folder.rglob("*") if path.suffix in (".py", ".txt"))
    code = hashlib.sha256()
    for file in files:
        code.update(f"{file.name}\n".encode())
        code.update(file.read_bytes())
    return code.hexdigest()


def _cached(path: Path) -> Capabilities | None:
    try:
        return Capabilities.from_dict(strict_json.loads(path.read_text()))
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None  # not there, or not what was written: asked again


def _keep(path: Path, capabilities: Capabilities) -> None:
    with suppress(OSError):  # a cache that cannot be written costs time, not an answer
        replace_file(path, strict_json.dumps(capabilities, indent=1).encode())
