"""bakeoff's row over a bare loop of the runtime's own API: same file, same threads, taking turns.

Ratio of host latencies with its 95 % interval over generations; goal: within ±5 %. Every runtime and
variant, or those that are named: `python -m benchmarks parity [--workload W] [--generations N] BACKEND…`.
"""

from __future__ import annotations

import argparse
import statistics
from importlib.util import find_spec

from backends import registry
from bench.pairs import burst_medians
from bench.rows import ratio
from benchmarks.cases import bare, in_turns, seats

GOAL = 0.05


def main(arguments: list[str]) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks parity")
    parser.add_argument("backends", nargs="*", metavar="BACKEND")
    parser.add_argument("--workload", default="minilm-l6")
    parser.add_argument("--generations", type=int, default=12)
    parser.add_argument("--rounds", type=int, default=14)
    options = parser.parse_args(arguments)
    print(
        "| row | its latency | over a bare loop | interval | within ±5 % |\n| --- | --- | --- | --- | --- |"
    )
    for name in options.backends or everything():
        _, places = seats(options.workload, name)
        for place in places:
            own, plain = in_turns((place, bare(place)), options.generations, options.rounds)
            found = ratio(own, plain)
            latency = statistics.median(burst_medians(own[0]).values()) / 1e6
            assert found.low is not None  # an interval is of two generations or more
            assert found.high is not None
            within = max(1 - found.low, found.high - 1) <= GOAL
            print(
                f"| {place.case.label} | {latency:.1f} ms | {found.value:.4f} "
                f"| [{found.low:.4f}, {found.high:.4f}] | {'yes' if within else 'no'} |",
                flush=True,
            )


def everything() -> list[str]:
    """Every runtime that has a bare loop, with its variants."""
    names = [name for name in registry.names("runtime") if find_spec(f"backends.bare.{name}")]
    return [f"{name}:{v}" if v else name for name in names for v in registry.get(name).variants]
