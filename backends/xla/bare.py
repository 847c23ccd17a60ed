"""JAX's docs, 'Exporting and serialization': deserialise, jit, call; weights as arguments on the device."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from backends.support.stablehlo import read_weights
from backends.xla.backend import PROGRAM
from bench.interfaces.job import Job


def loop(job: Job, feeds: dict[str, Any]) -> Callable[[], Any]:
    import jax
    import jax.export

    assert job.model is not None
    folder = job.model.path.parent
    exported = jax.export.deserialize(bytearray((folder / PROGRAM).read_bytes()))
    (wanted, *_), _ = jax.tree.unflatten(exported.in_tree, exported.in_avals)
    stored = read_weights(folder)
    weights = jax.device_put({name: np.array(stored[name]) for name in wanted})
    run = jax.jit(exported.call)
    inputs = [feeds[tensor.name] for tensor in job.io.inputs]
    return lambda: [np.asarray(output) for output in run(weights, *inputs)]
