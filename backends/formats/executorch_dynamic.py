"""`int8-dynamic` of ExecuTorch: int8 weights, activations quantised at each inference, by torchao's PT2E with
XNNPACKQuantizer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from backends.formats import executorch_graph
from bench.converters import Converter, Job
from bench.converters.quantising import require_quantised


def make(job: Job) -> Mapping[str, Any]:
    module = executorch_graph.quantised(job, dynamic=True)
    shares = require_quantised("XNNPACKQuantizer", "int8", executorch_graph.weights(module))
    executorch_graph.lower(job, module)
    quantiser = "torchao PT2E, XNNPACKQuantizer, is_dynamic, per channel"
    return {"shares": shares, "lineage": {"exporter": executorch_graph.LOWERED, "quantiser": quantiser}}


CONVERTER = Converter(
    kind="executorch-dynamic",
    file="model.pte",
    revision=1,
    parents=("origin", "calibration"),
    axes=("batch", "length"),
    distributions=("executorch", "torch", "torchao"),
    make=make,
    model=True,
    tools="to-executorch",
)
