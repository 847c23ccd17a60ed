"""Converters make the files that cases need, each in a process: `python -P -m bench.prepare JOB`.

One file a converter, with a module attribute `CONVERTER`; putting the file in `backends/NAME/formats`, or in
`backends/formats` if several runtimes load what it makes, is all it takes to add one. The modules are
imported by the parent too, and in environments that hold other packages: all but NumPy is imported inside
functions only."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.interfaces.recipe import Recipe
from bench.interfaces.workload import Traits, Workload

if TYPE_CHECKING:
    import torch

RESULT = "result.json"  # what a converter's process answers, beside its job file


@dataclass(frozen=True, slots=True)
class Parent:
    """An artefact that another is made from: its main file and what its converter found."""

    path: Path
    sha256: str
    facts: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Job:
    """What a converter is told.

    Attributes:
        workload: the model's definition.
        weights: path of the user's checkpoint, '' for seeded weights.
        facts: the converter's axes: `batch`, `samples` (of the reference), `length` (sequence or context),
            `precision`, `narrow` (weights in 7 bits: the CPU's 8-bit products would overflow), `recipe`.
        parents: kind → artefact.
        output: the file to write; companions go beside it.
        restore: gives the workload's module in fp32 with the weights of the parent `origin`.
    """

    kind: str
    workload: Workload
    weights: str
    facts: Mapping[str, Any]
    parents: Mapping[str, Parent]
    output: Path
    restore: Callable[[], torch.nn.Module]

    @property
    def recipe(self) -> Recipe:
        """What is to be rounded, and by a band's run too. Raises KeyError where the converter does not depend
        on it."""
        found: Recipe = self.facts["recipe"]
        return found


@dataclass(frozen=True, slots=True)
class Converter:
    """How one kind of artefact is made.

    Attributes:
        kind: its name; for a model file the format that backends ask for.
        file: name of the main file.
        revision: raised whenever the same input would give another file; part of the key.
        parents: kinds it is made from.
        axes: facts of a case that it depends on (keys of `Job.facts`); part of the key.
        distributions: whose versions are part of the key and stand in the lineage.
        model: whether it is a model file, which backends load.
        shared: whether workloads that share weights share it.
        open: whether each artefact has parents and packages of its own kind (what backends build has).
        tools: the environment whose Python makes it (see `bench.environments.requirements`); '' for
            bakeoff's own.
        recipe: of a file whose products are quantised what the quantiser rounds of a model: it stands in
            `Job.recipe`, where `recipe` is one of the axes, and in the facts of the file's band.
        make: writes `Job.output`; returns JSON-able facts. Those under `lineage` go there.
    """

    kind: str
    file: str
    revision: int
    parents: tuple[str, ...]
    axes: tuple[str, ...]
    distributions: tuple[str, ...]
    make: Callable[[Job], Mapping[str, Any]]
    model: bool = False
    shared: bool = False
    tools: str = ""
    open: bool = False
    recipe: Callable[[Traits], Recipe] | None = None
