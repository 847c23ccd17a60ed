"""Which machine a run is from: by the label that a person gave it, else by what its facts say. Plain data
alone.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any, Protocol, TypeVar

LABEL = "label"
LABEL_FROM = "label_from"  # `given` by a person, or `described` from the machine's facts
ALSO = "also"  # of a machine's facts: those of others that the run was gone on with, a list
CACHE_KINDS = {"data": "d", "instruction": "i"}
# What makes two machines two: not the kernel or a limit, which change on one.
IDENTITY = ("cpu", "cpu_id", "architecture", "cores", "threads")


class Ran(Protocol):
    """A run, as far as its machine goes."""

    @property
    def machine(self) -> Mapping[str, Any]: ...

    @property
    def state(self) -> str: ...


R = TypeVar("R", bound=Ran)


def label(run: Ran) -> str:
    """The name of the run's machine for people."""
    return str(run.machine.get(LABEL) or described(run.machine))


def described(machine: Mapping[str, Any]) -> str:
    """`2 × NVIDIA H200 on AMD EPYC 9654`, or the CPU alone where there is no GPU."""
    cpu, found = str(machine.get("cpu") or "unknown CPU"), gpu_names(machine)
    return f"{found} on {cpu}" if found else cpu


def gpu_names(machine: Mapping[str, Any]) -> str:
    """`2 × NVIDIA H200`; '' where there is none."""
    known = machine.get("gpus")
    gpus = known if isinstance(known, list) else []
    names = [str(gpu.get("name")) for gpu in gpus if isinstance(gpu, Mapping)]
    return ", ".join(
        name if names.count(name) == 1 else f"{names.count(name)} × {name}" for name in dict.fromkeys(names)
    )


def machines_of(run: Ran) -> tuple[Mapping[str, Any], ...]:
    """The facts of each machine that a run was measured on: one, unless it was gone on with elsewhere."""
    first = {key: value for key, value in run.machine.items() if key != ALSO}
    also = run.machine.get(ALSO)
    return (first, *(one for one in also if isinstance(one, Mapping))) if isinstance(also, list) else (first,)


def cache_name(cache: Mapping[str, Any]) -> str:
    """`L1d`, `L2`: a cache as `bench.machine.topology.caches` describes it."""
    return f"L{cache.get('level')}{CACHE_KINDS.get(str(cache.get('type')).lower(), '')}"


def identity(machine: Mapping[str, Any]) -> str:
    """What two runs of one machine share. Two boxes alike in it are told apart by their labels alone."""
    facts = {key: machine.get(key) for key in IDENTITY}
    return json.dumps({**facts, "gpus": gpu_names(machine)}, sort_keys=True)


def others(run: R, runs: Iterable[R]) -> list[R]:
    """The last finished run of each other machine, in the order of their labels."""
    latest = {label(one): one for one in runs if one.state == "finished"}
    return [latest[name] for name in sorted(latest) if name != label(run)]
