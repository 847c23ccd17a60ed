"""A StableHLO program as portable MLIR bytecode (VHLO), for compilers that know nothing of JAX.

Beside it the weights, and the order in which its arguments come: a name is a weight's, a number an input's
place. What the program makes no use of is not among them.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from backends import support
from backends._stablehlo import ARGUMENTS, WEIGHTS
from bench.converters import Converter, Job


def make(job: Job) -> Mapping[str, Any]:
    import jax
    import jax.export

    parent = job.parents["stablehlo"].path
    exported = jax.export.deserialize(bytearray(parent.read_bytes()))
    (weights, *inputs), _ = jax.tree.unflatten(exported.in_tree, exported.in_avals)
    arguments = [*sorted(weights), *range(len(inputs))]
    kept = [arguments[index] for index in exported.module_kept_var_idx]
    job.output.write_bytes(exported.mlir_module_serialized)
    (job.output.parent / ARGUMENTS).write_text(json.dumps(kept))
    support.place(parent.parent / WEIGHTS, job.output.parent / WEIGHTS)
    return {"arguments": len(kept)}


CONVERTER = Converter(
    kind="vhlo",
    file="program.mlirbc",
    revision=1,
    parents=("stablehlo",),
    axes=("batch", "length", "precision"),
    distributions=("jax", "jaxlib"),
    make=make,
    model=True,
    tools="to-stablehlo",
)
