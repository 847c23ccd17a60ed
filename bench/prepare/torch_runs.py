"""Runs a workload's module in a given type, and counts what an inference costs. Imports torch late."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from bench.interfaces.errors import PrepareError
from bench.interfaces.tensors import Array, IOSpec
from bench.worker.verify import Floats, Reference, Verification, compare

if TYPE_CHECKING:
    import torch

LOOKUPS = ("embedding", "__getitem__", "__get__")
CHUNK = 8  # samples at a time, so that results do not depend on the case's batch


def run(
    module: torch.nn.Module, io: IOSpec, inputs: Mapping[str, Array], dtype: torch.dtype, chunk: int = CHUNK
) -> dict[str, Floats]:
    """Outputs of all samples but their state, name → float64 [n, …], with weights and activations in `dtype`.

    The module is left in that type. Raises PrepareError where an output is not finite.
    """
    import torch

    module.to(dtype)
    count = len(next(iter(inputs.values())))
    parts: dict[str, list[Array]] = {spec.name: [] for spec in io.fetched}
    for start in range(0, count, chunk):
        arguments = [_tensor(inputs[spec.name][start : start + chunk], dtype) for spec in io.inputs]
        with torch.inference_mode():
            results = module(*arguments)
        results = results if isinstance(results, tuple) else (results,)
        for spec, tensor in zip(io.outputs, results, strict=True):
            if spec.name in parts:
                parts[spec.name].append(tensor.double().numpy())
    outputs = {name: np.concatenate(arrays) for name, arrays in parts.items()}
    for name, array in outputs.items():
        if not np.isfinite(array).all():
            raise PrepareError(f"the workload's output {name!r} in torch {dtype} is not finite everywhere")
    return outputs


def error_of(reference: Reference, outputs: Mapping[str, Floats]) -> Verification:
    """The error of a run over all samples of a reference."""
    return compare(reference, outputs, np.arange(reference.count))


def cost_of(module: torch.nn.Module, io: IOSpec, inputs: Mapping[str, Array]) -> dict[str, int]:
    """What one sample takes: `flops` (2 a multiply-add, by torch's FlopCounterMode: products only),
    `parameters`, `weights` (elements read whatever the batch: parameters, and buffers of floats) and
    `looked_up` (elements of embedding tables read for this sample: their other rows are not, unless the table
    is a product's weight as well)."""
    import torch
    from torch.nn.attention import SDPBackend, sdpa_kernel
    from torch.overrides import TorchFunctionMode
    from torch.utils.flop_counter import FlopCounterMode

    looked_up: dict[torch.nn.Embedding, int] = {}
    read: dict[int, int] = {}  # tensors that another operation than a lookup takes → their elements

    class Reads(TorchFunctionMode):
        def __torch_function__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            if getattr(function, "__name__", "") not in LOOKUPS:
                found = (value for value in (*args, *(kwargs or {}).values()) if id(value) in elements)
                read.update({id(tensor): tensor.numel() for tensor in found})
            return function(*args, **(kwargs or {}))

    def count_rows(table: torch.nn.Module, arguments: tuple[torch.Tensor, ...], _output: Any) -> None:
        assert isinstance(table, torch.nn.Embedding)
        looked_up[table] = looked_up.get(table, 0) + arguments[0].numel() * table.embedding_dim

    floats = [*module.parameters(), *(b for b in module.buffers() if b.is_floating_point())]
    elements = {id(tensor) for tensor in floats}
    tables = [layer for layer in module.modules() if isinstance(layer, torch.nn.Embedding)]
    hooks = [table.register_forward_hook(count_rows) for table in tables]
    arguments = [torch.from_numpy(inputs[spec.name][:1]) for spec in io.inputs]
    # The fused attention kernels of the CPU are not in the counter's tables; the plain one is.
    with (
        torch.no_grad(),
        sdpa_kernel(SDPBackend.MATH),
        FlopCounterMode(display=False) as counter,
        Reads(),
    ):
        module(*arguments)
    for hook in hooks:
        hook.remove()
    return {
        "flops": int(counter.get_total_flops()),
        "parameters": sum(p.numel() for p in module.parameters()),
        "weights": sum(read.values()),
        "looked_up": sum(looked_up.values()),
    }


def _tensor(array: Array, dtype: torch.dtype) -> torch.Tensor:
    import torch

    tensor = torch.from_numpy(array)
    return tensor.to(dtype) if tensor.is_floating_point() else tensor
