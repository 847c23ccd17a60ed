"""A case: workload × backend × target × scenario, and its identity. Standard library alone."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from bench.interfaces.axes import Axis, more
from bench.interfaces.backend import Role, Target
from bench.interfaces.plain import as_dict

HARNESS = "harness"  # the pseudo workload of the null backend and the anchor: no model


def settings(options: Mapping[str, Any]) -> list[str]:
    """Options as people read them: `extra=5`, `mode=fast`, and `"5"` for a text that reads as a number."""
    return [f"{key}={_said(value)}" for key, value in options.items()]


def _said(value: object) -> str:
    if not isinstance(value, str):
        return json.dumps(value, ensure_ascii=False)
    try:
        json.loads(value)
    except ValueError:
        return value
    return json.dumps(value)


@dataclass(frozen=True, slots=True)
class Case:
    """What is measured.

    Attributes:
        workload: registry name; `harness` for the null backend and the anchor.
        content: hash of the workload's definition and weights.
        batch: samples per inference.
        sequence: tokens per sample, None where the workload has no such axis.
        context: tokens that a decoder's step has before it, None where the workload has no such axis.
        backend: registry name without variant and version (those are in `target` and `version`).
        target: device, precision, threads, preset, variant, options.
        version: of the runtime, only if the suite names one.
        weights: path of a local checkpoint, empty for seeded weights; not part of the id (content is).
        role: the backend's role.
        rotate: copies of the timed input that take turns; 0 for one, always the same.
        axes: values of the axes that have no field here (`bench.interfaces.axes`).
        twin: tells apart cases that are otherwise alike, for a comparison of something with itself.
    """

    workload: str
    content: str
    batch: int
    sequence: int | None
    backend: str
    target: Target
    version: str | None = None
    scenario: str = "single-stream"
    weights: str = ""
    role: Role = "runtime"
    twin: str = ""
    context: int | None = None
    rotate: int = 0
    axes: Mapping[str, Any] = field(default_factory=dict)

    @property
    def id(self) -> str:
        """Twelve hexadecimal digits of the SHA-256 over the facts that make the case."""
        facts = as_dict(self)
        del facts["weights"], facts["role"]
        for later in ("twin", "context", "rotate", "axes"):
            if not facts[later]:
                del facts[later]
        canonical = json.dumps(facts, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(canonical.encode()).hexdigest()[:12]

    @property
    def shape(self) -> str:
        """`b1`, `b1 s128`, or `b1 c128` for a step at a context of 128 tokens."""
        parts = [f"b{self.batch}", f"s{self.sequence}" if self.sequence else ""]
        return " ".join(filter(None, [*parts, f"c{self.context}" if self.context else ""]))

    @property
    def length(self) -> int | None:
        """The sequence or the context: what `Workload.io` takes."""
        return self.sequence or self.context

    @property
    def group(self) -> str:
        """Cases of one group are compared with one another: one workload, shape and scenario."""
        turns = f" rotating {self.rotate}" if self.rotate else ""
        apart = "".join(f" {axis.flag} {self.axes[axis.flag]}" for axis in self._more("case"))
        return f"{self.workload} {self.shape} {self.scenario}{turns}{apart} {self.content}"

    @property
    def weights_name(self) -> str:
        """`weights 1a2b3c4d`: a checkpoint by what it holds and not by where it lies; '' for seeded ones."""
        return f"weights {self.content[:8]}" if self.weights else ""

    def words(self, *facts: str) -> list[str]:
        """What people read of some facts of `WORDS`, in that order; nothing of what is as usual."""
        return [word for fact in facts for word in WORDS[fact](self) if word]

    @property
    def title(self) -> str:
        """What the cases of a group share: `resnet50 b1`, `minilm-l6 b1 s128 · weights 1a2b3c4d`."""
        return " · ".join(self.words("shape", "weights", "load"))

    @property
    def _load(self) -> tuple[str, ...]:
        """How inputs and requests come, where that is not the usual way."""
        return (
            self.scenario if self.scenario != "single-stream" else "",
            f"{self.rotate} inputs in turns" if self.rotate else "",
            *(f"{axis.flag} {self.axes[axis.flag]}" for axis in self._more("case")),
        )

    def _more(self, of: str) -> list[Axis]:
        """The axes without a field of their own that were asked for."""
        return [axis for axis in more() if axis.of == of and axis.flag in self.axes]

    @property
    def backend_spec(self) -> str:
        """`NAME[:VARIANT][==VERSION]`, as it is typed."""
        variant = f":{self.target.variant}" if self.target.variant else ""
        version = f"=={self.version}" if self.version else ""
        return f"{self.backend}{variant}{version}"

    @property
    def label(self) -> str:
        """One line for people: `resnet50 b1 · onnxruntime · fp32 · cpu · 2 threads`."""
        return " · ".join(self.words(*WORDS))

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Case:
        return cls(**{**data, "target": Target.from_dict(data["target"])})


def _threads(case: Case) -> str:
    number = case.target.threads
    return f"{number} thread" if number == 1 else f"{number} threads"


WORDS: Mapping[str, Callable[[Case], Iterable[str]]] = {
    "shape": lambda case: [f"{case.workload} {case.shape}"],
    "weights": lambda case: [case.weights_name],
    "backend": lambda case: [case.backend_spec],
    "precision": lambda case: [case.target.precision],
    "device": lambda case: [case.target.device],
    "threads": lambda case: [_threads(case)],
    "preset": lambda case: [case.target.preset] if case.target.preset != "stock" else [],
    "options": lambda case: settings(case.target.options),
    "axes": lambda case: [f"{axis.flag} {case.axes[axis.flag]}" for axis in case._more("target")],
    "load": lambda case: case._load,
    "twin": lambda case: [f"twin {case.twin}"] if case.twin else [],
}
"""How each fact of a case reads, in the order of its label; every name of a case is made of these."""
