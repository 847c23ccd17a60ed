"""Quantises a workload's module and lowers it to an ExecuTorch program, for the converters that do. Imports
ExecuTorch late."""

from __future__ import annotations

import operator
from collections import Counter
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from backends.formats.exported import export
from bench.interfaces.conversion import require_quantised, samples
from bench.interfaces.converter import Job

if TYPE_CHECKING:
    import torch

LOWERED = "torch.export and to_edge_transform_and_lower, XnnpackPartitioner"


def make(job: Job, dynamic: bool, quantiser: str) -> Mapping[str, Any]:
    """Quantises by XNNPACKQuantizer, lowers, and tells what came of it."""
    module = quantised(job, dynamic)
    shares = require_quantised("XNNPACKQuantizer", "int8", weights(module))
    lower(job, module)
    return {"shares": shares, "lineage": {"exporter": LOWERED, "quantiser": quantiser}}


def lower(job: Job, module: torch.nn.Module) -> None:
    """Writes the program of the case's batch and length: what XNNPACK takes is left to it."""
    import torch
    from torch.nn.attention import SDPBackend, sdpa_kernel

    with torch.no_grad():
        try:
            made = _program(job, module)
        except ValueError:
            # Lowering lays the output of fused attention out otherwise than tracing has it, and a view of it
            # may then be none ("Cannot view a tensor with shape …"). Both agree on the plain one.
            with sdpa_kernel(SDPBackend.MATH):
                made = _program(job, module)
    with job.output.open("wb") as file:
        made.write_to_file(file)


def _program(job: Job, module: torch.nn.Module) -> Any:
    import torch
    from executorch.backends.xnnpack.partition.xnnpack_partitioner import XnnpackPartitioner
    from executorch.exir import to_edge_transform_and_lower

    workload = job.workload
    batch, length = job.facts["batch"], job.facts["length"]
    arrays = workload.inputs(batch, length, seed=0)
    arguments = tuple(torch.from_numpy(arrays[spec.name]) for spec in workload.io(batch, length).inputs)
    program = torch.export.export(module, arguments)
    return to_edge_transform_and_lower(program, partitioner=[XnnpackPartitioner()]).to_executorch()


def quantised(job: Job, dynamic: bool) -> torch.nn.Module:
    """The module with quantise and dequantise operations where XNNPACKQuantizer wants them, of any batch and
    length; static ranges are those of the calibration samples."""
    import torch
    from executorch.backends.xnnpack.quantizer.xnnpack_quantizer import (
        XNNPACKQuantizer,
        get_symmetric_quantization_config,
    )
    from torchao.quantization.pt2e.quantize_pt2e import convert_pt2e, prepare_pt2e

    recipe = get_symmetric_quantization_config(is_per_channel=True, is_dynamic=dynamic)
    program = export(job, job.restore())
    observed = prepare_pt2e(program.module(check_guards=False), XNNPACKQuantizer().set_global(recipe))
    inputs = [spec.name for spec in job.workload.io(1, None).inputs]
    with torch.no_grad():
        for arrays in samples(job.parents["calibration"].path):
            observed(*(torch.from_numpy(arrays[name]) for name in inputs))
    made: torch.nn.Module = convert_pt2e(observed)
    return made


def weights(module: Any) -> Mapping[str, int]:
    """Type (`int8`, `float`) → elements of all weights of matrix products and convolutions in a graph."""
    import torch

    products = (torch.ops.aten.linear.default, torch.ops.aten.conv2d.default)
    found: Counter[str] = Counter()
    for node in module.graph.nodes:
        if node.target in products:
            weight = node.args[1]
            if "dequantize" in str(weight.target):
                weight = weight.args[0]
            tensor = operator.attrgetter(weight.target)(module)
            found["int8" if tensor.dtype is torch.int8 else "float"] += tensor.numel()
    return found
