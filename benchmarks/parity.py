"""bakeoff's row over a bare loop of the runtime's own API: same file, same threads, taking turns.

Ratio of host latencies with its 95 % interval over replicates; goal: within ±5 %. A row ends after
`--replicates`, or from six on once its interval is as narrow as ±2.5 %, wherever that lies. Every runtime
and variant, or those that are named, each on the first of the workloads that it holds; what holds none, or
fails, is a row with the reason:

    python -m benchmarks parity [--workload W,…] [--replicates N] [--rounds N] [--device D] BACKEND…

On a GPU both sides are told by its own clock, events around the work of an inference whose inputs lie there
already.
"""

from __future__ import annotations

import argparse
import statistics
from dataclasses import replace

from bench.compare.rows import ratio
from bench.interfaces.block import Block
from bench.measure.turns import Seat
from bench.plugins import backend_registry
from bench.stats.pairs import burst_medians
from benchmarks.cases import Failed, bare, in_turns, seats

GOAL = 0.05
NARROW, LEAST = 0.025, 6  # half an interval's width, and how many replicates it takes to believe it
HEAD = (
    "| row | its latency | over a bare loop | interval | replicates | within ±5 % |\n"
    "| --- | --- | --- | --- | --- | --- |"
)


def main(arguments: list[str]) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks parity")
    parser.add_argument("backends", nargs="*", metavar="BACKEND")
    parser.add_argument("--workload", default="minilm-l6,mobilenet-v2")
    parser.add_argument("--replicates", type=int, default=20)
    parser.add_argument("--rounds", type=int, default=14)
    parser.add_argument("--device", default="cpu")
    options = parser.parse_args(arguments)
    print(HEAD, flush=True)
    for name in options.backends or everything():
        try:
            place = held(name, options.workload.split(","), options.device)
            clocked = place.case.target.device_kind != "cpu"
            if clocked:
                place = replace(place, job=replace(place.job, device_every=1))
            enough = never if clocked else narrow
            own, plain = in_turns((place, bare(place)), options.replicates, options.rounds, enough)
            row = told(place, list(map(by_own_clock, own)) if clocked else own, plain)
        except Failed as error:
            row = f"| {name} | – | – | – | – | {str(error).splitlines()[0]} |"
        print(row, flush=True)


def held(name: str, workloads: list[str], device: str) -> Seat:
    """On the first workload that the runtime holds. Raises Failed with the last one's reason."""
    for last, workload in enumerate(workloads, 1 - len(workloads)):
        try:
            _, (place,) = seats(workload, name, device=device)
            return place
        except Failed:
            if not last:
                raise
    raise Failed("no workload was named")


def narrow(own: list[Block], plain: list[Block]) -> bool:
    """Whether the interval is narrow enough: by its width alone, which says nothing of its place."""
    if len(own) < LEAST:
        return False
    found = ratio(own, plain)
    return found.low is not None and found.high is not None and found.high - found.low <= 2 * NARROW


def never(own: list[Block], plain: list[Block]) -> bool:
    """Every replicate that was asked for."""
    return False


def by_own_clock(block: Block) -> Block:
    """The block with the device's own times where the host's samples stand."""
    bursts = [replace(one, start=one.device_start, count=one.device_count) for one in block.bursts]
    return replace(block, host_ns=block.own_ns, bursts=[one for one in bursts if one.count])


def told(place: Seat, own: list[Block], plain: list[Block]) -> str:
    """A row of the table."""
    found = ratio(own, plain)
    latency = statistics.median(burst_medians(own[0]).values()) / 1e6
    assert found.low is not None  # an interval is of two replicates or more
    assert found.high is not None
    within = max(1 - found.low, found.high - 1) <= GOAL
    return (
        f"| {place.case.label} | {latency:.1f} ms | {found.value:.4f} "
        f"| [{found.low:.4f}, {found.high:.4f}] | {len(own)} | {'yes' if within else 'no'} |"
    )


def everything() -> list[str]:
    """Every runtime that has a bare loop, with its variants."""
    names = [
        name
        for name in backend_registry.names("runtime")
        if (backend_registry.folder(name) / "bare.py").is_file()
    ]
    return [f"{name}:{v}" if v else name for name in names for v in backend_registry.get(name).variants]
