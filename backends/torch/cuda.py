"""Sessions of PyTorch on a CUDA GPU: `run` waits for the stream, events give the device's own time, and the
kernels that ran tell in what they computed.

Which arithmetic a kernel of fp32 operands uses is in its name alone: libraries choose TF32 where they may.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from backends.support import profiles
from backends.support.cuda_kernels import UNNAMED, fullness, multiplies, named, short
from backends.support.profiles import PRECISIONS, Operation
from backends.torch.session import (
    PRODUCTS,
    PROFILED_TYPES,
    CompiledSession,
    EagerSession,
    Run,
    Seen,
    Tensors,
    TorchSession,
)
from bench.interfaces.backend import Fact, Target
from bench.interfaces.tensors import IOSpec

ON_CUDA = (
    *("cudnn_convolution", "baddbmm", "_efficient_attention_forward", "_flash_attention_forward"),
    *("_cudnn_attention_forward", "_scaled_dot_product_efficient_attention"),
)


class OnCuda(TorchSession):
    """What eager and compiled sessions on a GPU share."""

    def __init__(
        self, forward: Run, target: Target, io: IOSpec, settings: Mapping[str, Any], emulated: bool
    ) -> None:
        import torch

        super().__init__(forward, target, io, settings, emulated)
        torch.cuda.set_device(self._device)
        self._stream = torch.cuda.current_stream(self._device)
        self._begin = torch.cuda.Event(enable_timing=True)  # type: ignore[no-untyped-call]
        self._end = torch.cuda.Event(enable_timing=True)  # type: ignore[no-untyped-call]

    def run(self, staged: Tensors) -> Tensors:
        self._begin.record(self._stream)
        with self._mode:
            outputs: Tensors = self._forward(*staged)
        self._end.record(self._stream)
        self._stream.synchronize()
        return outputs

    def device_ns(self) -> int:
        """Time between the events around the last run, in ns (the events resolve about 500 ns)."""
        return round(float(self._begin.elapsed_time(self._end)) * 1e6)

    def _watched(self, run: Callable[[], Any]) -> Seen:
        runs = [kernels(_trace(run), self._target.arithmetic) for _ in range(profiles.PROFILED)]
        found, unnamed, devices = max(runs, key=lambda one: fullness([kernel.ns for kernel in one[0]]))
        names = dict.fromkeys(operation.kind for operation in found if operation.product)
        told = f"{unnamed:.0%} of the products' time in kernels whose names tell no arithmetic"
        where = ",".join(f"cuda:{number}" for number in sorted(devices)) or "cpu"
        return Seen(
            [found],
            "PyTorch's profile of the GPU's kernels" + (f", {told}" if unnamed else ""),
            Fact(where, "executed", f"{len(found)} kernels"),
            Fact(
                self._target.variant or "eager",
                "executed",
                f"products by {', '.join([*names][:3]) or 'none'}",
            ),
            evidence="reported" if unnamed > UNNAMED else "executed",
            settings={"kernels_ns": round(sum(operation.ns for operation in found))},
        )


class CudaSession(OnCuda, EagerSession):
    """Eager on a GPU; takes the next step of a decoder as on a CPU."""


class CudaCompiledSession(OnCuda, CompiledSession):
    """What a compiler made, on a GPU."""


def kernels(trace: Mapping[str, Any], asked: str) -> tuple[list[Operation], float, set[int]]:
    """The kernels of a profile, by the operations that started them.

    Args:
        trace: a Chrome trace of PyTorch's profiler with the shapes of inputs recorded.
        asked: the precision that was set: what a product is taken for of which nothing else tells it.

    Returns:
        operations, the share of the products' time in kernels whose names tell no arithmetic, and the GPUs.
    """
    events = trace["traceEvents"]
    started_by = {event["args"]["External id"]: event for event in events if _is_operation(event)}
    found, unnamed, devices = [], 0.0, set()
    for event in events:
        if event.get("cat") != "kernel":
            continue
        args, name, ns = event["args"], event["name"], float(event["dur"]) * 1e3
        devices.add(int(args.get("device", 0)))
        operation = started_by.get(args.get("External id"), {})
        product = _multiplies(name, operation)
        said, typed = named(name) if product else "", _typed(operation)
        if product and not said and typed in ("fp32", ""):
            unnamed += ns
            typed = asked
        found.append(Operation(short(name), said or typed or "fp32", ns, product))
    products = sum(operation.ns for operation in found if operation.product)
    return found, unnamed / products if products else 0.0, devices


def _is_operation(event: Mapping[str, Any]) -> bool:
    return event.get("cat") == "cpu_op" and "External id" in event.get("args", {})


def _multiplies(kernel: str, operation: Mapping[str, Any]) -> bool:
    """By the operation that started it, else by its name; what only moves data beside a product is none."""
    if not multiplies(kernel):
        return False
    name = operation.get("name", "").removeprefix("aten::")
    return not name or name in (*PRODUCTS, *ON_CUDA) or "triton" in kernel or bool(named(kernel))


def _typed(operation: Mapping[str, Any]) -> str:
    types: Iterable[str] = operation.get("args", {}).get("Input type", ())
    return next((p for t in types if (p := PROFILED_TYPES.get(t) or PRECISIONS.get(t))), "")


def _trace(run: Callable[[], Any]) -> dict[str, Any]:
    from torch.profiler import ProfilerActivity, profile

    with profile(activities=[ProfilerActivity.CPU, ProfilerActivity.CUDA], record_shapes=True) as profiler:
        run()
    with tempfile.TemporaryDirectory(prefix="bakeoff-torch-") as folder:
        path = Path(folder) / "trace.json"
        profiler.export_chrome_trace(str(path))
        trace: dict[str, Any] = json.loads(path.read_text())
    return trace


def set_arithmetic(target: Target) -> None:
    """fp32 means fp32: cuDNN's convolutions default to TF32. Set through the older of torch's two ways: after
    `fp32_precision` torch.export and torch.compile raise in the same process (2.13)."""
    import torch

    allowed = target.arithmetic == "tf32"
    torch.backends.cudnn.allow_tf32 = allowed
    torch.backends.cuda.matmul.allow_tf32 = allowed
