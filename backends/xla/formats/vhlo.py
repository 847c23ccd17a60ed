"""A StableHLO program as portable MLIR bytecode (VHLO), for compilers that know nothing of JAX.

Its weights are constants, so that a compiler can lay them out as its kernels want them: as arguments they
cost IREE most of ResNet-50's time. Beside it the places of the inputs that it makes use of, in order.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy as np

from backends.support.stablehlo import ARGUMENTS, read_weights
from bench.interfaces.converter import Converter, Job


def make(job: Job) -> Mapping[str, Any]:
    import jax
    import jax.export

    parent = job.parents["stablehlo"].path
    exported = jax.export.deserialize(bytearray(parent.read_bytes()))
    (wanted, *inputs), _ = jax.tree.unflatten(exported.in_tree, exported.in_avals)
    stored = read_weights(parent.parent)
    weights = {name: jax.numpy.asarray(np.array(stored[name]), aval.dtype) for name, aval in wanted.items()}
    whole = jax.jit(lambda *given: exported.call(weights, *given))
    shapes = [jax.ShapeDtypeStruct(aval.shape, aval.dtype) for aval in inputs]
    program = jax.export.export(whole, platforms=("cpu",))(*shapes)
    job.output.write_bytes(program.mlir_module_serialized)
    (job.output.parent / ARGUMENTS).write_text(json.dumps(program.module_kept_var_idx))
    return {"arguments": len(program.module_kept_var_idx)}


CONVERTER = Converter(
    kind="vhlo",
    file="program.mlirbc",
    revision=2,
    parents=("stablehlo",),
    axes=("batch", "length", "precision"),
    distributions=("jax", "jaxlib"),
    make=make,
    model=True,
    tools="to-stablehlo",
)
