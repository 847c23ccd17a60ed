"""`int4-weight` of ExecuTorch: linear layers with int4 weights in groups, by torchao ("8da4w").

XNNPACK's kernels quantise rows of activations on the fly.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from backends.executorch.formats import graph
from bench.interfaces.conversion import require_quantised
from bench.interfaces.converter import Converter, Job
from bench.interfaces.precision import scheme
from bench.interfaces.recipe import Recipe

RECIPE = Recipe(convolutions=False)  # of torch's modules linear layers alone


def make(job: Job) -> Mapping[str, Any]:
    import torch
    from torchao.quantization.granularity import PerGroup
    from torchao.quantization.quant_api import Int8DynamicActivationIntxWeightConfig, quantize_

    how = scheme(str(job.facts["precision"]))
    assert how is not None
    module = job.restore()
    quantize_(
        module,
        Int8DynamicActivationIntxWeightConfig(
            weight_dtype=getattr(torch, f"int{how.bits}"), weight_granularity=PerGroup(how.group)
        ),
    )
    weights: Counter[str] = Counter()
    for layer in module.modules():
        if isinstance(layer, torch.nn.Linear | torch.nn.Conv2d):
            plain = type(layer.weight.detach()) is torch.Tensor
            weights["float" if plain else "int4"] += layer.weight.numel()
    shares = require_quantised("torchao's int4 recipe", "int4", weights)
    graph.lower(job, module)
    quantiser = f"torchao Int8DynamicActivationIntxWeightConfig, int4, groups of {how.group}"
    return {"shares": shares, "lineage": {"exporter": graph.LOWERED, "quantiser": quantiser}}


CONVERTER = Converter(
    kind="executorch-weight",
    file="model.pte",
    revision=1,
    parents=("origin",),
    axes=("batch", "length", "precision", "recipe"),
    distributions=("executorch", "torch", "torchao"),
    make=make,
    model=True,
    recipe=lambda traits: RECIPE,
    tools="to-executorch",
)
