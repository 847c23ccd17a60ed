"""The fp64 reference of the verification samples (seeds 0 to n − 1), the band of fp32, and the cost."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from bench.interfaces.converter import Converter, Job

SOURCE = "torch-fp64"


def make(job: Job) -> Mapping[str, Any]:
    """Facts: `source` of the outputs, `band` of fp32, `torch` (torch's in fp32), `cost` of one sample."""
    import torch

    from bench.prepare import bands
    from bench.prepare.torch_runs import cost_of, error_of, run
    from bench.worker import verify

    workload = job.workload
    samples, length = int(job.facts["samples"]), job.facts["length"]
    io = workload.io(1, length)
    inputs = workload.inputs(samples, length, seed=0)
    module = job.restore()
    cost = cost_of(module, io, inputs)
    single = run(module, io, inputs, torch.float32)
    exact = run(module, io, inputs, torch.float64)
    verify.save_reference(job.output, inputs, exact)
    found = error_of(verify.load_reference(job.output), single)
    band = asdict(bands.fp32_band(found.error))
    return {"source": SOURCE, "band": band, "torch": asdict(found), "cost": cost}


CONVERTER = Converter(
    kind="reference",
    file="reference.npz",
    revision=1,
    parents=("origin",),
    axes=("samples", "length"),
    distributions=("torch", "numpy"),
    make=make,
)
