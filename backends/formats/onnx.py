"""ONNX by torch's exporter, from the exported program; names are the workload's."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from backends.formats.exported import AXES
from bench.interfaces.converter import Converter, Job
from bench.interfaces.errors import PrepareError
from bench.interfaces.tensors import IOSpec

if TYPE_CHECKING:
    import torch

OPSET = 20


def make(job: Job) -> Mapping[str, Any]:
    import torch

    return write(torch.export.load(job.parents["exported"].path), job)


def write(
    exported: torch.export.ExportedProgram,
    job: Job,
    opset: int = OPSET,
    mend: Callable[[torch.onnx.ONNXProgram], None] | None = None,
) -> Mapping[str, Any]:
    """The program as `job.output`, once `mend` has seen it; and what its converter tells of it."""
    import torch

    workload = job.workload
    io = workload.io(1, workload.default_length)
    axes = [{axis: AXES.get(axis, f"axis{axis}") for axis in spec.dynamic} for spec in io.inputs]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that inputs share the axis `batch`, and torch's own deprecations
        program = torch.onnx.export(
            exported,
            dynamo=True,
            opset_version=opset,
            input_names=[spec.name_in_file for spec in io.inputs],
            output_names=[spec.name_in_file for spec in io.outputs],
            dynamic_shapes=axes,
            verbose=False,
        )
    if program is None:
        raise PrepareError(f"torch.onnx.export gave no program for {workload.name}")
    if mend is not None:
        mend(program)
    _clean(program, io)
    program.save(job.output)  # beside it a .data file where protobuf's 2 GB would not hold it
    return {"lineage": {"exporter": "torch.onnx.export(dynamo=True)", "opset": opset}}


def _clean(program: torch.onnx.ONNXProgram, io: IOSpec) -> None:
    """Takes paths of this machine out, and names of inner values that are also the workload's."""
    taken = {spec.name_in_file for spec in (*io.inputs, *io.outputs)}
    graph = program.model.graph
    outputs = set(graph.outputs)
    program.model.metadata_props.clear()
    graph.metadata_props.clear()
    for node in graph.all_nodes():
        node.metadata_props.clear()
        node.doc_string = None
        for value in node.outputs:
            if value.name in taken and value not in outputs:
                value.name = f"inner.{value.name}"


CONVERTER = Converter(
    kind="onnx",
    file="model.onnx",
    revision=1,
    parents=("exported",),
    axes=(),
    distributions=("torch", "onnx", "onnxscript"),
    make=make,
    model=True,
)
