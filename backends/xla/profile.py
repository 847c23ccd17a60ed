"""How long each instruction of a compiled XLA program took, and each kernel of a GPU, by JAX's profiler."""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

GPU_PLANE = "/device:GPU:"  # then its number
STREAM = "Stream #"  # how the lines of a GPU's plane begin on which things ran; others hold counters
INSTRUCTION = "hlo_op"


@dataclass(frozen=True, slots=True)
class Kernel:
    """What ran on a GPU: its name, the instruction that started it ('' where nobody says, as within a CUDA
    graph), its time in ns, and the GPU's number."""

    name: str
    instruction: str
    ns: float
    gpu: int = 0


def profiled(run: Callable[[], Any]) -> dict[str, float]:
    """Instruction → its time in ns, in one run; one that was cut into tasks counts with all of them."""
    spent: Counter[str] = Counter()
    for plane in _profile(run).planes:
        for event in (event for line in plane.lines for event in line.events):
            if name := _started_by(event):
                spent[name] += event.duration_ns
    return dict(spent)


def kernels(run: Callable[[], Any]) -> list[Kernel]:
    """What ran on GPUs in one run."""
    return of_gpus(_profile(run).planes)


def of_gpus(planes: Iterable[Any]) -> list[Kernel]:
    """What ran on the streams of GPUs. `planes`: those of a `jax.profiler.ProfileData`."""
    return [
        Kernel(event.name, _started_by(event), event.duration_ns, _number(plane.name))
        for plane in planes
        if plane.name.startswith(GPU_PLANE)
        for line in plane.lines
        if line.name.startswith(STREAM)
        for event in line.events
    ]


def _started_by(event: Any) -> str:
    return str(dict(event.stats).get(INSTRUCTION, ""))


def _number(plane: str) -> int:
    number = plane.removeprefix(GPU_PLANE).split(" ")[0]
    return int(number) if number.isdigit() else 0


def _profile(run: Callable[[], Any]) -> Any:
    import jax

    options = jax.profiler.ProfileOptions()
    options.python_tracer_level = 0
    with tempfile.TemporaryDirectory(prefix="bakeoff-xla-") as folder:
        with jax.profiler.trace(folder, profiler_options=options):
            run()
        path = next(Path(folder).rglob("*.xplane.pb"))
        return jax.profiler.ProfileData.from_serialized_xspace(path.read_bytes())
