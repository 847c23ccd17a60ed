"""TensorFlow Lite's own format in fp32, by litert-torch from the origin: of one batch and one length.

Inputs are named `args_0`, `args_1`, … and outputs `output_0`, … in the workload's order; images stay NCHW and
ids of int64 become int32.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bench.interfaces.converter import Converter, Job


def make(job: Job) -> Mapping[str, Any]:
    import litert_torch
    import torch

    workload = job.workload
    batch, length = job.facts["batch"], job.facts["length"]
    arrays = workload.inputs(batch, length, seed=0)
    tensors = (torch.from_numpy(arrays[spec.name]) for spec in workload.io(batch, length).inputs)
    arguments = tuple(tensor.int() if tensor.dtype == torch.int64 else tensor for tensor in tensors)
    with torch.no_grad():
        litert_torch.convert(job.restore(), arguments).export(str(job.output))
    return {"lineage": {"exporter": "litert_torch.convert"}}


CONVERTER = Converter(
    kind="tflite",
    file="model.tflite",
    revision=1,
    parents=("origin",),
    axes=("batch", "length"),
    distributions=("litert-torch", "torch"),
    make=make,
    model=True,
    tools="to-tflite",
)
