"""Makes what cases need before they can be measured: model file, timed input, reference, band, cost.

The parent's side: it decides what is needed and what the cache has; converters make the rest, each in a
process of its own. Neither torch nor any runtime is imported here.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np

from bench.cache import artefacts as cache
from bench.environments.locate import installed_versions, versions_of
from bench.interfaces import precision
from bench.interfaces.case import Case
from bench.interfaces.errors import BackendUnavailable, BakeoffError, PrepareError, UnsupportedCase
from bench.interfaces.tensors import IOSpec, ModelFile
from bench.interfaces.workload import Band, Cost
from bench.machine.instructions import products_saturate
from bench.machine.topology import usable_cpus
from bench.prepare import graph
from bench.prepare.checkpoints import checkpoints
from bench.prepare.events import Listener, Telling
from bench.prepare.graph import HARNESS_IO, Needs, Node, closure, content_for, weights_sha256
from bench.prepare.launch import Making, OutOfMemory
from bench.prepare.memory import Rations, likely
from bench.processes.signals import held

LIMIT_S = 1800.0
POLL_S = 0.02
MEMORY_SHARE = 0.9  # of what is available, for all converters together
ERRORS = {"failed": PrepareError, "unsupported": UnsupportedCase, "missing": BackendUnavailable}
Refused = Literal["failed", "unsupported", "missing"]


@dataclass(frozen=True, slots=True)
class Prepared:
    """What one case is measured with.

    Attributes:
        model: None for a backend that takes no model file.
        io: tensors at the case's shape.
        reference: npz for `bench.worker.verify.load_reference`.
        inputs: npz of the timed input, keys are tensor names.
        error: '' or why the case cannot be measured.
        status: `failed` where something could not be made, `unsupported` where nothing makes it, `missing`
            where what would make it is not installed.
        build_ns: what the backend took to compile the model, whenever that was; None if it compiles nothing.
        seconds: time that making took now, over all artefacts that the case needs.
        made: labels of the artefacts made now; empty if all were cached.
    """

    model: ModelFile | None
    io: IOSpec
    reference: Path | None = None
    band: Band | None = None
    cost: Cost | None = None
    inputs: Path | None = None
    error: str = ""
    status: Literal["ok", "failed", "unsupported", "missing"] = "ok"
    build_ns: int | None = None
    seconds: float = 0.0
    made: tuple[str, ...] = ()


@dataclass(slots=True)
class _Outcome:
    """How a node came out."""

    artefact: cache.Artefact | None = None
    error: str = ""
    status: Refused = "failed"
    seconds: float = 0.0
    made: bool = False

    def result(self) -> cache.Artefact | BakeoffError:
        """The artefact, or what says why there is none."""
        return self.artefact or ERRORS[self.status](self.error)


def prepare(cases: Sequence[Case], listener: Listener, limit_s: float = LIMIT_S) -> dict[str, Prepared]:
    """Case id → what it is measured with; whatever the cache has is taken from there.

    An artefact that takes longer than `limit_s` to make is given up.
    `listener` is told of each artefact (`prepare`), each second of what is being made (`making`), in the end
    of all (`prepared`), and of a damaged one that is made anew (`note`); see `bench.progress`.
    """
    prepared: dict[str, Prepared] = {}
    needs: dict[str, Needs] = {}
    for case in cases:
        try:
            needs[case.id] = graph.needs(case)
        except BakeoffError as error:
            prepared[case.id] = Prepared(None, HARNESS_IO, error=error.reason, status=_kind(error))
    for text in dict.fromkeys(filter(None, map(_read, cases))):
        listener("note", {"text": text})
    wanted = {node: None for need in needs.values() for node in closure(need.nodes.values())}
    outcomes = _make(list(wanted), listener, limit_s)
    for case in cases:
        if case.id in needs:
            prepared[case.id] = _prepared(case, needs[case.id], outcomes)
    return prepared


def _read(case: Case) -> str:
    """How a checkpoint is read that is not read as it is; '' for any other."""
    try:
        reading = checkpoints.check(case.workload, case.weights) if case.weights else None
    except BakeoffError:  # what its case is refused with
        return ""
    return f"{case.weights} is read {reading.said}" if reading and reading.said else ""


def artefact(workload: str, kind: str, **facts: Any) -> cache.Artefact:
    """One artefact of a workload with seeded weights, from the cache or made now with all it descends from.

    Args:
        facts: the axes of its converter and of those before it (see `bench.interfaces.converter.Job.facts`).

    Raises:
        BakeoffError: as the case would be refused.
    """
    (found,) = artefacts([(workload, kind, facts)])
    if isinstance(found, BakeoffError):
        raise found
    return found


def artefacts(wanted: Iterable[tuple[str, str, Mapping[str, Any]]]) -> list[cache.Artefact | BakeoffError]:
    """As `artefact`, of many at once: (workload, kind, facts) each; in place of one that cannot be made
    stands what `artefact` would raise."""
    found = [_node_or_error(*one) for one in wanted]
    whole = [node for node in found if isinstance(node, Node)]
    outcomes = _make(list(dict.fromkeys(closure(whole))), lambda event, told: None)
    return [outcomes[one].result() if isinstance(one, Node) else one for one in found]


def _node_or_error(workload: str, kind: str, facts: Mapping[str, Any]) -> Node | BakeoffError:
    known = {"batch": 1, "length": None, "precision": "fp32", "narrow": products_saturate(), **facts}
    try:
        return graph.node(kind, Node(kind, workload, content_for(workload), "", ()), known)
    except BakeoffError as error:
        return error


def _make(pending: list[Node], listener: Listener, limit_s: float = LIMIT_S) -> dict[Node, _Outcome]:
    """Finds or makes all nodes, parents first; a failure fails what descends from it and nothing else."""
    outcomes: dict[Node, _Outcome] = {}
    running: dict[Node, Making] = {}
    at_once = slots()
    rations = Rations(lambda: int(_available_memory() * MEMORY_SHARE), at_once)
    tell = Telling(listener, len(pending))

    def settle(node: Node, state: str, outcome: _Outcome) -> None:
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
                    settle(node, "cached", _Outcome(found))
            for node, making in list(running.items()):
                if making.running:
                    continue
                del running[node]
                ration = rations.give_back(node)
                try:
                    artefact = making.result()
                    settle(node, "made", _Outcome(artefact, seconds=making.seconds, made=True))
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


def _failed(error: BakeoffError, why: str, seconds: float = 0.0) -> _Outcome:
    return _Outcome(error=why, status=_kind(error), seconds=seconds)


def _kind(error: BakeoffError) -> Refused:
    if isinstance(error, UnsupportedCase):
        return "unsupported"
    return "missing" if isinstance(error, BackendUnavailable) else "failed"


def _find_or_start(
    node: Node,
    parents: Mapping[str, _Outcome],
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
        "facts": dict(node.facts),
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


def _prepared(case: Case, need: Needs, outcomes: Mapping[Node, _Outcome]) -> Prepared:
    everything = {node: outcomes[node] for node in closure(need.nodes.values())}
    result = Prepared(
        None,
        need.io,
        seconds=sum(outcome.seconds for outcome in everything.values()),
        made=tuple(node.label for node, outcome in everything.items() if outcome.made),
    )
    found: dict[str, cache.Artefact] = {}
    for role, node in need.nodes.items():
        artefact = outcomes[node].artefact
        if artefact is None:
            return replace(result, error=outcomes[node].error, status=outcomes[node].status)
        found[role] = artefact
    if not found:
        return result
    band = found.get("band", found["reference"]).facts["band"]
    build = found.get("build")
    return replace(
        result,
        model=_model(need, found),
        build_ns=build.facts["build_ns"] if build else None,
        reference=found["reference"].path,
        band=Band(**band),
        cost=_cost(found["reference"].facts["cost"], case, need.io),
        inputs=found["inputs"].path,
    )


def _model(need: Needs, found: Mapping[str, cache.Artefact]) -> ModelFile | None:
    """What the worker loads: what was built of the model file, where something is."""
    if build := found.get("build"):
        main = build.folder / build.facts["path"]
        return ModelFile(build.facts["format"], main, build.sha256, build.lineage)
    if model := found.get("model"):
        return ModelFile(need.nodes["model"].kind, model.path, model.sha256, model.lineage)
    return None


def _cost(sample: Mapping[str, int], case: Case, io: IOSpec) -> Cost:
    """One inference's cost from one sample's: work grows with the batch, dense weights are read once.

    Weights count in the case's precision, inputs and outputs as they lie in host memory.
    """
    item = precision.item_bytes(case.target.arithmetic)
    weights = round((sample["weights"] + sample["looked_up"] * case.batch) * item)
    tensors = sum(int(np.prod(t.shape)) * np.dtype(t.dtype).itemsize for t in (*io.inputs, *io.outputs))
    return Cost(
        flops=sample["flops"] * case.batch,
        bytes=weights + tensors,
        parameters=sample["parameters"],
        detail={"weight_bytes": weights, "tensor_bytes": tensors},
    )
