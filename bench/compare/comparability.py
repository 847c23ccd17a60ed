"""Which facts of machine and budget must be alike before anything is proven across runs: one table.

The anchor takes out how fast a machine is on a day. It is one thread of NumPy, and cannot take out which
kernels a CPU has, how far they scale, or what holds the others back. Software, which one compares on purpose
(versions of runtimes, bakeoff, Python, the kernel, the C library, a driver), is listed and caps nothing; nor
does memory: what does not fit fails as a row of its own.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from bench.compare.environment_diff import OF_A_GPU, Difference, between, flat, gathered, labelled
from bench.machine.label import ALSO, machines_of
from bench.store.records import RunRecord

# Keys of `bench.machine.fingerprint`, those of the budget after `budget `, those of a GPU after `gpu `.
CAPS = (
    *("cpu", "cpu_id", "architecture", "flags", "packages", "cores", "threads", "nodes", "core_kinds"),
    *("caches", "smt", "governor", "turbo", "virtualised", "pinned"),
    *("budget cpus", "budget kind", "cpu_quota"),
)
# Only where the case ran on one.
CAPS_ON_GPU = ("gpus", *(f"gpu {fact}" for fact in OF_A_GPU))
COUNTED = ("budget cpus", "cpu_quota")  # not as they are: `_of_budget`
LONG = 40  # characters of a value over which a reason names the fact alone: the list has it whole
Runs = Sequence[RunRecord]
Machines = Sequence[Mapping[str, Any]]


def unlike(base: Runs, new: Runs, *, on_gpu: bool = False) -> tuple[Difference, ...]:
    """What caps a comparison of these runs: facts known on both sides that are not all alike.

    Runs of one side that differ among themselves count too. What a side does not know, as an older store,
    caps nothing.
    """
    keys = (*CAPS, *CAPS_ON_GPU) if on_gpu else CAPS
    sides = [[one for run in runs for one in machines_of(run)] for runs in (base, new)]
    return _unlike(sides[0], sides[1], keys)


def _unlike(base: Machines, new: Machines, keys: Sequence[str]) -> tuple[Difference, ...]:
    return between(*(gathered(_known(one, keys) for one in side) for side in (base, new)))


def sentence(found: Iterable[Difference]) -> str:
    """`CPU quota (none against 1.5), cores (2 against 8)`."""
    return ", ".join(
        one.what if len(one.base) + len(one.new) > LONG else f"{one.what} ({one.base} against {one.new})"
        for one in found
    )


def among(runs: Runs) -> str:
    """What differs among the runs of one side: `CPU quota (1, none)`; '' where they are alike."""
    return ", ".join(f"{one.what} ({one.base})" for one in unlike(runs, runs, on_gpu=True))


def gone_on(run: RunRecord, here: Mapping[str, Any]) -> dict[str, Any]:
    """The facts of a run's machine when it is gone on with `here`: a machine or budget that is unlike those
    that it knows is kept beside them, so that the run counts as of both."""
    first, *others = machines_of(run)
    if not first or any(not _unlike([one], [here], (*CAPS, *CAPS_ON_GPU)) for one in (first, *others)):
        return run.machine
    return {**first, ALSO: [*map(dict, others), dict(here)]}


def _known(machine: Mapping[str, Any], keys: Sequence[str]) -> Iterator[tuple[str, str]]:
    for origin, key, value in flat(machine):
        if origin in keys and origin not in COUNTED and value not in (None, "", [], {}):
            yield labelled(key, value)
    yield from _of_budget(machine)


def _of_budget(machine: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """How many cores it has, whichever they are, and the quota where it holds them back."""
    budget = machine.get("budget")
    cpus = budget.get("cpus") if isinstance(budget, Mapping) else None
    if not isinstance(cpus, list) or not cpus:
        return
    yield "cores of the budget", str(len(cpus))
    if "cpu_quota" in machine:
        quota = machine["cpu_quota"]
        # A core beside the budget's is left for bakeoff itself: over that nothing is held back.
        binds = isinstance(quota, int | float) and quota < len(cpus) + 1
        yield "CPU quota", f"{quota:g}" if binds else "none"
