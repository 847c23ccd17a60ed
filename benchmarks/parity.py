"""bakeoff's row over a bare loop of the runtime's own API: same file, same threads, taking turns.

Ratio of host latencies with its 95 % interval over generations. Goal: within ±3 %.
"""

from __future__ import annotations

from bench.pairs import burst_medians
from bench.rows import ratio
from benchmarks.cases import bare, in_turns, seats

GENERATIONS = 24
ROUNDS = 14


def main() -> None:
    for backend in ("onnxruntime", "openvino"):
        _, (place,) = seats("minilm-l6", backend)
        own, plain = in_turns((place, bare(place)), GENERATIONS, ROUNDS)
        found = ratio(own, plain)
        latency = sorted(burst_medians(own[0]).values())[ROUNDS // 2] / 1e6
        print(
            f"  {place.case.label}: {found.value:.4f} [{found.low:.4f}, {found.high:.4f}]"
            f" over {found.n} generations of {ROUNDS} rounds, about {latency:.1f} ms an inference",
            flush=True,
        )
