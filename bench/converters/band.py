"""The band of a reduced precision, from a torch run in that type. Made only where a case asks for it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from bench.converters import Converter, Job
from bench.converters.origin import restore
from bench.errors import PrepareError

DTYPES = {"bf16": "bfloat16", "fp16": "float16"}


def make(job: Job) -> Mapping[str, Any]:
    """Facts: `band`, and `torch` (the verification of the torch run)."""
    import torch

    from bench import verify
    from bench.converters.running import error_of, run
    from workloads.base import Band

    precision = str(job.facts["precision"])
    reference = verify.load_reference(job.parents["reference"].path)
    io = job.definition().io(1, job.facts["sequence"])
    outputs = run(restore(job), io, reference.inputs, getattr(torch, DTYPES[precision]))
    found = error_of(reference, outputs)
    try:
        band = verify.reduced_band(precision, found.error, Band(**job.parents["reference"].facts["band"]))
    except ValueError as error:
        raise PrepareError(
            f"{job.workload}: {error}", hint="leave this precision out of the suite"
        ) from error
    facts = {"band": asdict(band), "torch": asdict(found)}
    job.output.write_text(json.dumps(facts, indent=1) + "\n")
    return facts


CONVERTER = Converter(
    kind="band",
    file="band.json",
    revision=1,
    parents=("origin", "reference"),
    axes=("samples", "sequence", "precision"),
    distributions=("torch", "numpy"),
    make=make,
)
