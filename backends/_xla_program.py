"""A StableHLO program and its weights, as XLA's compiler for CPUs wants them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from backends import support
from backends._stablehlo import read_weights
from backends.base import IOSpec, ModelFile
from bench.errors import ModelFileError

if TYPE_CHECKING:
    import jax
    from jax.export import Exported

# Convolution kernels as XLA's CPU compiler wants them (height, width, in, out): as arguments in PyTorch's
# order they would be turned at each inference, which took half of ResNet-50's time.
TO_XLA, TO_TORCH = (2, 3, 1, 0), (3, 2, 0, 1)


class Program:
    """A StableHLO program as it was exported, with its weights."""

    def __init__(self, model: ModelFile, io: IOSpec) -> None:
        import jax
        import jax.export

        try:
            self.exported: Exported = jax.export.deserialize(bytearray(model.path.read_bytes()))
            (wanted, *self.inputs), _ = jax.tree.unflatten(self.exported.in_tree, self.exported.in_avals)
            stored = read_weights(model.path.parent)
            found = {name: np.asarray(stored[name], aval.dtype) for name, aval in wanted.items()}
        except Exception as error:  # whatever a reader of flat buffers and MLIR makes of other bytes
            raise support.broken(model, error) from error
        if [aval.shape for aval in self.inputs] != [tensor.shape for tensor in io.inputs]:
            raise ModelFileError(f"{model.path}: is for other shapes: {self.inputs}", hint="bakeoff run")
        # Vectors are constants, which XLA folds (batch norms); what is larger stays out of the executable.
        self.constants = {name: array for name, array in found.items() if array.ndim < 2}
        self.weights = {
            name: np.ascontiguousarray(array.transpose(TO_XLA)) if array.ndim == 4 else array
            for name, array in found.items()
            if array.ndim >= 2
        }

    def compile(self, settings: Mapping[str, Any]) -> jax.stages.Compiled:
        import jax

        def run(weights: Mapping[str, Any], *inputs: Any) -> Any:
            turned = {n: w.transpose(TO_TORCH) if w.ndim == 4 else w for n, w in weights.items()}
            return self.exported.call({**self.constants, **turned}, *inputs)

        options = {name: value for name, value in settings.items() if name.startswith("xla_")}
        return jax.jit(run).lower(self.weights, *self.inputs).compile(compiler_options=options)

    def trees(self) -> tuple[Any, Any]:
        """How arguments and outputs of the compiled program nest."""
        import jax

        arguments: Any = ((dict.fromkeys(self.weights, 0), *(0 for _ in self.inputs)), {})
        return jax.tree.structure(arguments), self.exported.out_tree
