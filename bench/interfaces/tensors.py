"""Tensors and model files as plain data: names, dtypes, shapes, and what carries state from one inference
on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


@dataclass(frozen=True, slots=True)
class TensorSpec:
    """One input or output of a model at the shape of a case.

    Attributes:
        name: the workload's own name for it, used in every dict of arrays.
        dtype: NumPy name of the dtype at the host boundary (`float32`, `int64`).
        shape: concrete extents for this case, batch first.
        runtime_name: its name in the model file; the same as `name` unless the converter renamed it.
        dynamic: axis → (least, most) where the model file leaves the extent open.
    """

    name: str
    dtype: str
    shape: tuple[int, ...]
    runtime_name: str = ""
    dynamic: Mapping[int, tuple[int, int]] = field(default_factory=dict)

    @property
    def name_in_file(self) -> str:
        return self.runtime_name or self.name

    @property
    def nbytes(self) -> int:
        return int(np.prod(self.shape, dtype=np.int64)) * np.dtype(self.dtype).itemsize

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> TensorSpec:
        dynamic = {int(axis): (int(low), int(high)) for axis, (low, high) in data["dynamic"].items()}
        shape = tuple(int(n) for n in data["shape"])
        return cls(data["name"], data["dtype"], shape, data["runtime_name"], dynamic)


@dataclass(frozen=True, slots=True)
class IOSpec:
    """Inputs and outputs of a case in the model's order.

    `state` pairs (output, input) carry state from one inference to the next, as a decoder's cache does: the
    outputs stay with the runtime, and `fetch` leaves them out. A case may have the outputs alone, where
    another makes use of them.
    """

    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    state: tuple[tuple[str, str], ...] = ()

    @property
    def carried(self) -> frozenset[str]:
        """Names of the inputs that carry state in."""
        return frozenset(into for _, into in self.state) & {spec.name for spec in self.inputs}

    @property
    def fetched(self) -> tuple[TensorSpec, ...]:
        """The outputs that are not state."""
        kept = {out for out, _ in self.state}
        return tuple(spec for spec in self.outputs if spec.name not in kept)

    @property
    def growing(self) -> dict[str, int]:
        """Carried input → the axis that each step makes longer: a runtime leaves it open if it can."""
        inputs, outputs = ({t.name: t.shape for t in specs} for specs in (self.inputs, self.outputs))
        return {
            into: axis
            for out, into in self.state
            if into in inputs
            for axis, (before, after) in enumerate(zip(inputs[into], outputs[out], strict=True))
            if before != after
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> IOSpec:
        return cls(
            tuple(TensorSpec.from_dict(t) for t in data["inputs"]),
            tuple(TensorSpec.from_dict(t) for t in data["outputs"]),
            tuple((str(out), str(into)) for out, into in data["state"]),
        )


@dataclass(frozen=True, slots=True)
class ModelFile:
    """A workload in a form that a backend loads.

    Attributes:
        format: `exported`, `onnx`, …
        path: the file to hand to the runtime (companions such as external data lie beside it).
        sha256: of the file's content, hexadecimal.
        lineage: exporter, opset, converter, versions and the parent's hash, newest first.
    """

    format: str
    path: Path
    sha256: str
    lineage: tuple[Mapping[str, Any], ...] = ()
