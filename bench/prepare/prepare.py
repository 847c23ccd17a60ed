"""Makes what cases need before they can be measured: model file, timed input, reference, band, cost.

The parent's side: it decides what is needed and what the cache has; converters make the rest, each in a
process of its own. Neither torch nor any runtime is imported here.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np

from bench.cache import artefacts as cache
from bench.interfaces import precision
from bench.interfaces.case import Case
from bench.interfaces.errors import BakeoffError
from bench.interfaces.tensors import IOSpec, ModelFile
from bench.interfaces.workload import Band, Cost
from bench.machine.instructions import products_saturate
from bench.prepare import graph
from bench.prepare.checkpoints import checkpoints
from bench.prepare.converters.reference import SOURCE
from bench.prepare.events import Listener
from bench.prepare.graph import HARNESS_IO, Needs, Node, closure, content_for
from bench.prepare.scheduler import LIMIT_S, Outcome, kind_of, make_all


@dataclass(frozen=True, slots=True)
class Prepared:
    """What one case is measured with.

    Attributes:
        model: None for a backend that takes no model file.
        io: tensors at the case's shape.
        reference: npz for `bench.worker.verify.load_reference`.
        compared: what outputs are compared with: the reference's `source` and `sha256`, empty for none.
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
    compared: Mapping[str, str] = field(default_factory=dict)
    band: Band | None = None
    cost: Cost | None = None
    inputs: Path | None = None
    error: str = ""
    status: Literal["ok", "failed", "unsupported", "missing"] = "ok"
    build_ns: int | None = None
    seconds: float = 0.0
    made: tuple[str, ...] = ()


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
            prepared[case.id] = Prepared(None, HARNESS_IO, error=error.reason, status=kind_of(error))
    for text in dict.fromkeys(filter(None, map(_read, cases))):
        listener("note", {"text": text})
    wanted = {node: None for need in needs.values() for node in closure(need.nodes.values())}
    outcomes = make_all(list(wanted), listener, limit_s)
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
    outcomes = make_all(list(dict.fromkeys(closure(whole))), lambda event, told: None)
    return [outcomes[one].result() if isinstance(one, Node) else one for one in found]


def _node_or_error(workload: str, kind: str, facts: Mapping[str, Any]) -> Node | BakeoffError:
    usual = {"batch": 1, "length": None, "precision": "fp32", "narrow": products_saturate(), "recipe": None}
    known = {**usual, **facts}
    try:
        return graph.node(kind, Node(kind, workload, content_for(workload), "", ()), known)
    except BakeoffError as error:
        return error


def _prepared(case: Case, need: Needs, outcomes: Mapping[Node, Outcome]) -> Prepared:
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
    reference = found["reference"]
    band = found.get("band", reference).facts["band"]
    build = found.get("build")
    return replace(
        result,
        model=_model(need, found),
        build_ns=build.facts["build_ns"] if build else None,
        reference=reference.path,
        # One that was made before its source was noted is of the only one that there was.
        compared={"source": reference.facts.get("source", SOURCE), "sha256": reference.sha256},
        band=Band(**band),
        cost=_cost(reference.facts["cost"], case, need.io),
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
