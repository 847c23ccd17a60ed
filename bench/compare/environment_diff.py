"""What differs between the environments of two sets of runs, in plain words."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bench.machine.label import LABEL_FROM, cache_name, machines_of
from bench.store.records import RunRecord
from bench.text.numbers import difference, memory_size

UNKNOWN = "unknown"
INSTRUCTIONS = "instruction sets"
LABELS = {
    "cpu": "CPU",
    "cpu_id": "CPU identity",
    "packages": "CPU packages",
    "threads": "hardware threads",
    "nodes": "NUMA nodes",
    "core_kinds": "kinds of cores",
    "gpus": "GPUs",
    "gpu compute_capability": "GPU compute capability",
    "gpu memory_bytes": "GPU memory",
    "gpu power_limit_w": "GPU power limit",
    "gpu sm_mhz": "GPU clock at most",
    "gpu instances": "GPU instances",
    "gpu_driver": "GPU driver",
    "gpu_cuda": "CUDA of the driver",
    "smt": "SMT",
    "governor": "frequency governor",
    "memory_bytes": "memory",
    "memory_limit_bytes": "memory limit",
    "cpu_quota": "CPU quota",
    "allowed_cpus": "CPUs allowed",
    "budget cpus": "CPUs of the budget",
    "budget kind": "kind of core of the budget",
    "budget memory_bytes": "memory of the budget",
    "pinned": "pinned to CPUs",
    "virtualised": "virtual machine",
    "libc": "C library",
    "python": "Python",
}
SAID_ELSEWHERE = ("budget why", LABEL_FROM)  # a sentence made of the other facts; how a name is known
VERSIONS = {"anchor": "NumPy of the anchor"}
VERSIONS_ELSEWHERE = ("python", "null")
WHOLE = ("cpu_id", "core_kinds")  # shown in one line, with names that are not ours
OF_A_GPU = ("compute_capability", "memory_bytes", "power_limit_w", "sm_mhz", "instances")


@dataclass(frozen=True, slots=True)
class Difference:
    """A fact, and what it is on either side; several values where the runs of a side differ among them."""

    what: str
    base: str
    new: str


def differences(base: Sequence[RunRecord], new: Sequence[RunRecord]) -> tuple[Difference, ...]:
    """Versions, machine, profile and relevant difference, as far as they are not all alike.

    A runtime that one side did not ask for is no difference. What differs always, such as the time, is not
    among the facts; figures of bytes count by what is shown of them.
    """
    return between(gathered(map(facts, base)), gathered(map(facts, new)))


def between(base: Mapping[str, frozenset[str]], new: Mapping[str, frozenset[str]]) -> tuple[Difference, ...]:
    """The facts that both sides know, where the values are not one and the same."""
    shared = [what for what in base if what in new]
    return tuple(
        _difference(what, base[what], new[what])
        for what in shared
        if base[what] != new[what] or len(base[what]) > 1
    )


def facts(run: RunRecord) -> Iterator[tuple[str, str]]:
    """Label and value of everything that may explain a number; a label may come with several values."""
    for name, version in run.versions.items():
        backend = name.partition("==")[0]
        if backend not in VERSIONS_ELSEWHERE:
            yield VERSIONS.get(backend, backend), version
    for machine in machines_of(run):
        for origin, key, value in flat(machine):
            if origin not in SAID_ELSEWHERE:
                yield labelled(key, value)
    yield "profile", str(run.suite.get("profile", "quick"))
    yield "relevant difference", difference(run.relevant)


def labelled(key: str, value: Any) -> tuple[str, str]:
    """A fact of `flat` in words."""
    return LABELS.get(key, key.removesuffix("_bytes").replace("_", " ")), _shown(key, value)


def gathered(runs: Iterable[Iterable[tuple[str, str]]]) -> dict[str, frozenset[str]]:
    """Label → what the runs say, each in one text: a run may well hold several versions of a runtime."""
    found: dict[str, set[str]] = defaultdict(set)
    for run in runs:
        own: dict[str, set[str]] = defaultdict(set)
        for what, value in run:
            own[what].add(value)
        for what, values in own.items():
            found[what].add(", ".join(sorted(values)))
    return {what: frozenset(values) for what, values in found.items()}


def _difference(what: str, base: frozenset[str], new: frozenset[str]) -> Difference:
    if what == INSTRUCTIONS:  # a long list: only what the other side lacks
        sides = [frozenset(" ".join(values).split()) for values in (base, new)]
        one, other = (" ".join(sorted(a - b)) for a, b in (sides, sides[::-1]))
        return Difference(what, one or "none more", other or "none more")
    return Difference(what, ", ".join(sorted(base)), ", ".join(sorted(new)))


def flat(machine: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, str, Any]]:
    """Each fact of a machine: its key in the fingerprint (`budget cpus`, `caches`), the key that is shown,
    and its value. A list of caches or GPUs gives several."""
    for key, value in machine.items():
        name = f"{above}{key}"
        if isinstance(value, Mapping) and name not in WHOLE:
            yield from flat(value, f"{name} ")
        elif key == "caches" and isinstance(value, list):
            found = [cache for cache in value if isinstance(cache, Mapping)]
            yield from ((key, f"{cache_name(cache)} cache_bytes", cache.get("bytes")) for cache in found)
        elif key == "gpus" and isinstance(value, list):
            for gpu in (one for one in value if isinstance(one, Mapping)):
                yield key, key, gpu.get("name")
                yield from ((f"gpu {fact}",) * 2 + (gpu[fact],) for fact in OF_A_GPU if fact in gpu)
        elif key == "flags":
            yield key, INSTRUCTIONS, value
        else:
            yield name, name, value


def _shown(key: str, value: Any) -> str:
    if value is None or value == "":
        return UNKNOWN
    if isinstance(value, bool):
        return "yes" if value else "no"
    if key.endswith("_bytes") and isinstance(value, int | float):
        return memory_size(value)
    unit = {"_w": "W", "_mhz": "MHz"}.get(key[key.rfind("_") :], "")
    if unit and isinstance(value, int | float):
        return f"{value:g} {unit}"
    if isinstance(value, Mapping):
        return ", ".join(f"{k} {v}" for k, v in value.items())
    if isinstance(value, list | tuple):
        return " ".join(map(str, value))
    return str(value)
