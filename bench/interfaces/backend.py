"""The interface that every inference runtime stands behind.

Standard library and NumPy alone: a worker imports this module beside one runtime and nothing else.
A backend is a folder `backends/NAME` with `backend.py`, whose attribute `BACKEND` satisfies `Backend`; the
shortest way is to subclass `BaseBackend` and `BaseSession`, which hold the defaults.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, Protocol, runtime_checkable

from bench.interfaces.options import Options
from bench.interfaces.precision import scheme, word
from bench.interfaces.tensors import Array, IOSpec, ModelFile

if TYPE_CHECKING:
    from bench.interfaces.recipe import Recipe
    from bench.interfaces.workload import Traits

Evidence = Literal["executed", "reported", "inferred", "none"]
Role = Literal["runtime", "overhead", "anchor", "test"]
EMULATED = ":emulated"


@dataclass(frozen=True, slots=True)
class Target:
    """Where and how a case runs. `precision` may end in `:emulated`: asked for by name."""

    device: str = "cpu"
    precision: str = "fp32"
    threads: int = 1
    preset: str = "stock"
    variant: str = ""
    options: Mapping[str, Any] = field(default_factory=dict)

    @property
    def arithmetic(self) -> str:
        """The precision without `:emulated`."""
        return self.precision.removesuffix(EMULATED)

    @property
    def emulation_allowed(self) -> bool:
        return self.precision.endswith(EMULATED)

    @property
    def device_kind(self) -> str:
        return self.device.split(":", 1)[0]

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Target:
        return cls(**data)


@dataclass(frozen=True, slots=True)
class Support:
    """Whether a device computes a precision: natively, only emulated, or not at all, and why."""

    level: Literal["native", "emulated", "none"]
    why: str = ""


Devices = Mapping[str, Mapping[str, Support]]  # device → precision → support


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What a probe found: the runtime's version, and device → precision → support; `variants` has those for
    which another table holds. `options` are the names of a backend's that only its runtime knows."""

    version: str
    devices: Devices
    detail: Mapping[str, str] = field(default_factory=dict)
    variants: Mapping[str, Devices] = field(default_factory=dict)
    options: tuple[str, ...] = ()

    def of(self, variant: str) -> Devices:
        """The table of a variant."""
        return self.variants.get(variant, self.devices)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Capabilities:
        variants = {name: _devices(table) for name, table in data["variants"].items()}
        options = tuple(data.get("options", ()))
        return cls(data["version"], _devices(data["devices"]), data["detail"], variants, options)


def _devices(data: Mapping[str, Any]) -> Devices:
    return {
        device: {precision: Support(**support) for precision, support in table.items()}
        for device, table in data.items()
    }


@dataclass(frozen=True, slots=True)
class Fact:
    """Something that was read back, with what it rests on.

    `executed`: a profile or execution graph of an untimed session; `reported`: a property that the runtime
    answers; `inferred`: from something else; `none`: an assumption.
    """

    value: str
    evidence: Evidence
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Actual:
    """What really ran.

    `precision` is the arithmetic of the operations that took the most time (`fp32`, `bf16`, `int8`, …),
    `device` as in `Target.device`, `provider` the part of the runtime that ran it, `threads` a number.
    `settings` may hold `kernels_ns`, the sum of the times of all kernels of an inference on a GPU: for what
    is left of its time the GPU waited for the host.
    """

    precision: Fact
    device: Fact
    provider: Fact
    threads: Fact
    emulated: bool = False
    settings: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Actual:
        facts = {name: Fact(**data[name]) for name in ("precision", "device", "provider", "threads")}
        return cls(**facts, emulated=data["emulated"], settings=data["settings"])


@dataclass(frozen=True, slots=True)
class Preset:
    """Settings as data, with where they come from."""

    settings: Mapping[str, Any]
    source: str


@runtime_checkable
class Session(Protocol):
    """A loaded model. A context manager: leaving it frees what it holds."""

    staged_sets: int
    """How many staged inputs may live at once; 1 for a runtime with one fixed input buffer."""

    def stage(self, inputs: Mapping[str, Array], onto: Any = None) -> Any:
        """Host arrays to where the runtime wants them, casts and layout included. What `inputs` lacks is
        taken from `onto`, an earlier staging: state that stays where it is."""

    def run(self, staged: Any) -> Any:
        """One inference; returns when the outputs are complete. They live until the next run."""

    def fetch(self, outputs: Any) -> dict[str, Array]:
        """Outputs as host arrays under the workload's names, dtypes and layout; later runs leave them."""

    def actual(self) -> Actual:
        """What really ran, read back; may load an untimed second session to find out."""

    def __enter__(self) -> Session: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


@runtime_checkable
class Backend(Protocol):
    """An inference runtime. Attributes and `environment` are read without importing the runtime."""

    name: str
    summary: str
    """One sentence for lists."""
    formats: tuple[str, ...]
    """Model files it takes, best first; empty for a backend that needs none."""
    quantised: Mapping[str, tuple[str, ...]]
    """Precision of integers, or of floats where the file itself is of that type → the model files that it
    takes for it, best first."""
    install: str
    """The command that gets it."""
    runtime: tuple[str, ...]
    """Modules that hold the runtime: the worker imports them, timed, before the model is loaded."""
    variants: Mapping[str, str]
    """Variant → one sentence; the first is meant where none is named, and is written ''."""
    presets: Mapping[str, Preset]
    revision: int
    """Raised whenever `build` would make other files of the same model."""
    role: Role
    """`runtime` is compared and ranked; the others serve the harness."""

    def environment(self, target: Target) -> Mapping[str, str]:
        """Environment variables that must be set before the process starts."""

    def probe(self) -> Capabilities:
        """What is here. Only called in a worker. Raises BackendUnavailable with the mend."""

    def takes(self, target: Target) -> tuple[str, ...]:
        """Model files that it takes for a target, best first; () where there is none for its precision."""

    def builds(self, target: Target) -> bool:
        """Whether `build` has slow work to do for a target."""

    def build(self, model: ModelFile, target: Target, io: IOSpec, folder: Path) -> ModelFile:
        """Slow one-time work kept as files in `folder` (engine, compiled library), done in a process of its
        own and cached; `load` then gets what it returns. Raises UnsupportedCase where the runtime cannot hold
        the model, in its own words."""

    def load(self, model: ModelFile | None, target: Target, io: IOSpec) -> Session:
        """Ready to run. Raises UnsupportedCase rather than fall back to another precision or device."""


@runtime_checkable
class Stepping(Protocol):
    """A session that can take the next step of a decoder: state goes from outputs to inputs where it lies,
    and never through NumPy."""

    def advance(self, staged: Any, outputs: Any, inputs: Mapping[str, Array]) -> Any:
        """What the step after `staged` runs with: the state of its `outputs`, and the inputs that are new."""


@runtime_checkable
class Timing(Protocol):
    """A session on a device with a clock of its own (events of a GPU)."""

    def device_ns(self) -> int:
        """From the first of the last run to its end by the device's own clock, in ns: without what the host
        took to start it and to learn of its end, and with whatever the device waited in between."""


@runtime_checkable
class Measuring(Protocol):
    """A backend that can measure what a device can do at most."""

    def ceilings(self, device: str) -> Mapping[str, float]:
        """`copy_bytes_per_s` (read and written), and `NAME_flops_per_s` for each precision (`runs_as` of
        `bench.interfaces.precision`) whose products of random matrices the device makes. {} where it
        cannot."""


@runtime_checkable
class Quantising(Protocol):
    """A backend that quantises while it loads or builds, from a file of floats."""

    def recipe(self, target: Target, traits: Traits) -> Recipe:
        """What of a model it rounds then."""


NO_OPTIONS: Options = {}


class BaseSession:
    """Defaults of a session: nothing to free, any number of staged inputs."""

    staged_sets = 1024

    def close(self) -> None:
        """Frees what the session holds."""

    def __enter__(self) -> Any:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class BaseBackend:
    """Defaults of a backend: one variant, no build, OpenMP held to the target's threads."""

    name: str
    summary: str
    install: str
    formats: tuple[str, ...] = ()
    quantised: Mapping[str, tuple[str, ...]] = {}
    variants: Mapping[str, str] = {"": "as it comes"}
    presets: Mapping[str, Preset] = {"stock": Preset({}, "the runtime's own README")}
    options: Options | None = NO_OPTIONS
    """Its own options; None where the runtime alone knows them, and `load` refuses others."""
    revision: int = 1
    role: Role = "runtime"
    runtime: tuple[str, ...] = ()
    no_telemetry: Mapping[str, str] = {}
    """Variables that keep a runtime from reporting its use over the network: that is a thread of its own
    beside the one that is timed, and nobody's business."""

    def environment(self, target: Target) -> Mapping[str, str]:
        return {"OMP_NUM_THREADS": str(target.threads), **self.no_telemetry}

    def takes(self, target: Target) -> tuple[str, ...]:
        whole = scheme(target.arithmetic) is not None
        return self.quantised.get(word(target.arithmetic), () if whole else self.formats)

    def builds(self, target: Target) -> bool:
        return type(self).build is not BaseBackend.build

    def build(self, model: ModelFile, target: Target, io: IOSpec, folder: Path) -> ModelFile:
        return model
