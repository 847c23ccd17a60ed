"""StableHLO by jax.export: a program of the case's shapes and precision, with its weights beside it.

torchax runs the workload's module under JAX's tracer. The weights are arguments of the program, so that it
is small, and in fp32 whatever its precision: who loads them rounds them. Integers are of 32 bits, as JAX has
them by default.

The program of `tf32` is that of fp32 but for what its products ask: nothing, which lets XLA's compiler for
GPUs round their operands to TF32 in each of its ways to make a product (`backends.xla.cuda`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from backends.support import files
from backends.support.stablehlo import WEIGHTS
from bench.interfaces.converter import Converter, Job
from bench.interfaces.errors import UnsupportedCase
from bench.interfaces.precision import FLOAT_BYTES

DTYPES = {"fp32": "float32", "tf32": "float32", "bf16": "bfloat16", "fp16": "float16"}


def make(job: Job) -> Mapping[str, Any]:
    import jax
    import torch
    import torchax

    precision = job.facts["precision"]
    if precision not in DTYPES:
        raise UnsupportedCase(
            f"no StableHLO program is made in {precision}", hint=f"--precision {','.join(FLOAT_BYTES)}"
        )
    # Products in fp32 stay in fp32 on every device, and no paths of this machine go into the program.
    jax.config.update("jax_default_matmul_precision", "default" if precision == "tf32" else "highest")
    jax.config.update("jax_traceback_in_locations_limit", 0)
    dtype = jax.numpy.dtype(DTYPES[precision])
    module = job.restore().to(getattr(torch, DTYPES[precision]))
    stored = {name for name, tensor in module.state_dict().items() if tensor.is_floating_point()}
    state, call = torchax.extract_jax(module)
    weights = {name: jax.ShapeDtypeStruct(state[name].shape, dtype) for name in sorted(stored)}
    tables = {name: array for name, array in state.items() if name not in stored}

    def program(weights: Any, *inputs: Any) -> Any:
        outputs = call({**tables, **weights}, inputs)
        return tuple(outputs) if isinstance(outputs, tuple | list) else (outputs,)

    io = job.workload.io(job.facts["batch"], job.facts["length"])
    inputs = [
        jax.ShapeDtypeStruct(t.shape, dtype if t.dtype == "float32" else jax.numpy.int32) for t in io.inputs
    ]
    exported = jax.export.export(jax.jit(program), platforms=("cpu",))(weights, *inputs)
    job.output.write_bytes(exported.serialize())
    files.place(job.parents["origin"].path, job.output.parent / WEIGHTS)
    version = exported.calling_convention_version
    return {"lineage": {"exporter": f"torchax and jax.export, calling convention {version}"}}


CONVERTER = Converter(
    kind="stablehlo",
    file="program.jax",
    revision=1,
    parents=("origin",),
    axes=("batch", "length", "precision"),
    distributions=("torch", "torchax", "jax", "jaxlib"),
    make=make,
    model=True,
    tools="to-stablehlo",
)
