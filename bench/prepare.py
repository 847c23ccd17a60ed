"""Makes what cases need before they can be measured: model file, timed input, reference, band, cost.

The parent's side: it decides what is needed and what the cache has; converters make the rest, each in a
process of its own. Neither torch nor any runtime is imported here.
"""

from __future__ import annotations

import importlib.metadata
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np

from backends import precision
from backends.base import IOSpec, ModelFile, TensorSpec
from backends.support import products_saturate
from bench import cache
from bench.case import HARNESS, Case
from bench.converters import Converter, converters
from bench.converters.launch import Making, OutOfMemory
from bench.converters.ration import Rations, likely
from bench.errors import BakeoffError, ModelFileError, PrepareError, UnsupportedCase
from bench.telling import Listener, Telling
from bench.verify import LEAST_SAMPLES
from workloads.base import Band, Cost, content_hash

LIMIT_S = 1800.0
POLL_S = 0.02
MEMORY_SHARE = 0.9  # of what is available, for all converters together
HARNESS_IO = IOSpec(
    inputs=(TensorSpec("x", "float32", (16,)),),
    outputs=(TensorSpec("y", "float32", (16,)),),
)


@dataclass(frozen=True, slots=True)
class Prepared:
    """What one case is measured with.

    Attributes:
        model: None for a backend that takes no model file.
        io: tensors at the case's shape.
        reference: npz for `bench.verify.load_reference`.
        inputs: npz of the timed input, keys are tensor names.
        error: '' or why the case cannot be measured.
        status: `failed` where something could not be made, `unsupported` where nothing makes it.
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
    status: Literal["ok", "failed", "unsupported"] = "ok"
    seconds: float = 0.0
    made: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Node:
    """One artefact that is needed; `facts` are the converter's axes with their values."""

    kind: str
    workload: str
    content: str
    weights: str
    facts: tuple[tuple[str, Any], ...]

    @property
    def label(self) -> str:
        """`minilm-l6 reference · samples 8 · length 128`."""
        facts = [name if value is True else f"{name} {value}" for name, value in self.facts if value]
        return " · ".join([f"{self.workload} {self.kind}", *facts])

    @property
    def converter(self) -> Converter:
        return converters()[self.kind]

    @property
    def parents(self) -> dict[str, Node]:
        return {kind: _node(kind, self, dict(self.facts)) for kind in self.converter.parents}


@dataclass(slots=True)
class _Outcome:
    """How a node came out."""

    artefact: cache.Artefact | None = None
    error: str = ""
    unsupported: bool = False
    seconds: float = 0.0
    made: bool = False


@dataclass(slots=True)
class _Needs:
    """What a case needs: role (`model`, `inputs`, `reference`, `band`) → node."""

    io: IOSpec
    nodes: dict[str, Node] = field(default_factory=dict)


def prepare(cases: Sequence[Case], listener: Listener) -> dict[str, Prepared]:
    """Case id → what it is measured with; whatever the cache has is taken from there.

    `listener` is told of each artefact (`prepare`), each second of what is being made (`making`), in the end
    of all (`prepared`), and of a damaged one that is made anew (`note`); see `bench.progress`.
    """
    prepared: dict[str, Prepared] = {}
    needs: dict[str, _Needs] = {}
    for case in cases:
        try:
            needs[case.id] = _needs(case)
        except BakeoffError as error:
            status: Literal["failed", "unsupported"]
            status = "unsupported" if isinstance(error, UnsupportedCase) else "failed"
            prepared[case.id] = Prepared(None, HARNESS_IO, error=str(error), status=status)
    wanted = {node: None for need in needs.values() for node in _closure(need.nodes.values())}
    outcomes = _make(list(wanted), listener)
    for case in cases:
        if case.id in needs:
            prepared[case.id] = _prepared(case, needs[case.id], outcomes)
    return prepared


def content_for(workload: str, weights: str = "") -> str:
    """The content hash of a workload with a checkpoint, or with seeded weights.

    Raises UsageError for an unknown workload, ModelFileError for a file that cannot be read.
    """
    from workloads.registry import get

    return content_hash(get(workload), weights_sha256(weights) if weights else "")


def weights_sha256(path: str | Path) -> str:
    """SHA-256 of a checkpoint; remembered in this process while size and modification time stay."""
    try:
        return cache.file_sha256(Path(path))
    except OSError as error:
        raise ModelFileError(
            f"{path}: {error.strerror}", hint="name a safetensors file or a state_dict after --weights"
        ) from error


def _needs(case: Case) -> _Needs:
    """Raises BakeoffError where the case cannot be prepared whatever is made."""
    from backends.registry import get as backend_of
    from workloads.registry import get as workload_of

    if case.workload == HARNESS:
        return _Needs(HARNESS_IO)
    if content_for(case.workload, case.weights) != case.content:
        raise ModelFileError(
            f"{case.weights or case.workload} has changed since this was planned", hint="bakeoff run"
        )
    try:
        need = _Needs(workload_of(case.workload).io(case.batch, case.length))
    except ValueError as error:
        raise UnsupportedCase(f"{case.workload}: {error}", hint="bakeoff list workloads") from error
    facts = {
        "batch": case.batch,
        "samples": max(LEAST_SAMPLES, case.batch),
        "length": case.length,
        "precision": case.target.arithmetic,
        "narrow": products_saturate(),
    }
    kinds = {"inputs": "inputs", "reference": "reference"}
    if case.target.arithmetic != "fp32":
        _require_known(case.target.arithmetic)
        kinds["band"] = "band"
    if backend_of(case.backend).formats:
        kinds["model"] = _format(case)
    need.nodes = {role: _node(kind, case, facts) for role, kind in kinds.items()}
    return need


def _require_known(arithmetic: str) -> None:
    """Raises UnsupportedCase for a precision that has no band."""
    try:
        known = precision.scheme(arithmetic) is not None or arithmetic in precision.FLOAT_BYTES
    except ValueError:
        known = False
    if not known:
        have = ", ".join([*precision.FLOAT_BYTES, *precision.EIGHT_BITS, "int4-weight"])
        raise UnsupportedCase(f"no error band is known for {arithmetic} (known: {have})")


def _format(case: Case) -> str:
    """The kind of model file, by the precision where it is one of integers."""
    from backends.registry import get

    backend, arithmetic = get(case.backend), case.target.arithmetic
    formats: Sequence[str] = backend.formats
    if precision.scheme(arithmetic):
        formats = backend.quantised.get(precision.word(arithmetic), ())
        if not formats:
            have = ", ".join(["fp32", *backend.quantised])
            raise UnsupportedCase(f"{case.backend} has no model file in {arithmetic}; it has {have}")
    made = [kind for kind, converter in converters().items() if converter.model]
    for kind in formats:
        if kind in made:
            return kind
    raise UnsupportedCase(f"{case.backend} takes {', '.join(formats)}; converters make {', '.join(made)}")


def _node(kind: str, of: Case | Node, facts: Mapping[str, Any]) -> Node:
    from workloads.registry import get

    converter = converters()[kind]
    axes = tuple((axis, facts[axis]) for axis in converter.axes)
    if converter.shared and (owner := get(of.workload).weights_of or of.workload) != of.workload:
        return Node(kind, owner, content_for(owner, of.weights), of.weights, axes)
    return Node(kind, of.workload, of.content, of.weights, axes)


def _closure(nodes: Iterator[Node] | Sequence[Node] | Any) -> Iterator[Node]:
    """Nodes with all they descend from, parents first."""
    for node in nodes:
        yield from _closure(node.parents.values())
        yield node


def _make(pending: list[Node], listener: Listener) -> dict[Node, _Outcome]:
    """Finds or makes all nodes, parents first; a failure fails what descends from it and nothing else."""
    outcomes: dict[Node, _Outcome] = {}
    running: dict[Node, Making] = {}
    slots = 2 if (os.cpu_count() or 1) > 1 else 1
    rations = Rations(lambda: int(_available_memory() * MEMORY_SHARE), slots)
    tell = Telling(listener, len(pending))

    def settle(node: Node, state: str, outcome: _Outcome) -> None:
        outcomes[node] = outcome
        tell.settled(node.label, state, outcome.seconds, outcome.artefact)

    def note(text: str) -> None:
        listener("note", {"text": text})

    try:
        while pending or running:
            before = len(outcomes) + len(running)
            for node in list(pending):
                needed = node.parents
                parents = {kind: outcomes[one] for kind, one in needed.items() if one in outcomes}
                if len(parents) < len(needed) or len(running) >= slots or rations.waits(node):
                    continue
                room = partial(rations.ask, node)
                try:
                    found, making = _find_or_start(node, parents, room, note)
                except BakeoffError as error:
                    pending.remove(node)
                    rations.give_back(node)
                    settle(node, "failed", _failed(error, str(error)))
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
                    outcome = _failed(error, f"{node.label}: {error}", making.seconds)
                    settle(node, "unsupported" if outcome.unsupported else "failed", outcome)
            if len(outcomes) + len(running) == before:
                tell.tick({node.label: making.seconds for node, making in running.items()})
                time.sleep(POLL_S)
    finally:
        for making in running.values():
            making.kill()
    tell.ended()
    return outcomes


def _failed(error: BakeoffError, why: str, seconds: float = 0.0) -> _Outcome:
    return _Outcome(error=why, unsupported=isinstance(error, UnsupportedCase), seconds=seconds)


def _find_or_start(
    node: Node,
    parents: Mapping[str, _Outcome],
    room: Callable[[int], int | None],
    note: Callable[[str], None],
) -> tuple[cache.Artefact | None, Making | None]:
    """What the cache has, or the process that makes it; neither where `room` has no memory for it now. Raises
    PrepareError."""
    made: dict[str, cache.Artefact] = {}
    for kind, outcome in parents.items():
        if outcome.artefact is None:
            raise (UnsupportedCase if outcome.unsupported else PrepareError)(outcome.error)
        made[kind] = outcome.artefact
    converter = node.converter
    facts = {
        "kind": converter.kind,
        "revision": converter.revision,
        "content": node.content,
        "facts": dict(node.facts),
        "versions": _versions(converter),
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
    return None, Making(converter, key, (facts, *chain), job, about, memory_bytes=memory, limit_s=LIMIT_S)


def _versions(converter: Converter) -> dict[str, str]:
    try:
        return {name: importlib.metadata.version(name) for name in converter.distributions}
    except importlib.metadata.PackageNotFoundError as error:
        raise PrepareError(
            f"{error.name} is not installed, and {converter.kind} is made with it",
            hint="pip install 'bakeoff[prepare]'",
        ) from error


def _available_memory() -> int:
    """Bytes that the system can give away now, within the control group's limit."""
    import psutil

    from bench.limits import memory_limit

    return min(psutil.virtual_memory().available, memory_limit() or 1 << 60)


def _prepared(case: Case, need: _Needs, outcomes: Mapping[Node, _Outcome]) -> Prepared:
    everything = {node: outcomes[node] for node in _closure(need.nodes.values())}
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
            status: Literal["failed", "unsupported"]
            status = "unsupported" if outcomes[node].unsupported else "failed"
            return replace(result, error=outcomes[node].error, status=status)
        found[role] = artefact
    if not found:
        return result
    band = found.get("band", found["reference"]).facts["band"]
    return replace(
        result,
        model=_model(need.nodes["model"].kind, found["model"]) if "model" in found else None,
        reference=found["reference"].path,
        band=Band(**band),
        cost=_cost(found["reference"].facts["cost"], case, need.io),
        inputs=found["inputs"].path,
    )


def _model(kind: str, artefact: cache.Artefact) -> ModelFile:
    return ModelFile(kind, artefact.path, artefact.sha256, artefact.lineage)


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
