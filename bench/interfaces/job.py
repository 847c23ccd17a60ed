"""What the parent tells a worker about the one case it measures. Standard library and NumPy alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from bench.interfaces.backend import Target
from bench.interfaces.case import Case
from bench.interfaces.tensors import IOSpec, ModelFile


@dataclass(frozen=True, slots=True)
class Job:
    """One case for one worker.

    Attributes:
        model: the model file, None for a backend that takes none.
        inputs: npz of the timed input, keys are tensor names; None for zeros.
        reference: npz for `bench.worker.verify`; None where nothing is verified.
        band: (low, high) of the relative error; None where nothing is verified.
        cpus: logical CPUs to pin to; empty for none (macOS).
        memory_bytes: bound on the worker's private memory; None for none.
        build_ns: what the backend took to compile the model; None where it compiles nothing.
        spawned_ns: the parent's `time.monotonic_ns()` just before the process was started.
        burst_ns: length of a burst, at least.
        device_every: after every so many bursts a third as long follows at the device boundary; 0 for never.
        capacity: most samples a burst may hold.
        loop_under_ns: an inference shorter than this is looped within a sample; 0 never loops.
        device: what the target's device is called in the worker, which may see it alone
            (`bench.machine.gpu.devices`).
    """

    case: Case
    model: ModelFile | None
    io: IOSpec
    inputs: Path | None = None
    reference: Path | None = None
    band: tuple[float, float] | None = None
    cpus: tuple[int, ...] = ()
    memory_bytes: int | None = None
    build_ns: int | None = None
    spawned_ns: int = 0
    burst_ns: int = 150_000_000
    device_every: int = 1
    capacity: int = 10_000
    loop_under_ns: int = 20_000
    warmup: Mapping[str, float] = field(default_factory=dict)
    device: str = ""

    @property
    def target(self) -> Target:
        """The case's, with the device as the worker knows it."""
        return replace(self.case.target, device=self.device or self.case.target.device)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Job:
        model = data["model"]
        return cls(
            **{
                **data,
                "case": Case.from_dict(data["case"]),
                "model": model and ModelFile(**{**model, "path": Path(model["path"])}),
                "io": IOSpec.from_dict(data["io"]),
                "inputs": _path(data["inputs"]),
                "reference": _path(data["reference"]),
                "band": data["band"] and tuple(data["band"]),
                "cpus": tuple(data["cpus"]),
            }
        )


def _path(text: str | None) -> Path | None:
    return Path(text) if text else None
