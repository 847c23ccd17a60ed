"""What a GPU can do at most, measured through PyTorch: copying, and products of large square matrices of
random data.

Random, because a GPU at its power cap multiplies zeros faster than numbers.
"""

from __future__ import annotations

from collections.abc import Callable
from statistics import median
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

SIDES = (8192, 4096, 2048)  # of the matrices: the largest that fits four times
COPIED_BYTES = 1 << 30
LEAST, SPENT_MS, WARM_MS = 10, 500.0, 300.0


def measure(device: str) -> dict[str, float]:
    """`copy_bytes_per_s` (read and written), and `NAME_flops_per_s` of each precision the GPU multiplies."""
    import torch

    place = torch.device(device)
    free, _ = torch.cuda.mem_get_info(place)
    found = {"copy_bytes_per_s": _copy(place, free)}
    side = next((one for one in SIDES if 4 * 4 * one * one < free), SIDES[-1])
    for name, make in _products(place, side).items():
        try:
            call = make()
            call()
        except (RuntimeError, AttributeError, TypeError):  # not on this GPU, or not in this version
            continue
        found[f"{name}_flops_per_s"] = 2 * side**3 / _seconds(call)
    return found


def _copy(place: torch.device, free: int) -> float:
    import torch

    size = min(COPIED_BYTES, free // 4)
    source = torch.randint(0, 256, (size,), dtype=torch.uint8, device=place)
    target = torch.empty_like(source)
    return 2 * size / _seconds(lambda: target.copy_(source))


def _products(place: torch.device, side: int) -> dict[str, Callable[[], Callable[[], Any]]]:
    """Precision → what makes its operands and returns the product as a call."""
    import torch

    def floats(dtype: torch.dtype, tf32: bool = False) -> Callable[[], Any]:
        a, b = (torch.randn(side, side, device=place).to(dtype) for _ in range(2))

        def call() -> Any:
            torch.backends.cuda.matmul.allow_tf32 = tf32
            return a @ b

        return call

    def integers() -> Callable[[], Any]:
        a, b = (torch.randint(-128, 128, (side, side), dtype=torch.int8, device=place) for _ in range(2))
        return lambda: torch._int_mm(a, b.t())

    def eighths() -> Callable[[], Any]:
        a, b = (torch.randn(side, side, device=place).to(torch.float8_e4m3fn) for _ in range(2))
        one = torch.ones((), device=place)
        return lambda: torch._scaled_mm(a, b.t(), scale_a=one, scale_b=one, out_dtype=torch.bfloat16)

    return {
        "fp32": lambda: floats(torch.float32),
        "tf32": lambda: floats(torch.float32, tf32=True),
        "bf16": lambda: floats(torch.bfloat16),
        "fp16": lambda: floats(torch.float16),
        "int8": integers,
        "fp8": eighths,
    }


def _seconds(call: Callable[[], Any]) -> float:
    """The median time of a call by events, once clocks are up."""
    _timed(call, WARM_MS)
    return median(_timed(call, SPENT_MS)) * 1e-3


def _timed(call: Callable[[], Any], most_ms: float) -> list[float]:
    import torch

    spent: list[float] = []
    while len(spent) < LEAST or sum(spent) < most_ms:
        start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))  # type: ignore[no-untyped-call]
        start.record()
        call()
        end.record()
        end.synchronize()
        spent.append(float(start.elapsed_time(end)))
    return spent
