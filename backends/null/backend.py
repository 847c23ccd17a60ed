"""Does nothing: what it is measured to take is the harness's own overhead."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from backends.support import targets
from bench.interfaces.backend import (
    Actual,
    BaseBackend,
    BaseSession,
    Capabilities,
    Fact,
    Preset,
    Role,
    Support,
    Target,
)
from bench.interfaces.tensors import Array, IOSpec, ModelFile

DEVICES = {"cpu": {"fp32": Support("native", "it computes nothing")}}


class NullSession(BaseSession):
    def __init__(self, target: Target) -> None:
        self._target = target

    def stage(self, inputs: Mapping[str, Array], onto: Any = None) -> None:
        return None

    def run(self, staged: None) -> None:
        return None

    def fetch(self, outputs: None) -> dict[str, Array]:
        return {}

    def actual(self) -> Actual:
        assumed = "nothing runs"
        return Actual(
            precision=Fact(self._target.arithmetic, "none", assumed),
            device=Fact(self._target.device, "none", assumed),
            provider=Fact("null", "none", assumed),
            threads=Fact(str(self._target.threads), "none", assumed),
        )


class NullBackend(BaseBackend):
    name = "null"
    summary = "Does nothing: the harness's own overhead."
    install = "pip install bakeoff"
    role: Role = "overhead"
    presets: Mapping[str, Preset] = {"stock": Preset({}, "there is nothing to set")}

    def probe(self) -> Capabilities:
        return Capabilities(np.__version__, DEVICES)

    def load(self, model: ModelFile | None, target: Target, io: IOSpec) -> NullSession:
        targets.require(self, target, DEVICES)
        targets.settings(self, target)
        return NullSession(target)


BACKEND = NullBackend()
