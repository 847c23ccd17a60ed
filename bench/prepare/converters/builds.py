"""What a runtime compiles of a model file for a case (`Backend.build`), in the backend's own environment."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from typing import Any

from bench.interfaces.backend import Target
from bench.interfaces.converter import Converter, Job
from bench.interfaces.tensors import ModelFile

BUILDS = "builds"
FILE = "build.json"


def make(job: Job) -> Mapping[str, Any]:
    """Writes what `build` made beside a file that names it. Facts: `format` and `path` of the main file, and
    `build_ns`, the time that the runtime took, its import included and nothing else."""
    from bench.plugins.backend_registry import get
    from bench.plugins.runtimes import import_runtime

    facts = job.facts
    backend, target = get(facts["backend"]), Target.from_dict(json.loads(facts["target"]))
    parent = job.parents[facts["format"]]
    model = ModelFile(facts["format"], parent.path, parent.sha256)
    io = job.workload.io(facts["batch"], facts["length"])
    folder = job.output.parent
    start = time.perf_counter_ns()
    import_runtime(backend)
    built = backend.build(model, target, io, folder)
    spent = time.perf_counter_ns() - start
    made = {"format": built.format, "path": str(built.path.relative_to(folder)), "build_ns": spent}
    job.output.write_text(json.dumps(made))
    return {**made, "lineage": {"compiler": backend.name, "variant": target.variant}}


CONVERTER = Converter(
    kind=BUILDS,
    file=FILE,
    revision=1,
    parents=(),
    axes=("backend", "batch", "cpu", "format", "length", "revision", "target", "version"),
    distributions=(),
    make=make,
    open=True,
)
