"""Sessions of PyTorch: inputs as tensors, outputs as arrays, and what really ran.

Over 150 lines: eager's proof and the compilers' are read from different sources.
"""

from __future__ import annotations

import json
import os
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from backends.support import arrays
from backends.support import onednn as support_onednn
from backends.support import profiles as support_profiles
from backends.support.profiles import PRECISIONS, Operation
from bench.interfaces.backend import Actual, BaseSession, Evidence, Fact, Target
from bench.interfaces.tensors import Array, IOSpec

if TYPE_CHECKING:
    import torch

DTYPES = {"fp32": "float32", "bf16": "bfloat16", "fp16": "float16", "fp8-dynamic": "bfloat16"}
# Operations that multiply matrices; others are arithmetic as well, and have no say where these are.
PRODUCTS = (
    "addmm",
    "bmm",
    "mm",
    "matmul",
    "linear",
    "convolution",
    "conv2d",
    "_convolution",
    "mkldnn_convolution",
    "scaled_dot_product_attention",
    "_scaled_dot_product_flash_attention_for_cpu",
    "_int_mm",
    "_scaled_mm",
)
# As the profiler names those of compilers, besides `aten::` and the names above.
FUSED_PRODUCTS = (
    *("mkldnn::_convolution_pointwise", "mkldnn::_linear_pointwise", "mkl::_mkl_linear"),
    *("onednn::qconv_pointwise", "onednn::qconv2d_pointwise", "onednn::qlinear_pointwise"),
)
LIBRARIES = ("aten::", "mkldnn::", "mkl::", "onednn::", "quantized::", "quantized_decomposed::")
PROFILED_TYPES = {
    "unsigned char": "int8",
    "signed char": "int8",
    "c10::BFloat16": "bf16",
    "c10::Half": "fp16",
    "c10::Float8_e4m3fn": "fp8",
}
STRENGTH: tuple[Evidence, ...] = ("none", "inferred", "reported", "executed")
Tensors = tuple["torch.Tensor", ...]
Run = Callable[..., Tensors]


@dataclass(frozen=True, slots=True)
class Seen:
    """Operations of several runs and where they were seen, the device, what part of PyTorch ran them, the
    strongest that may be said of their precision, and what else was seen."""

    runs: list[list[Operation]]
    source: str
    device: Fact
    provider: Fact
    evidence: Evidence = "executed"
    settings: Mapping[str, Any] = field(default_factory=dict)


class TorchSession(BaseSession):
    """Inputs are staged as tensors in the target's precision; in fp32 on a CPU they share host memory."""

    def _watched(self, run: Callable[[], Any]) -> Seen:
        raise NotImplementedError

    def __init__(
        self, forward: Run, target: Target, io: IOSpec, settings: Mapping[str, Any], emulated: bool
    ) -> None:
        import torch

        self._target, self._io, self._settings, self._emulated = target, io, settings, emulated
        self._device = torch.device(target.device)
        self._stage = tuple(
            (t.name, mover(self._device, target, settings, t.dtype, len(t.shape))) for t in io.inputs
        )
        places = {t.name: i for i, t in enumerate(io.outputs)}
        self._fetch = tuple((t.name, places[t.name], getattr(torch, t.dtype)) for t in io.fetched)
        self._carried = {into: places[out] for out, into in io.state}
        self._forward = forward
        self._mode = torch.inference_mode()

    def stage(self, inputs: Mapping[str, Array], onto: Tensors | None = None) -> Tensors:
        if onto is None:
            return tuple([move(inputs[name]) for name, move in self._stage])
        kept = zip(self._stage, onto, strict=True)
        return tuple([move(inputs[name]) if name in inputs else old for (name, move), old in kept])

    def run(self, staged: Tensors) -> Tensors:
        with self._mode:
            return self._forward(*staged)

    def fetch(self, outputs: Tensors) -> dict[str, Array]:
        return {name: outputs[i].to("cpu", dtype).numpy() for name, i, dtype in self._fetch}

    def close(self) -> None:
        del self._forward

    def actual(self) -> Actual:
        """From untimed runs."""
        import torch

        staged = self.stage(arrays.untimed_inputs(self._io))
        self.run(staged)
        seen = self._watched(lambda: self.run(staged))
        precision, shares = support_profiles.weigh(support_profiles.quickest(seen.runs), seen.source)
        onednn = torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]
        return Actual(
            precision=replace(precision, evidence=min(precision.evidence, seen.evidence, key=STRENGTH.index)),
            device=seen.device,
            provider=seen.provider,
            threads=Fact(str(torch.get_num_threads()), "reported", "torch.get_num_threads"),
            emulated=self._emulated,
            settings={
                **shares,
                **seen.settings,
                "interop_threads": torch.get_num_interop_threads(),
                "onednn": onednn and torch.backends.mkldnn.enabled,
                "cpu_capability": torch.backends.cpu.get_cpu_capability(),
                "allow_tf32": torch.backends.cudnn.allow_tf32 or torch.backends.cuda.matmul.allow_tf32,
                **self._settings,
            },
        )


class EagerSession(TorchSession):
    """Python over ATen; takes any shape, so it can also take the next step of a decoder."""

    def advance(self, staged: Tensors, outputs: Tensors, inputs: Mapping[str, Array]) -> Tensors:
        carried = zip(self._stage, staged, strict=True)
        onto = tuple([outputs[self._carried[n]] if n in self._carried else old for (n, _), old in carried])
        return self.stage(inputs, onto)

    def _watched(self, run: Callable[[], Any]) -> Seen:
        watched = [_watch(run) for _ in range(support_profiles.PROFILED)]
        operations, devices = watched[0]
        return Seen(
            [found for found, _ in watched],
            "dispatched operations of an untimed run",
            Fact(
                ",".join(sorted(devices)), "executed", "devices of the tensors that the operations computed"
            ),
            Fact("eager", "executed", f"{len(operations)} ATen operations"),
        )


class CompiledSession(TorchSession):
    """One that a compiler made for the shapes of the case: no next step, whose shapes are others."""

    def _watched(self, run: Callable[[], Any]) -> Seen:
        # From run to run a compiler may fuse anew: the quickest run as a whole is taken.
        profiles = [_profiled(run) for _ in range(support_profiles.PROFILED)]
        best, source = min(profiles, key=_spent), "PyTorch's profile of an untimed run"
        if not any(operation.product for operation in best):
            best, source = _said(run) or best, "what oneDNN prints of an untimed run"
        names = ", ".join(sorted({operation.kind for operation in best if operation.product}))
        return Seen(
            [best],
            source,
            Fact("cpu", "executed", "the profile has operations of the CPU alone"),
            Fact(self._target.variant, "executed", f"products by {names}" if names else source),
        )


def mover(
    device: torch.device, target: Target, settings: Mapping[str, Any], dtype: str, rank: int
) -> Callable[[Array], torch.Tensor]:
    """How one input gets to the device; integers keep their dtype. Compiled code reads memory as its example
    lay, whatever a tensor's strides say."""
    import torch

    to_dtype = getattr(torch, DTYPES.get(target.arithmetic, dtype) if dtype == "float32" else dtype)
    if settings.get("channels_last") and rank == 4:
        # Not by `to`, which takes gaps between elements for the layout that was asked for.
        layout = torch.channels_last
        return lambda array: torch.from_numpy(array).to(device, to_dtype).contiguous(memory_format=layout)
    if target.variant:
        return lambda array: torch.from_numpy(array).to(device, to_dtype).contiguous()
    if device.type == "cpu" and str(to_dtype) == f"torch.{dtype}":
        return torch.from_numpy
    return lambda array: torch.from_numpy(array).to(device, to_dtype)


def _watch(run: Callable[[], Any]) -> tuple[list[Operation], set[str]]:
    """Every ATen operation of a run, and the devices that computed."""
    import torch
    from torch.utils._python_dispatch import TorchDispatchMode

    operations: list[Operation] = []
    devices: set[str] = set()

    class Watch(TorchDispatchMode):  # type: ignore[no-untyped-call]
        def __torch_dispatch__(
            self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
        ) -> Any:
            start = time.perf_counter_ns()
            output = func(*args, **(kwargs or {}))
            spent = time.perf_counter_ns() - start
            tensors = [value for value in (*args, output) if isinstance(value, torch.Tensor)]
            precision = ""
            for tensor in tensors:
                precision = precision or PRECISIONS.get(str(tensor.dtype).removeprefix("torch."), "")
            if tensors:
                devices.add(str(tensors[-1].device))
                name = str(func).removeprefix("aten.")
                quantised = name.startswith("quantized.linear")  # its arguments are what it quantises
                product = quantised or name.split(".")[0] in PRODUCTS
                operations.append(Operation(name, "int8" if quantised else precision, spent, product))
            return output

    with Watch():  # type: ignore[no-untyped-call]
        run()
    return operations, devices


def _profiled(run: Callable[[], Any]) -> list[Operation]:
    """The operations of a run that no other one called."""
    from torch.profiler import ProfilerActivity, profile

    with profile(activities=[ProfilerActivity.CPU], record_shapes=True) as profiler:
        run()
    with tempfile.TemporaryDirectory(prefix="bakeoff-torch-") as folder:
        path = Path(folder) / "trace.json"
        profiler.export_chrome_trace(str(path))
        events = json.loads(path.read_text())["traceEvents"]
    ours = (event for event in events if event.get("cat") == "cpu_op")
    found = [event for event in ours if event["name"].startswith(LIBRARIES)]
    outermost, end = [], 0.0
    for event in sorted(found, key=lambda one: (float(one["ts"]), -float(one["dur"]))):
        if float(event["ts"]) >= end:
            outermost.append(_operation(event))
            end = float(event["ts"]) + float(event["dur"])
    return outermost


def _spent(operations: list[Operation]) -> float:
    return sum(operation.ns for operation in operations)


def _said(run: Callable[[], Any]) -> list[Operation]:
    """The products of oneDNN in the quickest of several runs. What is compiled ahead of time calls it past
    PyTorch's dispatcher, and no profile sees that; oneDNN itself prints what it does, if it is asked."""
    from torch.backends import mkldnn

    runs = []
    for _ in range(support_profiles.PROFILED):
        with tempfile.TemporaryFile() as file:
            kept = os.dup(1)
            os.dup2(file.fileno(), 1)
            try:
                with mkldnn.verbose(mkldnn.VERBOSE_ON):  # type: ignore[no-untyped-call]
                    run()
            finally:
                os.dup2(kept, 1)
                os.close(kept)
            file.seek(0)
            lines = file.read().decode(errors="replace").splitlines()
        runs.append([operation for line in lines if (operation := support_onednn.product(line))])
    return min(runs, key=_spent)


def _operation(event: Mapping[str, Any]) -> Operation:
    name, types = event["name"], event.get("args", {}).get("Input type", ())
    precision = next((p for t in types if (p := PROFILED_TYPES.get(t) or PRECISIONS.get(t))), "")
    product = name in FUSED_PRODUCTS or name.removeprefix("aten::") in PRODUCTS
    return Operation(name, precision, float(event["dur"]) * 1e3, product)
