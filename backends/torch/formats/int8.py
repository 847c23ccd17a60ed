"""`int8:native` of PyTorch: a static graph with quantise and dequantise operations, by torchao.

A compiler fuses them with the products between them (torchao's x86 recipe is made for TorchInductor); eager
PyTorch dequantises, multiplies in fp32 and quantises again.
"""

from __future__ import annotations

import operator
from collections import Counter
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from backends.formats.exported import export
from backends.torch import graph
from bench.interfaces.conversion import require_quantised, samples
from bench.interfaces.converter import Converter, Job
from bench.interfaces.recipe import Recipe
from bench.interfaces.workload import Traits

if TYPE_CHECKING:
    import torch


def recipe(traits: Traits) -> Recipe:
    """Sums are fused with the convolutions before them; behind linear layers, and in attention, it takes
    none."""
    return Recipe("sums" if traits.convolutional else "nothing")


def make(job: Job) -> Mapping[str, Any]:
    import torch
    from torchao.quantization.pt2e.quantize_pt2e import convert_pt2e, prepare_pt2e
    from torchao.quantization.pt2e.quantizer import x86_inductor_quantizer as x86

    narrow = bool(job.facts["narrow"])
    config = x86.get_default_x86_inductor_quantization_config(reduce_range=narrow)
    program = export(job, job.restore())
    observed = prepare_pt2e(program.module(check_guards=False), x86.X86InductorQuantizer().set_global(config))
    inputs = [spec.name for spec in job.workload.io(1, None).inputs]
    with torch.no_grad():
        for arrays in samples(job.parents["calibration"].path):
            observed(*(torch.from_numpy(arrays[name]) for name in inputs))
    quantised = convert_pt2e(observed)
    shares = require_quantised("torchao's PT2E", "int8", _weights(quantised))
    graph.save(export(job, quantised), job.output)
    quantiser = f"torchao PT2E, X86InductorQuantizer{', reduced range' if narrow else ''}"
    return {"shares": shares, "lineage": {"exporter": "torch.export", "quantiser": quantiser}}


def _weights(module: torch.fx.GraphModule) -> Counter[str]:
    """Type (`int8`, `float`) → elements of all weights of matrix products and convolutions."""
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


CONVERTER = Converter(
    kind="torch-int8",
    file="graph.pt",
    revision=2,
    parents=("origin", "calibration"),
    axes=("narrow", "recipe"),
    distributions=("torch", "torchao"),
    make=make,
    model=True,
    recipe=recipe,
)
