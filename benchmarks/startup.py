"""Process start to ready for the first inference, less the runtime's own import and load, per block.

Goal: under 300 ms.
"""

from __future__ import annotations

from statistics import median

from bench.measure.link import Link
from benchmarks.cases import seats

REPEATS = 7


def main() -> None:
    cases, places = seats("minilm-l6", "torch,onnxruntime,openvino")
    for case, place in zip(cases, places, strict=True):
        found = []
        for _ in range(REPEATS):
            link = Link(place.job, environment=place.environment)
            try:
                link.ask("start", 120, job=link.job)
                found.append(link.ask("load", 120)["figures"])
            finally:
                link.end()
        own = [f["ready_ns"] - f["import_ns"] - f["load_ns"] for f in found]
        total, imports, loads = (median(f[k] for f in found) for k in ("ready_ns", "import_ns", "load_ns"))
        print(
            f"  {case.backend:12s} bakeoff's own {median(own) / 1e6:5.0f} ms"
            f" (ready after {total / 1e6:.0f} ms: import {imports / 1e6:.0f}, load {loads / 1e6:.0f})"
        )
