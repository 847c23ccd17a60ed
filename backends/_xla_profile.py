"""How long each instruction of a compiled XLA program took, by JAX's profiler."""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any


def profiled(run: Callable[[], Any]) -> dict[str, float]:
    """Instruction → its time in ns, in one run; one that was cut into tasks counts with all of them."""
    import jax

    options = jax.profiler.ProfileOptions()
    options.python_tracer_level = 0
    with tempfile.TemporaryDirectory(prefix="bakeoff-xla-") as folder:
        with jax.profiler.trace(folder, profiler_options=options):
            run()
        path = next(Path(folder).rglob("*.xplane.pb"))
        planes = jax.profiler.ProfileData.from_serialized_xspace(path.read_bytes()).planes
        spent: Counter[str] = Counter()
        for event in (event for plane in planes for line in plane.lines for event in line.events):
            if name := dict(event.stats).get("hlo_op"):
                spent[str(name)] += event.duration_ns
    return dict(spent)
