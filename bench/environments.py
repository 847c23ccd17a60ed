"""Where a backend runs: its interpreter, what that environment holds, and what the runtime can do there.

Today every backend shares bakeoff's own environment. Whoever needs an interpreter asks `interpreter` and
whoever needs capabilities asks `probe`, so that environments of their own come in here alone.
"""

from __future__ import annotations

import functools
import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from backends.base import Capabilities, Target, as_dict
from bench import cpuinfo
from bench.cache import cache_root
from bench.errors import BackendUnavailable
from bench.processes import Process
from bench.topology import read_text

PROBE_S = 90.0
LIST_S = 60.0
PROBES_AT_ONCE = 2
# Where devices other than the CPU show themselves, and what hides them from a runtime.
DEVICE_PATTERNS = ("nvidia[0-9]*", "dri/render*", "kfd", "accel/accel*")
DEVICE_VARIABLES = ("CUDA_VISIBLE_DEVICES", "HIP_VISIBLE_DEVICES", "ONEAPI_DEVICE_SELECTOR")
LIST_DISTRIBUTIONS = (
    "import json, importlib.metadata as m; "
    "print(json.dumps(sorted({f'{d.name}=={d.version}' for d in m.distributions()})))"
)


def interpreter(backend: str, version: str | None = None) -> Path:
    """The Python that runs `backend` at `version` (any, if None).

    Raises:
        BackendUnavailable: another version is installed.
    """
    path = Path(sys.executable)
    if version is None:
        return path
    installed = installed_versions(backend)
    if any(version in (have, have.partition("+")[0]) for have in installed.values()):
        return path
    from backends.registry import get

    have = ", ".join(f"{name} {number}" for name, number in installed.items()) or "nothing"
    replace = f"pip install {next(iter(installed))}=={version}" if installed else get(backend).install
    raise BackendUnavailable(f"{backend}=={version} is not installed; installed: {have}", hint=replace)


def installed_versions(backend: str) -> dict[str, str]:
    """Distribution → version of those that bring the backend's runtime in this environment."""
    from importlib.metadata import packages_distributions, version

    from backends.registry import get

    owners = packages_distributions()
    modules = {module.partition(".")[0] for module in get(backend).runtime}
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


@functools.cache
def _distributions(interpreter: str) -> tuple[str, ...]:
    command = [interpreter, "-P", "-c", LIST_DISTRIBUTIONS]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=LIST_S, check=True)
        return tuple(json.loads(done.stdout))
    except (OSError, subprocess.SubprocessError, ValueError) as error:
        raise BackendUnavailable(
            f"{interpreter} does not list what it has installed: {error}",
            hint=f"{interpreter} -m pip list",
        ) from error


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
    from backends.registry import get

    variables = dict(get(backend).environment(Target()))
    process = Process(["-m", "bench.worker", "--probe", backend], interpreter=python, environment=variables)
    again = f"see it fail: {python.name} -P -m bench.worker --probe {backend}"
    code: int | None = None
    try:
        code = process.popen.wait(PROBE_S)
    except subprocess.TimeoutExpired:
        pass
    finally:
        log = process.end()
    answer = _last_answer(log) if code is not None else None
    if answer is None:
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


def _last_answer(log: str) -> Mapping[str, Any] | None:
    """The probe's JSON, from a log that a runtime may have printed into before and after."""
    start = log.rfind('{"ok":')
    if start < 0:
        return None
    try:
        answer, _ = json.JSONDecoder().raw_decode(log, start)
    except ValueError:
        return None
    return answer if isinstance(answer, dict) else None


def _with_log(message: str, log: str, lines: int = 8) -> str:
    end = [line[:300] for line in log.strip().splitlines()[-lines:]]
    return "\n    ".join([f"{message}; the end of its output:", *end]) if end else message


def _cache_path(backend: str, python: Path) -> Path:
    """The answer also rests on the code that asks: the backend's file and what backends share."""
    import backends
    from backends.registry import get

    shared = Path(backends.__path__[0])
    own = getattr(sys.modules.get(type(get(backend)).__module__), "__file__", None)
    code = hashlib.sha256()
    for file in (shared / "base.py", shared / "support.py", *([Path(own)] if own else [])):
        code.update(file.read_bytes())
    name = f"{backend}-{environment_fingerprint(python)}-{code.hexdigest()[:8]}.json"
    return cache_root() / "probes" / name


def _cached(path: Path) -> Capabilities | None:
    try:
        return Capabilities.from_dict(json.loads(path.read_text()))
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None  # not there, or not what was written: asked again


def _keep(path: Path, capabilities: Capabilities) -> None:
    temporary = path.with_name(f"{path.name}.{os.getpid()}.new")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary.write_text(json.dumps(as_dict(capabilities), indent=1))
        temporary.replace(path)
    except OSError:
        return  # a cache that cannot be written costs time, not an answer
