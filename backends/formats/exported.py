"""torch.export: the exported program (.pt2), batch and sequence left open."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from bench.interfaces.converter import Converter, Job

if TYPE_CHECKING:
    import torch

TRACED_BATCH = 2  # extents of 0 and 1 would be taken for constants
AXES = {0: "batch", 1: "sequence", 2: "context"}


def make(job: Job) -> Mapping[str, Any]:
    import torch

    program = export(job, job.restore())
    torch.export.save(program, job.output)
    return {"lineage": {"exporter": "torch.export"}}


def export(
    job: Job, module: torch.nn.Module, carried: torch.dtype | None = None
) -> torch.export.ExportedProgram:
    """Traces the module; axes of the same number and range are one dimension (batch, sequence). `carried` is
    the type of the inputs that carry state, where it is not that of the workload."""
    import torch

    workload = job.workload
    sequence = workload.default_length
    io = workload.io(TRACED_BATCH, sequence)
    arrays = workload.inputs(TRACED_BATCH, sequence, seed=0)
    tensors = {spec.name: torch.from_numpy(arrays[spec.name]) for spec in io.inputs}
    tensors |= {name: tensors[name].to(carried) for name in io.carried if carried}
    arguments = tuple(tensors.values())
    open_axes = {(axis, span) for spec in io.inputs for axis, span in spec.dynamic.items()}
    dims = {
        (axis, span): torch.export.Dim(AXES.get(axis, f"axis{axis}"), min=span[0], max=span[1])
        for axis, span in open_axes
    }
    shapes = tuple({axis: dims[axis, span] for axis, span in spec.dynamic.items()} for spec in io.inputs)
    # As `forward` names them: those of `*past` in a tuple of their own.
    named = inspect.signature(module.forward).bind(*shapes).arguments
    with torch.no_grad():
        program = torch.export.export(module, arguments, dynamic_shapes=named)
    for node in program.graph.nodes:
        node.meta.pop("stack_trace", None)  # paths of this machine
    return program


CONVERTER = Converter(
    kind="exported",
    file="model.pt2",
    revision=1,
    parents=("origin",),
    axes=(),
    distributions=("torch",),
    make=make,
    model=True,
)
