"""The models of the contract suite as model files, references and bands, made as any workload's are.

Where $BAKEOFF_CONTRACT names a file, they are taken from what it lists: an environment that holds one runtime
and pytest cannot make them. `listing` writes it.
"""

from __future__ import annotations

import functools
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from bench.interfaces.backend import Backend, Target
from bench.interfaces.errors import BakeoffError, UnsupportedCase
from bench.interfaces.plain import as_dict
from bench.interfaces.recipe import Recipe
from bench.interfaces.tensors import Array, IOSpec, ModelFile
from bench.interfaces.workload import Band, traits
from bench.plugins import workload_registry
from bench.plugins.converter_registry import converters
from bench.worker.verify import Reference, compare, load_reference

if TYPE_CHECKING:
    from bench.cache.artefacts import Artefact

VARIABLE = "BAKEOFF_CONTRACT"
BATCHES = (1, 3)  # what the suite asks for, of each model and precision
SAMPLES = 64  # of each reference, and the largest batch that the models take
LARGEST = SAMPLES  # and once, of the first model
PLAIN = ("exported", "torch-graph", "onnx")
PRECISIONS = ("fp32", "bf16", "fp16")


@dataclass(frozen=True)
class Tiny:
    """A tiny model.

    Attributes:
        name: `cnn`, `encoder` or `bert`.
        reference: npz with `in:NAME` and `out:NAME` (fp64), each [SAMPLES, …].
        bands: precision → (low, high) of `error`.
    """

    name: str
    reference: Path
    bands: Mapping[str, tuple[float, float]]

    @property
    def workload(self) -> str:
        return f"contract-{self.name}"

    @functools.cached_property
    def _loaded(self) -> Reference:
        return load_reference(self.reference)

    @functools.cached_property
    def files(self) -> Mapping[str, ModelFile]:
        """Those that serve every batch."""
        return {kind: self.file(kind) for kind in PLAIN}

    def file(self, kind: str, batch: int = 1, precision: str = "fp32") -> ModelFile:
        """The model file of that kind; some are of one batch, or of one precision."""
        path = Path(_made(_file(self.workload, kind, batch, precision))["path"])
        return ModelFile(kind, path, path.parent.name)

    def band(self, backend: Backend, precision: str) -> tuple[float, float]:
        """(low, high) of `error` of what a backend loads in a precision of integers."""
        target = Target(precision=precision)
        band = Band(**_made(_band(self.workload, backend, target))["facts"]["band"])
        return band.low, band.high

    def io(self, batch: int) -> IOSpec:
        return workload_registry.get(self.workload).io(batch, None)

    def inputs(self, batch: int, start: int = 0) -> dict[str, Array]:
        """Samples from `start` on, as one batch."""
        return {name: array[start : start + batch].copy() for name, array in self._loaded.inputs.items()}

    def error(self, outputs: Mapping[str, Array], start: int = 0) -> float:
        """As `bench.worker.verify` has it; infinite for a wrong name, shape or dtype."""
        if set(outputs) != set(self._loaded.outputs):
            return float("inf")
        if any(array.dtype != np.float32 for array in outputs.values()):
            return float("inf")
        count = len(next(iter(outputs.values())))
        return compare(self._loaded, outputs, np.arange(start, start + count)).error


@functools.cache
def tiny_model(name: str) -> Tiny:
    """`cnn`, `encoder` or `bert`."""
    workload = f"contract-{name}"
    reference = _made(_fact(workload, "reference"))
    bands = {"fp32": Band(**reference["facts"]["band"])}
    for precision in PRECISIONS[1:]:
        bands[precision] = Band(**_made(_fact(workload, "band", 1, precision))["facts"]["band"])
    return Tiny(
        name,
        Path(reference["path"]),
        {precision: (band.low, band.high) for precision, band in bands.items()},
    )


Fact = tuple[str, str, int, str, Recipe | None]  # workload, kind, batch, precision, of a band the recipe


def _fact(
    workload: str, kind: str, batch: int = 1, precision: str = "fp32", recipe: Recipe | None = None
) -> Fact:
    return workload, kind, batch, precision, recipe


def _band(workload: str, backend: Backend, target: Target) -> Fact:
    """Of the file that the backend loads."""
    from bench.prepare.graph import recipe_of

    (kind, *_), found = backend.takes(target) or ("",), traits(workload_registry.get(workload))
    recipe = recipe_of(backend, kind, target, found)
    return _fact(workload, "band", 1, target.precision, recipe)


def _file(workload: str, kind: str, batch: int, precision: str) -> Fact:
    """Of a model file, whose converter may know no precision."""
    return _fact(workload, kind, batch, precision if "precision" in converters()[kind].axes else "fp32")


@functools.cache
def _made(fact: Fact) -> Mapping[str, Any]:
    """`path` and `facts` of an artefact. Raises PrepareError."""
    if listed := os.environ.get(VARIABLE):
        everything = json.loads(Path(listed).read_text())
        found: Mapping[str, Any] = everything.get(_key(fact), {"refused": f"{fact} was not made"})
        if "refused" in found:
            raise UnsupportedCase(found["refused"])
        return found
    from bench.prepare.prepare import artefact

    workload, kind, facts = _asked(fact)
    return _described(artefact(workload, kind, **facts))


def listing(path: Path, models: Sequence[str], backend: Backend, besides: Sequence[str] = ()) -> None:
    """Writes what an environment needs that can make nothing.

    Args:
        models: names of the tiny ones, the first of which is needed in a large batch too.
        backend: whose model files will be loaded.
        besides: precisions of floats that are loaded besides, of one sample.
    """
    facts = []
    for workload in (f"contract-{name}" for name in models):
        facts += [_fact(workload, "reference"), *(_fact(workload, "band", 1, p) for p in PRECISIONS[1:])]
        wanted = sorted({*PLAIN, *backend.formats})
        shapes = [(batch, precision) for batch in BATCHES for precision in PRECISIONS]
        shapes += [(LARGEST, "fp32")] if workload == f"contract-{models[0]}" else []
        facts += [_file(workload, kind, *one) for kind in wanted for one in shapes]
        facts += [_file(workload, kind, 1, precision) for kind in backend.formats for precision in besides]
        for precision, files in backend.quantised.items():
            facts += [_band(workload, backend, Target(precision=precision))]
            batches = BATCHES if precision in PRECISIONS else (1,)
            facts += [_file(workload, kind, batch, precision) for kind in files for batch in batches]
    from bench.prepare.prepare import artefacts

    facts = list(dict.fromkeys(facts))
    found = zip(facts, artefacts(_asked(fact) for fact in facts), strict=True)
    path.write_text(json.dumps({_key(fact): _described(one) for fact, one in found}))


def _key(fact: Fact) -> str:
    return json.dumps(as_dict(fact))


def _asked(fact: Fact) -> tuple[str, str, Mapping[str, Any]]:
    workload, kind, batch, precision, recipe = fact
    return workload, kind, {"batch": batch, "samples": SAMPLES, "precision": precision, "recipe": recipe}


def _described(made: Artefact | BakeoffError) -> Mapping[str, Any]:
    if isinstance(made, UnsupportedCase):
        return {"refused": made.message}
    if isinstance(made, BakeoffError):
        raise made
    return {"path": str(made.path), "facts": dict(made.facts)}
