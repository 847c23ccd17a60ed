"""What a converter's process is told, from the file that the parent wrote, with what it needs handed in."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from bench.interfaces.converter import Job, Parent
from bench.interfaces.recipe import Recipe
from bench.plugins import workload_registry
from bench.prepare.converters.weights import restore


def job(
    kind: str,
    workload: str,
    weights: str,
    facts: Mapping[str, Any],
    parents: Mapping[str, Parent],
    output: Path,
) -> Job:
    """A job for the converter of `kind`; `workload` is a registry name. Raises UsageError for an unknown
    one."""
    definition = workload_registry.get(workload)
    origin = parents["origin"].path if "origin" in parents else Path()
    return Job(kind, definition, weights, facts, parents, output, partial(restore, definition, origin))


def from_dict(data: Mapping[str, Any]) -> Job:
    """The job that `bench.prepare.launch` wrote."""
    parents = {
        kind: Parent(Path(parent["path"]), parent["sha256"], parent["facts"])
        for kind, parent in data["parents"].items()
    }
    facts = dict(data["facts"])
    if facts.get("recipe"):
        facts["recipe"] = Recipe.from_dict(facts["recipe"])
    return job(**{**data, "facts": facts, "parents": parents, "output": Path(data["output"])})
