"""`int8:native` of ExecuTorch: static int8 by torchao's PT2E with XNNPACKQuantizer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from backends.formats import executorch_graph
from bench.converters import Converter, Job
from bench.converters.quantising import require_quantised


def make(job: Job) -> Mapping[str, Any]:
    module = executorch_graph.quantised(job, dynamic=False)
    shares = require_quantised("XNNPACKQuantizer", "int8", executorch_graph.weights(module))
    executorch_graph.lower(job, module)
    quantiser = "torchao PT2E, XNNPACKQuantizer, per channel, activations by histogram"
    return {"shares": shares, "lineage": {"exporter": executorch_graph.LOWERED, "quantiser": quantiser}}


CONVERTER = Converter(
    kind="executorch-int8",
    file="model.pte",
    revision=1,
    parents=("origin", "calibration"),
    axes=("batch", "length"),
    distributions=("executorch", "torch", "torchao"),
    make=make,
    model=True,
    tools="to-executorch",
)
