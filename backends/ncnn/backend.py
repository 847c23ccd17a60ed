"""ncnn on the CPU.

ncnn has no batch axis: a batch runs sample by sample within `run`, as its users do.
Over 150 lines: each refusal says why, and each option of fewer bits is named, held off and read back.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from backends.support import faults, targets
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
from bench.interfaces.options import Option, Options
from bench.interfaces.tensors import Array, IOSpec, ModelFile
from bench.plugins import runtimes

if TYPE_CHECKING:
    import ncnn

STORAGE = "its options of that type are of storage: what a layer then computes in cannot be read back"
NO_TOOLS = "ncnn2table and ncnn2int8, which make such files, are in none of its packages"
NO_SCHEME = "it has no such scheme"
DEVICES = {
    "cpu": {
        "fp32": Support("native"),
        **dict.fromkeys(("bf16", "fp16"), Support("none", STORAGE)),
        **dict.fromkeys(("int8:qdq", "int8:native"), Support("none", NO_TOOLS)),
        **dict.fromkeys(("int8-dynamic", "int8-weight", "int4-weight"), Support("none", NO_SCHEME)),
    }
}
# Off: on, they would store or compute in fewer bits wherever the CPU can.
REDUCED = (
    *("use_fp16_packed", "use_fp16_storage", "use_fp16_arithmetic", "use_bf16_packed", "use_bf16_storage"),
    *("use_int8_inference", "use_int8_packed", "use_int8_storage", "use_int8_arithmetic"),
)
OPTIONS = {
    "lightmode": Option("memory of activations is used again"),
    "use_packing_layout": Option("channels in packs as wide as the CPU's registers"),
    "use_sgemm_convolution": Option("convolutions as matrix products"),
    "use_winograd_convolution": Option("convolutions of small windows by Winograd's transform"),
}
MAGIC = b"7767517"
NARROW = {"int64": np.int32}

Samples = list[dict[str, Any]]


class NcnnSession(BaseSession):
    """One net; staged inputs and outputs are a list of ncnn's matrices by name, sample by sample."""

    def __init__(self, net: ncnn.Net, io: IOSpec, settings: Mapping[str, Any]) -> None:
        import ncnn

        self._net, self._settings, self._matrix = net, settings, ncnn.Mat
        self._inputs = tuple(
            (t.name, f"in{i}", NARROW.get(t.dtype, t.dtype)) for i, t in enumerate(io.inputs)
        )
        places = {t.name: f"out{i}" for i, t in enumerate(io.outputs)}
        self._outputs = tuple((t, places[t.name]) for t in io.fetched)

    def stage(self, inputs: Mapping[str, Array], onto: Samples | None = None) -> Samples:
        """Ids go from int64 to ncnn's int32."""
        arrays = {
            blob: np.ascontiguousarray(inputs[name], dtype)
            for name, blob, dtype in self._inputs
            if name in inputs
        }
        count = len(next(iter(arrays.values()))) if arrays else 0
        fresh = [
            {blob: self._matrix(array[i]).clone() for blob, array in arrays.items()} for i in range(count)
        ]
        return fresh if onto is None else [{**old, **new} for old, new in zip(onto, fresh, strict=True)]

    def run(self, staged: Samples) -> Samples:
        return [self._one(sample) for sample in staged]

    def _one(self, sample: Mapping[str, Any]) -> dict[str, Any]:
        extractor = self._net.create_extractor()
        for blob, matrix in sample.items():
            extractor.input(blob, matrix)
        found = {}
        for tensor, blob in self._outputs:
            code, found[tensor.name] = extractor.extract(blob)
            if code:
                raise RuntimeError(f"ncnn answers {code} for {blob}: a layer before it could not run")
        return found

    def fetch(self, outputs: Samples) -> dict[str, Array]:
        return {
            tensor.name: np.stack([np.array(one[tensor.name]) for one in outputs]).reshape(tensor.shape)
            for tensor, _ in self._outputs
        }

    def close(self) -> None:
        self._net.clear()

    def actual(self) -> Actual:
        """From the net's options: ncnn's Python has no profile."""
        options = self._net.opt
        on = [name for name in REDUCED if getattr(options, name)]
        kinds = Counter(layer.type for layer in self._net.layers())
        return Actual(
            precision=Fact(
                "none" if on else "fp32",
                "reported",
                f"options of the net: {', '.join(on) if on else 'fp16, bf16 and int8 are off'}",
            ),
            device=Fact("cpu", "reported", f"use_vulkan_compute={options.use_vulkan_compute}"),
            provider=Fact("ncnn's CPU layers", "reported", "a batch runs sample by sample"),
            threads=Fact(str(options.num_threads), "reported", "num_threads of the net's options"),
            settings={"layers": dict(kinds.most_common()), **self._settings},
        )


class NcnnBackend(BaseBackend):
    name = "ncnn"
    summary = "ncnn, made for phones, on the CPU."
    formats: tuple[str, ...] = ("ncnn",)
    install = "bakeoff setup ncnn"
    runtime: tuple[str, ...] = ("ncnn",)
    options: Options | None = OPTIONS
    presets: Mapping[str, Preset] = {
        "stock": Preset({}, "ncnn's README for Python: a Net with its defaults, in fp32 where that is asked"),
    }

    def probe(self) -> Capabilities:
        runtimes.import_runtime(self)
        import ncnn

        return Capabilities(ncnn.__version__, DEVICES)

    def load(self, model: ModelFile | None, target: Target, io: IOSpec) -> NcnnSession:
        runtimes.import_runtime(self)
        targets.require(self, target, DEVICES)
        settings = targets.settings(self, target)
        model = targets.given(self, model)
        if io.carried:
            raise UnsupportedCase(
                "ncnn has no batch axis, and this backend carries no state", hint="another backend"
            )
        return NcnnSession(_open(model, target, settings), io, settings)


def _open(model: ModelFile, target: Target, settings: Mapping[str, Any]) -> ncnn.Net:
    """The net with its weights. Raises ModelFileError, UnsupportedCase."""
    import ncnn

    net = ncnn.Net()
    chosen = {"num_threads": target.threads, **dict.fromkeys(REDUCED, False), **settings}
    for name, value in chosen.items():
        setattr(net.opt, name, value)
    if not model.path.is_file() or not model.path.read_bytes().startswith(MAGIC):
        raise faults.unfit(model, "it does not begin as ncnn's files do")
    if code := net.load_param(str(model.path)):
        raise UnsupportedCase(f"ncnn's load_param answers {code}", hint="leave this workload out")
    if code := net.load_model(str(model.path.with_suffix(".bin"))):
        raise faults.broken(model, ValueError(f"load_model answers {code}"))
    return net


BACKEND = NcnnBackend()
