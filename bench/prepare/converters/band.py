"""The band of a precision other than fp32, from a torch run in that type or one that rounds as it does. Made
only where a case asks for it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, replace
from functools import partial
from typing import TYPE_CHECKING, Any

from bench.interfaces.converter import Converter, Job
from bench.interfaces.errors import PrepareError, UnsupportedCase
from bench.interfaces.precision import Scheme, scheme
from bench.interfaces.tensors import IOSpec

if TYPE_CHECKING:
    import torch

    from bench.worker.verify import Floats, Reference

DTYPES = {"bf16": "bfloat16", "fp16": "float16"}


def make(job: Job) -> Mapping[str, Any]:
    """Facts: `band`, and `torch` (the verification of the torch run)."""
    from bench.interfaces.workload import Band
    from bench.prepare import bands
    from bench.prepare.torch_runs import error_of
    from bench.worker import verify

    precision = str(job.facts["precision"])
    reference = verify.load_reference(job.parents["reference"].path)
    how = scheme(precision)
    outputs = _rounded(job, reference, how) if how else _in_floats(job, reference, precision)
    found = error_of(reference, outputs)
    fp32 = Band(**job.parents["reference"].facts["band"])
    rule = bands.quantised_band if how else bands.reduced_band
    try:
        band = rule(precision, found.error, fp32)
    except ValueError as error:
        raise UnsupportedCase(
            f"{job.workload.name}: {error}", hint="another precision, or real weights"
        ) from error
    facts = {"band": asdict(band), "torch": asdict(found)}
    job.output.write_text(json.dumps(facts, indent=1) + "\n")
    return facts


def _in_floats(job: Job, reference: Reference, precision: str) -> dict[str, Floats]:
    """Outputs of a run with weights and activations in a type of floats, or with TF32's products."""
    import torch

    from bench.prepare.tf32 import tf32_products
    from bench.prepare.torch_runs import run

    if precision == "tf32":
        with tf32_products():
            return run(job.restore(), _io(job), reference.inputs, torch.float32)
    if precision not in DTYPES:
        known = ", ".join(["fp32", "tf32", *DTYPES])
        raise PrepareError(f"no error band is known for {precision}", hint=f"known: {known}")
    return run(job.restore(), _io(job), reference.inputs, getattr(torch, DTYPES[precision]))


def _rounded(job: Job, reference: Reference, how: Scheme) -> dict[str, Floats]:
    """Outputs of a run in fp32 that rounds what the recipe names, as the scheme does."""
    import torch

    from bench.prepare.fakequant import quantised
    from bench.prepare.torch_runs import CHUNK, run

    module = job.restore()
    # A range that is found at each inference is that of a batch.
    chunk = 1 if how.activations == "dynamic" else CHUNK
    if job.facts["narrow"] and how.activations != "none" and not how.floats:
        how = replace(how, bits=7)
    with quantised(how, job.recipe, _calibration(job, module)):
        return run(module, _io(job), reference.inputs, torch.float32, chunk)


def _calibration(job: Job, module: torch.nn.Module) -> Iterator[Callable[[], Any]]:
    """Runs of the module on the calibration samples."""
    import torch

    from bench.interfaces.conversion import samples

    for arrays in samples(job.parents["calibration"].path):
        tensors = [torch.from_numpy(arrays[spec.name]) for spec in _io(job).inputs]
        with torch.inference_mode():
            yield partial(module, *tensors)


def _io(job: Job) -> IOSpec:
    return job.workload.io(1, job.facts["length"])


CONVERTER = Converter(
    kind="band",
    file="band.json",
    revision=6,
    parents=("origin", "reference", "calibration"),
    axes=("samples", "length", "precision", "narrow", "recipe"),
    distributions=("torch", "numpy"),
    make=make,
)
