"""A StableHLO program and its weights, as XLA's compilers want them."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

import numpy as np

from backends.support import faults
from backends.support.stablehlo import read_weights
from bench.interfaces.errors import ModelFileError
from bench.interfaces.tensors import IOSpec, ModelFile

if TYPE_CHECKING:
    import jax
    from jax.export import Exported

# Convolution kernels as XLA wants them, from PyTorch's order (out, in, height, width) and back to it: as
# arguments in that order they would be turned at each inference, half of ResNet-50's time on a CPU.
Order = tuple[tuple[int, ...], tuple[int, ...]]
FOR_CPUS: Order = ((2, 3, 1, 0), (3, 2, 0, 1))  # height, width, in, out
CHANNELS_LAST: Order = ((0, 2, 3, 1), (0, 3, 1, 2))  # out, height, width, in
CHANNELS_FIRST: Order = ((0, 1, 2, 3), (0, 1, 2, 3))


class Program:
    """A StableHLO program as it was exported, with its weights: for a GPU, or without one for this CPU."""

    def __init__(
        self, model: ModelFile, io: IOSpec, device: jax.Device | None = None, order: Order = FOR_CPUS
    ) -> None:
        import jax
        import jax.export

        try:
            exported = jax.export.deserialize(bytearray(model.path.read_bytes()))
            (wanted, *self.inputs), _ = jax.tree.unflatten(exported.in_tree, exported.in_avals)
            stored = read_weights(model.path.parent)
            found = {name: np.asarray(stored[name], aval.dtype) for name, aval in wanted.items()}
        except Exception as error:  # whatever a reader of flat buffers and MLIR makes of other bytes
            raise faults.broken(model, error) from error
        if [aval.shape for aval in self.inputs] != [tensor.shape for tensor in io.inputs]:
            raise ModelFileError(f"{model.path}: is for other shapes: {self.inputs}", hint="bakeoff run")
        self.exported = exported if device is None else for_any_platform(exported)
        self._device, (self._there, self._back) = device, order
        # Vectors are constants, which XLA folds (batch norms); what is larger stays out of the executable.
        self.constants = {name: array for name, array in found.items() if array.ndim < 2}
        self.weights = {name: self._laid_out(array) for name, array in found.items() if array.ndim >= 2}

    def _laid_out(self, array: Any) -> Any:
        return np.ascontiguousarray(array.transpose(self._there)) if array.ndim == 4 else array

    def compile(self, settings: Mapping[str, Any]) -> jax.stages.Compiled:
        import jax

        def run(weights: Mapping[str, Any], *inputs: Any) -> Any:
            turned = {n: w.transpose(self._back) if w.ndim == 4 else w for n, w in weights.items()}
            return self.exported.call({**self.constants, **turned}, *inputs)

        options = {name: value for name, value in settings.items() if name.startswith("xla_")}
        with jax.default_device(self._device) if self._device else nullcontext():
            return jax.jit(run).lower(self.weights, *self.inputs).compile(compiler_options=options)

    def trees(self) -> tuple[Any, Any]:
        """How arguments and outputs of the compiled program nest."""
        import jax

        arguments: Any = ((dict.fromkeys(self.weights, 0), *(0 for _ in self.inputs)), {})
        return jax.tree.structure(arguments), self.exported.out_tree


def for_any_platform(exported: Exported) -> Exported:
    """The same program without JAX's check that it runs on the platform that it was exported for, a CPU: its
    operations are StableHLO's own, none a call into a CPU's library (the contract's tests see to that)."""
    from jax.export import DisabledSafetyCheck

    checks = (*exported.disabled_safety_checks, DisabledSafetyCheck.platform())
    return dataclasses.replace(exported, disabled_safety_checks=checks)
