"""What a workload is. Standard library and NumPy alone; the model itself is built where torch is."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, Protocol, runtime_checkable

import numpy as np

from bench.interfaces.tensors import Array, IOSpec

if TYPE_CHECKING:
    import torch

CALIBRATION_SEED = 10_000  # inputs from which weights and quantisers take ranges
TIMED_SEED = 20_000  # the timed loop's input; verification uses sample seeds 0, 1, 2, …
MOST_BATCH = 1024
IMAGE_AXES = 4


@runtime_checkable
class Workload(Protocol):
    """A model, its inputs for a seed, and its unit of work. Defined once, in PyTorch.

    A workload is one object in a family's file; the file's `WORKLOADS` tuple is what the registry reads.
    """

    name: str
    family: str
    """`cnn`, `encoder`, `decoder`: for lists. What quantisers ask for is in `traits`."""
    summary: str
    unit: str
    """What one sample is: `image`, `sequence`, `token`."""
    revision: int
    """Raised whenever the definition changes what is computed: it is part of the content hash."""
    config: Mapping[str, Any]
    axis: Literal["sequence", "context"]
    """What the length of a sample means: tokens that are read, or tokens that were read before."""
    default_length: int | None
    """The length where a suite names none; None for a workload without such an axis."""
    weights_of: str
    """The workload whose weights these are: two steps of one model share them. '' for its own."""
    ignored_keys: tuple[str, ...]
    """Patterns of state-dict keys that a checkpoint may have or lack."""
    renamed_keys: tuple[tuple[str, str], ...]
    """Regular expressions and what replaces them, in this order, in the keys of a checkpoint."""

    def io(self, batch: int, sequence: int | None) -> IOSpec:
        """Inputs and outputs at a shape, with the ranges of the dynamic axes. ValueError out of range."""

    def inputs(self, batch: int, sequence: int | None, seed: int) -> dict[str, Array]:
        """Seeded inputs; sample i of a batch depends on `seed + i` alone, so batches stack samples."""

    def build(self) -> torch.nn.Module:
        """The module in fp32, eval mode, uninitialised; forward takes the inputs in IOSpec order and
        returns the outputs in IOSpec order (a tensor, or a tuple of tensors)."""

    def seed_weights(self, module: torch.nn.Module, seed: int) -> None:
        """Fills parameters and buffers from a NumPy generator, so that outputs do not degenerate."""


@dataclass(frozen=True, slots=True)
class Traits:
    """What quantisers must know of a model.

    Attributes:
        convolutional: convolutions do its work, and its sums bear 8 bits; those of a transformer do not.
        stateful: state is carried from one inference to the next, as a decoder's cache is.
    """

    convolutional: bool = False
    stateful: bool = False


@runtime_checkable
class Described(Protocol):
    """A workload that tells its traits: one whose inputs would have them taken for others, as those of a
    transformer that reads images."""

    traits: Traits


def traits(workload: Workload) -> Traits:
    """Those that a workload tells, else what its inputs and outputs show: a model of images (an input of
    floats [batch, channels, height, width] that is no state) is convolutional, any other a transformer."""
    if isinstance(workload, Described):
        return workload.traits
    io = workload.io(1, workload.default_length)
    given = [spec for spec in io.inputs if spec.name not in io.carried]
    images = any(spec.dtype.startswith("float") and len(spec.shape) == IMAGE_AXES for spec in given)
    return Traits(convolutional=images, stateful=bool(io.state))


def uneven(generator: np.random.Generator, shape: tuple[int, ...]) -> Array:
    """Normal weights float32 [out, …] of deviation 1 whose output channels differ in size as trained ones do
    (log-normal, σ ½): with channels all alike no error would tell one channel's scale from another's."""
    values = generator.standard_normal(shape, dtype=np.float32)
    sizes = np.exp(0.5 * generator.standard_normal(shape[0]) - 0.25).astype(np.float32)
    return values * sizes.reshape(-1, *[1] * (len(shape) - 1))


def check_range(what: str, value: int, least: int, most: int) -> None:
    """Raises ValueError with a sentence unless `least` ≤ `value` ≤ `most`."""
    if not least <= value <= most:
        raise ValueError(f"{what} {value} is outside {least} to {most}")


def content_hash(workload: Workload, weights_sha256: str = "") -> str:
    """Sixteen hexadecimal digits over definition and weights; seeded weights count as `seed:0`."""
    facts = {
        "name": workload.name,
        "revision": workload.revision,
        "config": dict(workload.config),
        "weights": weights_sha256 or "seed:0",
    }
    canonical = json.dumps(facts, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()[:16]


@dataclass(frozen=True, slots=True)
class Band:
    """The errors that a precision may show: `low` ≤ error ≤ `high`, both relative (see
    bench.worker.verify)."""

    low: float
    high: float
    rule: str = ""


@dataclass(frozen=True, slots=True)
class Cost:
    """What one inference takes at least: floating-point operations and bytes moved (weights, in, out)."""

    flops: int
    bytes: int
    parameters: int
    detail: Mapping[str, Any] = field(default_factory=dict)
