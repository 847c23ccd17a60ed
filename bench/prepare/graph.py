"""What a case needs made before it can be measured: a graph of artefacts, each made from its parents.

origin ─► exported ─► onnx ─► onnx-qdq ─┐                 (a model file, by backend and precision)
   └────► reference ─► band             ├─► builds        (what the backend compiles of it for the case)
          calibration ──────────────────┘
"""

from __future__ import annotations

import functools
import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from bench.cache import artefacts
from bench.environments.locate import interpreter, tools
from bench.interfaces import precision
from bench.interfaces.backend import Backend, Quantising, Target
from bench.interfaces.case import HARNESS, Case
from bench.interfaces.converter import Converter
from bench.interfaces.errors import ModelFileError, UnsupportedCase
from bench.interfaces.plain import as_dict
from bench.interfaces.recipe import Recipe
from bench.interfaces.tensors import IOSpec, TensorSpec
from bench.interfaces.workload import Traits, content_hash, traits
from bench.machine import cpuinfo
from bench.machine.gpu import devices
from bench.machine.gpu.nvml import Driver
from bench.machine.instructions import products_saturate
from bench.plugins.converter_registry import converters
from bench.prepare.checkpoints import checkpoints
from bench.prepare.converters.builds import BUILDS
from bench.worker.verify import LEAST_SAMPLES

HARNESS_IO = IOSpec(
    inputs=(TensorSpec("x", "float32", (16,)),),
    outputs=(TensorSpec("y", "float32", (16,)),),
)


@dataclass(frozen=True, slots=True)
class Node:
    """One artefact that is needed.

    Attributes:
        facts: the converter's axes with their values.
        case: of a build the case that it is for; None for what several cases share.
        made_from: of a build the model file.
    """

    kind: str
    workload: str
    content: str
    weights: str
    facts: tuple[tuple[str, Any], ...]
    made_from: Node | None = None
    case: Case | None = field(default=None, compare=False)

    @property
    def label(self) -> str:
        """`minilm-l6 reference · samples 8 · length 128`."""
        if self.case is not None:
            return f"build of {self.case.label}"
        facts = [name if value is True else f"{name} {value}" for name, value in self.facts if value]
        return " · ".join([f"{self.workload} {self.kind}", *facts])

    @property
    def converter(self) -> Converter:
        return converters()[self.kind]

    @property
    def parents(self) -> dict[str, Node]:
        if self.made_from is not None:
            return {self.made_from.kind: self.made_from}
        return {kind: node(kind, self, dict(self.facts)) for kind in self.converter.parents}

    @property
    def python(self) -> Path:
        """Of the environment that it is made in. Raises BackendUnavailable."""
        if self.case is not None:
            return interpreter(self.case.backend, self.case.version)
        return tools(self.converter.tools)

    @property
    def variables(self) -> Mapping[str, str]:
        """What must be set before the process starts that makes it."""
        from bench.plugins import backend_registry

        if self.case is None:
            return backend_registry.no_telemetry(self.converter.distributions)
        target = _inside(self.case.target)
        seen = devices.alone(self.case.target.device, devices.gpus())
        return {**backend_registry.get(self.case.backend).environment(target), **seen}


@dataclass(slots=True)
class Needs:
    """What a case needs: role (`model`, `build`, `inputs`, `reference`, `band`) → node."""

    io: IOSpec
    nodes: dict[str, Node] = field(default_factory=dict)


def needs(case: Case) -> Needs:
    """Raises BakeoffError where the case cannot be prepared whatever is made."""
    from bench.plugins.backend_registry import get as backend_of
    from bench.plugins.workload_registry import get as workload_of

    if case.workload == HARNESS:
        return Needs(HARNESS_IO)
    if content_for(case.workload, case.weights) != case.content:
        raise ModelFileError(
            f"{case.weights or case.workload} has changed since this was planned", hint="bakeoff run"
        )
    try:
        need = Needs(workload_of(case.workload).io(case.batch, case.length))
    except ValueError as error:
        raise UnsupportedCase(f"{case.workload}: {error}", hint="bakeoff list workloads") from error
    facts: dict[str, Any] = {
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
    backend = backend_of(case.backend)
    if backend.formats:
        kinds["model"] = _format(case)
    found = traits(workload_of(case.workload))
    facts["recipe"] = recipe_of(backend, kinds.get("model", ""), case.target, found)
    need.nodes = {role: node(kind, case, facts) for role, kind in kinds.items()}
    if "model" in need.nodes and backend.builds(case.target):
        need.nodes["build"] = _build(case, need.nodes["model"])
    return need


def node(kind: str, of: Case | Node, facts: Mapping[str, Any]) -> Node:
    """The node of that kind for a case, or as the parent of another."""
    from bench.plugins.workload_registry import get

    converter = converters()[kind]
    if converter.recipe:
        facts = {**facts, "recipe": converter.recipe(traits(get(of.workload)))}
    axes = tuple((axis, facts[axis]) for axis in converter.axes)
    if converter.shared and (owner := get(of.workload).weights_of or of.workload) != of.workload:
        return Node(kind, owner, content_for(owner, of.weights), of.weights, axes)
    return Node(kind, of.workload, of.content, of.weights, axes)


def recipe_of(backend: Backend, kind: str, target: Target, found: Traits) -> Recipe | None:
    """What of a model is rounded where a backend loads a file of that kind ('' for none): as the converter of
    the file has it, or else the backend; products alone where neither says. None in a precision of floats."""
    if precision.scheme(target.arithmetic) is None:
        return None
    converter = converters().get(kind)
    if converter and converter.recipe:
        return converter.recipe(found)
    return backend.recipe(target, found) if isinstance(backend, Quantising) else Recipe()


def closure(nodes: Iterable[Node]) -> Iterator[Node]:
    """Nodes with all they descend from, parents first."""
    for one in nodes:
        yield from closure(one.parents.values())
        yield one


def content_for(workload: str, weights: str = "") -> str:
    """The content hash of a workload with a checkpoint, or with seeded weights.

    Raises UsageError for an unknown workload, ModelFileError for a file that is no checkpoint of it.
    """
    from bench.plugins.workload_registry import get

    if weights:
        checkpoints.check(workload, weights)
    return content_hash(get(workload), weights_sha256(weights) if weights else "")


def weights_sha256(path: str | Path) -> str:
    """SHA-256 of a checkpoint's file, of a sharded one over its index and every shard; remembered in this
    process while sizes and modification times stay. Raises ModelFileError."""
    found = checkpoints.files(Path(path))
    try:
        if found.index is None:
            return artefacts.file_sha256(found.path)
        shards = {name: artefacts.file_sha256(one) for name, one in found.index.shards.items()}
    except OSError as error:
        raise ModelFileError(f"{error.filename or path}: {error.strerror}", hint="bakeoff run") from error
    canonical = json.dumps({"shards": shards, "weight_map": found.index.keys}, sort_keys=True)
    return hashlib.sha256(canonical.encode()).hexdigest()


def _build(case: Case, model: Node) -> Node:
    """What is compiled depends on all of the target, on the shape, and on the processor."""
    from bench.plugins.backend_registry import get

    facts = {
        "backend": case.backend,
        "batch": case.batch,
        "cpu": processor(case.target.device),
        "format": model.kind,
        "length": case.length,
        "revision": get(case.backend).revision,
        "target": json.dumps(as_dict(_inside(case.target)), sort_keys=True),
        "version": case.version or "",
    }
    axes = tuple((axis, facts[axis]) for axis in converters()[BUILDS].axes)
    return Node(BUILDS, case.workload, case.content, case.weights, axes, made_from=model, case=case)


def _inside(target: Target) -> Target:
    """A target as a process knows it that sees its device alone: any GPU of a kind takes what was compiled
    for one."""
    return replace(target, device=devices.inside(target.device))


@functools.cache
def processor(device: str = "cpu") -> str:
    """What things are compiled for, in sixteen digits: name and instruction sets of the CPU, and of a GPU its
    name, compute capability, memory and driver besides."""
    facts: dict[str, Any] = {"name": cpuinfo.model(), "flags": cpuinfo.flags()}
    if gpu := devices.gpus().get(device):
        driver = devices.found()
        version = driver.version if isinstance(driver, Driver) else ""
        facts["gpu"] = [gpu.name, gpu.capability, gpu.memory_bytes, version]
    return artefacts.key_of(facts)[:16]


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
    from bench.plugins.backend_registry import get

    backend, arithmetic = get(case.backend), case.target.arithmetic
    formats: Sequence[str] = backend.takes(case.target)
    if not formats:
        have = ", ".join(["fp32", *backend.quantised])
        raise UnsupportedCase(f"{case.backend} has no model file in {arithmetic}; it has {have}")
    made = [kind for kind, converter in converters().items() if converter.model]
    for kind in formats:
        if kind in made:
            return kind
    raise UnsupportedCase(f"{case.backend} takes {', '.join(formats)}; converters make {', '.join(made)}")
