"""`onnx-half`: ONNX whose weights and arithmetic are fp16 or bf16, by torch's exporter from such a module.

Inputs and outputs stay float32, cast where the graph begins and ends; but what carries state is in the type
itself, so that a cache takes the memory that it takes where the model is shipped. It is what the band of the
precision is measured with, the same module after `.to(dtype)`: sums that PyTorch widens (normalisations) are
wide here too.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from backends.formats import exported, onnx, onnx_graph
from bench.interfaces.converter import Converter, Job
from bench.interfaces.errors import UnsupportedCase
from bench.interfaces.tensors import IOSpec

if TYPE_CHECKING:
    import torch

DTYPES = {"fp16": "float16", "bf16": "bfloat16"}
OPSETS = {"fp16": onnx.OPSET, "bf16": 22}  # the first whose convolutions and poolings take bf16


def make(job: Job) -> Mapping[str, Any]:
    precision = str(job.facts["precision"])
    if precision not in DTYPES:
        raise UnsupportedCase(
            f"onnx-half is made in {' or '.join(DTYPES)}, not in {precision}",
            hint=f"--precision {','.join(DTYPES)}",
        )
    return write(job, precision, OPSETS[precision])


def write(job: Job, precision: str, opset: int) -> Mapping[str, Any]:
    """The job's model in that precision as `job.output`; what its converter tells of it."""
    import torch

    dtype = getattr(torch, DTYPES[precision])
    workload = job.workload
    module = with_edges(job.restore().to(dtype), workload.io(1, workload.default_length), dtype)
    return onnx.write(exported.export(job, module, dtype), job, opset, _weights_in_type)


def with_edges(module: torch.nn.Module, io: IOSpec, dtype: torch.dtype) -> torch.nn.Module:
    """The module with float32 at its edges, and state in `dtype`."""
    import torch

    cast_in = [spec.dtype == "float32" and spec.name not in io.carried for spec in io.inputs]
    fetched = {spec.name for spec in io.fetched}
    cast_out = [spec.dtype == "float32" and spec.name in fetched for spec in io.outputs]

    class Edges(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = module

        def forward(self, *inputs: torch.Tensor) -> tuple[torch.Tensor, ...]:
            outputs = self.inner(
                *(x.to(dtype) if cast else x for x, cast in zip(inputs, cast_in, strict=True))
            )
            outputs = outputs if isinstance(outputs, tuple) else (outputs,)
            return tuple(y.float() if cast else y for y, cast in zip(outputs, cast_out, strict=True))

    return Edges().eval()


def _weights_in_type(program: torch.onnx.ONNXProgram) -> None:
    """Gives products constants of the type of what they multiply: where a bf16 normalisation is folded into a
    convolution, the exporter leaves its weights in float32, and the file with two types in one operation."""
    import onnx_ir as ir

    for node in program.model.graph.all_nodes():
        if node.op_type not in onnx_graph.WEIGHTS or node.inputs[0] is None:
            continue
        for value in node.inputs[1:]:
            wanted = node.inputs[0].dtype
            if value is not None and value.const_value is not None and wanted not in (None, value.dtype):
                value.const_value = ir.tensor(
                    value.const_value.numpy().astype(wanted.numpy()), name=value.name
                )
                value.dtype = wanted


CONVERTER = Converter(
    kind="onnx-half",
    file="model.onnx",
    revision=1,
    parents=("origin",),
    axes=("precision",),
    distributions=("torch", "onnx", "onnxscript"),
    make=make,
    model=True,
)
