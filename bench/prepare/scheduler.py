"""Makes artefacts, parents first and some at once: from the cache, or each in a process of its own."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal

from bench.cache import artefacts as cache
from bench.environments.locate import installed_versions, versions_of
from bench.interfaces.errors import BackendUnavailable, BakeoffError, PrepareError, UnsupportedCase
from bench.interfaces.plain import as_dict
from bench.machine.topology import usable_cpus
from bench.prepare.events import Listener, Telling
from bench.prepare.graph import Node, weights_sha256
from bench.prepare.launch import Making, OutOfMemory
from bench.prepare.memory import Rations, likely
from bench.processes.signals import held

LIMIT_S = 1800.0
POLL_S = 0.02
MEMORY_SHARE = 0.9  # of what is available, for all converters together
ERRORS = {"failed": PrepareError, "unsupported": UnsupportedCase, "missing": BackendUnavailable}
Refused = Literal["failed", "unsupported", "missing"]


@dataclass(slots=True)
class Outcome:
    """How a node came out."""

    artefact: cache.Artefact | None = None
    error: str = ""
    status: Refused = "failed"
    seconds: float = 0.0
    made: bool = False

    def result(self) -> cache.Artefact | BakeoffError:
        """The artefact, or what says why there is none."""
        return self.artefact or ERRORS[self.status](self.error)


def make_all(pending: list[Node], listener: Listener, limit_s: float = LIMIT_S) -> dict[Node, Outcome]:
    """Finds or makes all nodes, parents first; a failure fails what descends from it and nothing else."""
    outcomes: dict[Node, Outcome] = {}
    running: dict[Node, Making] = {}
    at_once = slots()
    rations = Rations(lambda: int(_available_memory() * MEMORY_SHARE), at_once)
    tell = Telling(listener, len(pending))

    def settle(node: Node, state: str, outcome: Outcome) -> None:
        outcomes[node] = outcome
        tell.settled(node.label, state, outcome.seconds, outcome.artefact)

    def note(text: str) -> None:
        listener("note", {"text": text})

    with held() as released, _ended(running):
        while pending or running:
            released()
            before = len(outcomes) + len(running)
            for node in list(pending):
                needed = node.parents
                parents = {kind: outcomes[one] for kind, one in needed.items() if one in outcomes}
                if len(parents) < len(needed) or len(running) >= at_once or rations.waits(node):
                    continue
                room = partial(rations.ask, node)
                try:
                    found, making = _find_or_start(node, parents, room, note, limit_s)
                except BakeoffError as error:
                    pending.remove(node)
                    rations.give_back(node)
                    outcome = _failed(error, error.reason)
                    settle(node, outcome.status, outcome)
                    continue
                if rations.waits(node):
                    continue
                pending.remove(node)
                if making:
                    running[node] = making
                    tell.begun(node.label)
                else:
                    settle(node, "cached", Outcome(found))
            for node, making in list(running.items()):
                if making.running:
                    continue
                del running[node]
                ration = rations.give_back(node)
                try:
                    artefact = making.result()
                    settle(node, "made", Outcome(artefact, seconds=making.seconds, made=True))
                except BakeoffError as error:
                    if isinstance(error, OutOfMemory) and rations.alone_next(node, ration):
                        pending.append(node)
                        note(f"{node.label} needs more memory than its share: once more, alone")
                        continue
                    outcome = _failed(error, f"{node.label}: {error.reason}", making.seconds)
                    settle(node, outcome.status, outcome)
            if len(outcomes) + len(running) == before:
                tell.tick({node.label: making.seconds for node, making in running.items()})
                time.sleep(POLL_S)
    tell.ended()
    return outcomes


@contextmanager
def _ended(running: Mapping[Node, Making]) -> Iterator[None]:
    """What still runs at the end is killed, and nothing of it is left."""
    try:
        yield
    finally:
        for making in running.values():
            making.kill()


def _failed(error: BakeoffError, why: str, seconds: float = 0.0) -> Outcome:
    return Outcome(error=why, status=kind_of(error), seconds=seconds)


def kind_of(error: BakeoffError) -> Refused:
    if isinstance(error, UnsupportedCase):
        return "unsupported"
    return "missing" if isinstance(error, BackendUnavailable) else "failed"


def _find_or_start(
    node: Node,
    parents: Mapping[str, Outcome],
    room: Callable[[int], int | None],
    note: Callable[[str], None],
    limit_s: float,
) -> tuple[cache.Artefact | None, Making | None]:
    """What the cache has, or the process that makes it; neither where `room` has no memory for it now. Raises
    PrepareError."""
    made: dict[str, cache.Artefact] = {}
    for kind, outcome in parents.items():
        if outcome.artefact is None:
            raise ERRORS[outcome.status](outcome.error)
        made[kind] = outcome.artefact
    converter, python = node.converter, node.python
    facts = {
        "kind": converter.kind,
        "revision": converter.revision,
        "content": node.content,
        "facts": as_dict(dict(node.facts)),
        "versions": _versions(node, python),
        "parents": {kind: artefact.sha256 for kind, artefact in made.items()},
    }
    key = cache.key_of(facts)
    if found := cache.find(converter.kind, key, note):
        return found, None
    # The chain follows the first parent: what the weights went through.
    chain = next((artefact.lineage for artefact in made.values()), ())
    job = {
        "workload": node.workload,
        "weights": node.weights,
        "facts": dict(node.facts),
        "parents": {
            kind: {"path": artefact.path, "sha256": artefact.sha256, "facts": artefact.facts}
            for kind, artefact in made.items()
        },
    }
    memory = room(likely(artefact.size for artefact in made.values()))
    if memory is None:
        return None, None
    weights = weights_sha256(node.weights) if node.weights else ""
    about = {"workload": node.workload, "weights": weights}
    making = Making(
        converter,
        key,
        (facts, *chain),
        job,
        about,
        memory_bytes=memory,
        limit_s=limit_s,
        python=python,
        variables=node.variables,
    )
    return None, making


def _versions(node: Node, python: Path) -> dict[str, str]:
    """Of what makes it: of a build the runtime, else the distributions that its converter names."""
    if node.case is not None:
        return installed_versions(node.case.backend, python)
    converter = node.converter
    try:
        return versions_of(converter.distributions, python)
    except BackendUnavailable as error:
        own = "pip install 'bakeoff[prepare]'"
        hint = f"bakeoff env create {converter.tools}" if converter.tools else own
        raise BackendUnavailable(f"{converter.kind} cannot be made: {error.message}", hint=hint) from error


def slots() -> int:
    """How many converters may run at once."""
    return 2 if usable_cpus() > 1 else 1


def _available_memory() -> int:
    """Bytes that the system can give away now, within the control group's limit; half of what is installed
    where /proc is masked."""
    import psutil

    from bench.machine.cgroups import memory_limit

    try:
        free = int(psutil.virtual_memory().available)
    except OSError:
        free = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2
    return min(free, memory_limit() or 1 << 60)
