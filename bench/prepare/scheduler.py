"""Makes artefacts, parents first and some at once: from the cache, or each in a process of its own."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

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


class Waits:
    """There is no memory for it until another has ended."""


def make_all(pending: list[Node], listener: Listener, limit_s: float = LIMIT_S) -> dict[Node, Outcome]:
    """Finds or makes all nodes, parents first; a failure fails what descends from it and nothing else."""
    schedule = _Schedule(pending, listener, limit_s)
    with held() as released, _ended(schedule.running):
        while schedule.pending or schedule.running:
            released()
            before = schedule.seen
            schedule.begin()
            schedule.collect()
            if schedule.seen == before:
                schedule.tell.tick({node.label: making.seconds for node, making in schedule.running.items()})
                time.sleep(POLL_S)
    schedule.tell.ended()
    return schedule.outcomes


class _Schedule:
    """Nodes from pending over running to their outcomes.

    Args:
        pending: is emptied.
        limit_s: after which a converter is ended.
    """

    def __init__(self, pending: list[Node], listener: Listener, limit_s: float) -> None:
        self.pending = pending
        self.running: dict[Node, Making] = {}
        self.outcomes: dict[Node, Outcome] = {}
        self.tell = Telling(listener, len(pending))
        self._listener, self._limit_s = listener, limit_s
        self._slots = slots()
        self._rations = Rations(lambda: int(_available_memory() * MEMORY_SHARE), self._slots)

    @property
    def seen(self) -> int:
        """Nodes that run or have an outcome."""
        return len(self.outcomes) + len(self.running)

    def begin(self) -> None:
        """Finds or starts what has its parents, as far as slots and memory go."""
        for node in list(self.pending):
            if len(self.running) < self._slots and not self._rations.waits(node):
                parents = {kind: self.outcomes.get(one) for kind, one in node.parents.items()}
                known = {kind: outcome for kind, outcome in parents.items() if outcome is not None}
                if len(known) == len(parents):
                    self._begin(node, known)

    def collect(self) -> None:
        """Takes what has ended; what ran out of its share of the memory is pending again."""
        for node, making in list(self.running.items()):
            if not making.running:
                self._collect(node, making)

    def _begin(self, node: Node, parents: Mapping[str, Outcome]) -> None:
        room = partial(self._rations.ask, node)
        begun: cache.Artefact | Making | Waits | Outcome
        try:
            begun = _find_or_start(node, parents, room, self._note, self._limit_s)
        except BakeoffError as error:
            begun = _failed(error, error.reason)
            self._rations.give_back(node)
        if isinstance(begun, Waits):
            return
        self.pending.remove(node)
        if isinstance(begun, Making):
            self.running[node] = begun
            self.tell.begun(node.label)
        elif isinstance(begun, Outcome):
            self._settle(node, begun.status, begun)
        else:
            self._settle(node, "cached", Outcome(begun))

    def _collect(self, node: Node, making: Making) -> None:
        del self.running[node]
        ration = self._rations.give_back(node)
        try:
            artefact = making.result()
        except BakeoffError as error:
            if isinstance(error, OutOfMemory) and self._rations.alone_next(node, ration):
                self.pending.append(node)
                self._note(f"{node.label} needs more memory than its share: once more, alone")
                return
            outcome = _failed(error, f"{node.label}: {error.reason}", making.seconds)
            self._settle(node, outcome.status, outcome)
        else:
            self._settle(node, "made", Outcome(artefact, seconds=making.seconds, made=True))

    def _settle(self, node: Node, state: str, outcome: Outcome) -> None:
        self.outcomes[node] = outcome
        self.tell.settled(node.label, state, outcome.seconds, outcome.artefact)

    def _note(self, text: str) -> None:
        self._listener("note", {"text": text})


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
) -> cache.Artefact | Making | Waits:
    """What the cache has, or the process that makes it if `room` has memory for it. Raises PrepareError, and
    what a parent failed with."""
    made = {kind: _artefact(outcome) for kind, outcome in parents.items()}
    facts = _key_facts(node, made)
    key = cache.key_of(facts)
    if found := cache.find(node.converter.kind, key, note):
        return found
    memory = room(likely(artefact.size for artefact in made.values()))
    if memory is None:
        return Waits()
    # The chain follows the first parent: what the weights went through.
    chain = next((artefact.lineage for artefact in made.values()), ())
    weights = weights_sha256(node.weights) if node.weights else ""
    return Making(
        node.converter,
        key,
        (facts, *chain),
        _job(node, made),
        {"workload": node.workload, "weights": weights},
        memory_bytes=memory,
        limit_s=limit_s,
        python=node.python,
        variables=node.variables,
    )


def _artefact(outcome: Outcome) -> cache.Artefact:
    if outcome.artefact is None:
        raise ERRORS[outcome.status](outcome.error)
    return outcome.artefact


def _key_facts(node: Node, made: Mapping[str, cache.Artefact]) -> cache.KeyFacts:
    return {
        "kind": node.converter.kind,
        "revision": node.converter.revision,
        "content": node.content,
        "facts": as_dict(dict(node.facts)),
        "versions": _versions(node, node.python),
        "parents": {kind: artefact.sha256 for kind, artefact in made.items()},
    }


def _job(node: Node, made: Mapping[str, cache.Artefact]) -> dict[str, Any]:
    """What its converter is told; see `bench.interfaces.converter`."""
    return {
        "workload": node.workload,
        "weights": node.weights,
        "facts": dict(node.facts),
        "parents": {
            kind: {"path": artefact.path, "sha256": artefact.sha256, "facts": artefact.facts}
            for kind, artefact in made.items()
        },
    }


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
