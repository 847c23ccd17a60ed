"""bakeoff's row over a bare loop of the runtime's own API: same file, same threads, taking turns.

Ratio of host latencies with its 95 % interval over generations. Goal: within ±3 %.
"""

from __future__ import annotations

import random

from bench.api import silent
from bench.pairs import burst_medians
from bench.rows import ratio
from bench.turns import Limits, measure_part
from benchmarks.cases import bare, seats

GENERATIONS = 24
ROUNDS = 14


def main() -> None:
    for backend in ("onnxruntime", "openvino"):
        _, (place,) = seats("minilm-l6", backend)
        pair = [place, bare(place)]
        own, plain = [], []
        order = random.Random(0)
        for generation in range(GENERATIONS):
            blocks = measure_part(
                pair,
                generation=generation,
                part=generation,
                rounds=ROUNDS,
                limits=Limits(),
                order=order,
                listener=silent,
            )
            for kept, block in zip((own, plain), blocks, strict=True):
                if block.status != "ok":
                    print(f"  {block.status}: {block.reason}\n{block.log}")
                    return
                kept.append(block)
        found = ratio(own, plain)
        latency = sorted(burst_medians(own[0]).values())[ROUNDS // 2] / 1e6
        print(
            f"  {place.case.label}: {found.value:.4f} [{found.low:.4f}, {found.high:.4f}]"
            f" over {found.n} generations of {ROUNDS} rounds, about {latency:.1f} ms an inference",
            flush=True,
        )
