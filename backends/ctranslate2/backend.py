"""CTranslate2 on the CPU: encoders, and the prompt of a decoder.

It returns the states of all tokens, or the logits of all of them. What the workload makes of those, the mean
of the states in unit length or the last token's logits, is NumPy's work within `run`. A decoder's cache stays
inside: there is no step with a cache of one's own.

Over 150 lines: what ran is told by the library that it calls, in a process of its own.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from backends.ctranslate2 import model as ctranslate2_model
from backends.ctranslate2 import profile
from backends.support import faults, profiles, targets
from bench.interfaces.backend import (
    Actual,
    BaseBackend,
    BaseSession,
    Capabilities,
    Fact,
    Preset,
    Support,
    Target,
)
from bench.interfaces.errors import UnsupportedCase
from bench.interfaces.options import Option
from bench.interfaces.precision import runs_as
from bench.interfaces.tensors import Array, IOSpec, ModelFile
from bench.plugins import runtimes

MKL = "use_mkl"
VARIABLE = "CT2_USE_MKL"
COMPUTE = {"fp32": "float32", "bf16": "bfloat16", "fp16": "float16", "int8-dynamic": "int8_float32"}
DYNAMIC = "it quantises activations at each inference: int8-dynamic"
NEVER = {
    "int8:qdq": DYNAMIC,
    "int8:native": DYNAMIC,
    "int8-weight": DYNAMIC,
    "int4-weight": "its 4-bit weights (AWQ) are for GPUs",
}


@dataclass(frozen=True, slots=True)
class Staged:
    """`ids` int32 [batch, length], `lengths` int32 [batch], and the runtime's views of them."""

    ids: Array
    lengths: Array
    views: tuple[Any, Any]


class CTranslate2Session(BaseSession):
    """An `Encoder` or a `Generator`."""

    def __init__(self, model: ModelFile, target: Target, io: IOSpec, settings: Mapping[str, Any]) -> None:
        self._path, self._target, self._io, self._settings = model.path, target, io, settings
        self._compute = COMPUTE[target.arithmetic]
        self._model = ctranslate2_model.opened(model.path, self._compute, target.threads)
        (self._output,) = io.fetched
        self._ids, *masks = (spec.name for spec in io.inputs)
        self._mask = masks[0] if masks else None

    def stage(self, inputs: Mapping[str, Array], onto: Staged | None = None) -> Staged:
        """Ids in int32; of a mask the lengths, since it takes no other. Raises UnsupportedCase for a mask
        that is not ones before zeros."""
        ids = np.ascontiguousarray(inputs[self._ids], np.int32)
        lengths = np.full(len(ids), ids.shape[1], np.int32)
        if self._mask:
            mask = inputs[self._mask]
            lengths = mask.sum(axis=1, dtype=np.int32)
            if not np.array_equal(mask, np.arange(mask.shape[1]) < lengths[:, None]):
                raise UnsupportedCase(
                    "CTranslate2 takes the length of each sequence, and this mask has holes",
                    hint="leave this backend out for this workload",
                )
        return Staged(ids, lengths, ctranslate2_model.feed(ids, lengths))

    def run(self, staged: Staged) -> Array:
        found = self._model.forward_batch(*staged.views)
        if self._mask is None:
            return ctranslate2_model.array(found)[:, -1]
        return _pooled(ctranslate2_model.array(found.last_hidden_state), staged.lengths)

    def fetch(self, outputs: Array) -> dict[str, Array]:
        return {self._output.name: np.array(outputs, self._output.dtype)}

    def close(self) -> None:
        self._model.unload_model()
        del self._model

    def actual(self) -> Actual:
        """From what its library for products says in an untimed process."""
        batch, length = self._io.inputs[0].shape
        said = profile.executed(self._path, self._compute, self._target.threads, (batch, length))
        precision, shares = profiles.weigh(said.products, f"{said.library or 'its library'}'s verbose mode")
        kinds = Counter(product.kind for product in said.products)
        if precision.evidence == "none":  # a library that says nothing
            told = next(word for word, kind in COMPUTE.items() if kind == self._model.compute_type)
            precision = Fact(runs_as(told), "reported", f"compute_type={self._model.compute_type}")
        threads = said.threads or self._target.threads
        return Actual(
            precision=precision,
            device=Fact(self._model.device, "reported", "of the model"),
            provider=Fact(
                said.library or "its own choice",
                "executed" if said.library else "none",
                ", ".join(f"{count} {kind}" for kind, count in kinds.most_common()),
            ),
            threads=Fact(
                str(threads), "reported" if said.threads else "none", "in its library's verbose mode"
            ),
            settings={**shares, "compute_type": self._model.compute_type, **self._settings},
        )


class CTranslate2Backend(BaseBackend):
    name = "ctranslate2"
    summary = "CTranslate2, a runtime for Transformers, on the CPU."
    formats: tuple[str, ...] = ("ctranslate2",)
    quantised: Mapping[str, tuple[str, ...]] = {"int8-dynamic": ("ctranslate2-dynamic",)}
    install = "bakeoff setup ctranslate2"
    runtime: tuple[str, ...] = ("ctranslate2",)
    options: Mapping[str, Option] = {MKL: Option("MKL on every maker's CPUs")}
    presets: Mapping[str, Preset] = {
        "stock": Preset({}, "CTranslate2's README: Encoder or Generator on a folder, device='cpu'"),
        "expert": Preset(
            {MKL: True},
            "CTranslate2 docs, 'Environment variables', CT2_USE_MKL: MKL on every maker's CPUs",
        ),
    }

    def environment(self, target: Target) -> Mapping[str, str]:
        preset = self.presets.get(target.preset)
        chosen = {**(preset.settings if preset else {}), **target.options}
        switch = {VARIABLE: str(int(bool(chosen[MKL])))} if MKL in chosen else {}
        return {**super().environment(target), **switch}

    def probe(self) -> Capabilities:
        runtimes.import_runtime(self)
        import ctranslate2

        return Capabilities(ctranslate2.__version__, _devices())

    def load(self, model: ModelFile | None, target: Target, io: IOSpec) -> CTranslate2Session:
        runtimes.import_runtime(self)
        targets.require(self, target, _devices())
        settings = targets.settings(self, target)
        model = targets.given(self, model)
        if io.carried:
            raise UnsupportedCase(
                "ctranslate2's Generator keeps the cache itself, and takes none", hint="another backend"
            )
        try:
            return CTranslate2Session(model, target, io, settings)
        except (OSError, ValueError, RuntimeError) as error:
            raise faults.broken(model, error) from error


def _devices() -> dict[str, dict[str, Support]]:
    import ctranslate2

    types = ctranslate2.get_supported_compute_types("cpu")
    listed = f"it computes {', '.join(sorted(types))} on this CPU"
    table = {
        precision: Support("native") if compute in types else Support("none", listed)
        for precision, compute in COMPUTE.items()
    }
    return {"cpu": {**table, **{precision: Support("none", why) for precision, why in NEVER.items()}}}


def _pooled(states: Array, lengths: Array) -> Array:
    """float32 [batch, hidden]: the mean of a sequence's tokens in unit length, which is that of their sum."""
    used = np.arange(states.shape[1]) < lengths[:, None]
    total = np.einsum("bth,bt->bh", states, used.astype(states.dtype))
    unit: Array = total / np.linalg.norm(total, axis=1, keepdims=True)
    return unit


BACKEND = CTranslate2Backend()
