"""A slow-down of known size: the extra work that makes ONNX Runtime slower by a given part, and a check.

    python -m benchmarks slowdown [--workload mobilenet-v2] [--by 0.03] [--replicates 12] [--rounds 20]

The backend `slowed` (benchmarks/plugin) does `extra` units of work after each inference. The units are found
in one process: after each inference few or many of them are timed, and the share of the inference that they
took follows a line. The check measures `slowed` against ONNX Runtime in turns.
"""

from __future__ import annotations

import argparse
import os
import random
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from time import perf_counter_ns, thread_time_ns

import numpy as np

from bench.compare.rows import ratio
from bench.interfaces.estimate import Estimate
from bench.machine.lock import measurement_lock
from bench.measure.turns import Seat
from bench.plugins import backend_registry
from bench.worker.loops import no_gc
from benchmarks.cases import in_turns, seats
from benchmarks.plugin.bakeoff_slowed import work

PLUGIN = Path(__file__).parent / "plugin"
FEW, MANY = 100, 1000  # units of work
INFERENCES = 1000
WARMUP = 50


def register() -> None:
    """Makes `slowed` known to this process and to those that it starts."""
    folder = str(PLUGIN)
    if folder not in sys.path:
        sys.path.append(folder)
        known = os.environ.get("PYTHONPATH")
        os.environ["PYTHONPATH"] = f"{known}{os.pathsep}{folder}" if known else folder
        backend_registry._entry_points.cache_clear()
        backend_registry.get.cache_clear()


def calibrate(workload: str, slowdown: float, threads: str = "1") -> int:
    """Units of work with which `slowed` takes `1 + slowdown` times as long as ONNX Runtime alone."""
    _, (place,) = seats(workload, "onnxruntime", threads)
    with measurement_lock(True, print):
        return units(slowdown, *shares(place))


def units(slowdown: float, few: float, many: float) -> int:
    """On the line through the shares of an inference that FEW and MANY units took.

    It does not go through 0: the first unit finds its code and numbers gone from the cache.
    """
    each = (many - few) / (MANY - FEW)
    return max(0, round(FEW + (slowdown - few) / each))


def shares(place: Seat, inferences: int = INFERENCES) -> tuple[float, float]:
    """What FEW and MANY units of work take after an inference, as parts of it: medians, in random order.

    Each is compared with the very inference before it, so that the machine's wandering falls out. On one
    thread CPU time is taken: where others run, they interrupt the longer of the two more often.
    """
    job = place.job
    assert job.inputs is not None
    with np.load(job.inputs, allow_pickle=False) as file:
        inputs = {name: file[name] for name in file.files}
    found: dict[int, list[float]] = {FEW: [], MANY: []}
    order = random.Random(0)
    backend = backend_registry.get(job.case.backend)
    clock = thread_time_ns if job.case.target.threads == 1 else perf_counter_ns
    with _pinned(job.cpus), backend.load(job.model, job.case.target, job.io) as session, no_gc():
        for number in range(-WARMUP, inferences):
            count = order.choice((FEW, MANY))
            start = clock()
            session.fetch(session.run(session.stage(inputs)))
            between = clock()
            work(count)
            end = clock()
            if number >= 0:
                found[count].append((end - between) / (between - start))
    return float(np.median(found[FEW])), float(np.median(found[MANY]))


def slowed(place: Seat, extra: int) -> Seat:
    """The same, with `extra` units of work an inference."""
    case = place.case
    target = replace(case.target, options={**case.target.options, "extra": extra})
    return replace(place, job=replace(place.job, case=replace(case, backend="slowed", target=target)))


def check(place: Seat, extra: int, replicates: int, rounds: int) -> Estimate:
    """Ratio of `slowed` to the backend alone, measured as `bakeoff ab` measures."""
    plain, other = in_turns((place, slowed(place, extra)), replicates, rounds)
    return ratio(other, plain)


@contextmanager
def _pinned(cpus: Sequence[int]) -> Iterator[None]:
    """This process on the CPUs that a worker of the case would have."""
    if not cpus or not hasattr(os, "sched_setaffinity"):
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cpus)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def main(arguments: Sequence[str] = ()) -> None:
    parser = argparse.ArgumentParser(
        "python -m benchmarks slowdown", description=(__doc__ or "").split("\n")[0]
    )
    parser.add_argument("--workload", default="mobilenet-v2")
    parser.add_argument("--threads", default="1")
    parser.add_argument("--by", type=float, default=0.03, help="as a fraction (0.03)")
    parser.add_argument("--replicates", type=int, default=12, help="of the check; 0 leaves it out (12)")
    parser.add_argument("--rounds", type=int, default=20, help="of a replicate (20)")
    asked = parser.parse_args(arguments)
    register()
    _, (place,) = seats(asked.workload, "onnxruntime", asked.threads)
    with measurement_lock(True, print):
        few, many = shares(place)
        extra = units(asked.by, few, many)
        print(f"  {FEW} units take {few:.2%} of an inference, {MANY} take {many:.2%}")
        print(f"  slower by {asked.by:.1%}: slowed@extra={extra}", flush=True)
        if asked.replicates:
            found = check(place, extra, asked.replicates, asked.rounds)
            low, high = found.low or float("nan"), found.high or float("nan")
            print(
                f"  in turns: {found.value:.4f} [{low:.4f}, {high:.4f}] of ONNX Runtime alone,"
                f" {found.n} replicates of {asked.rounds} rounds"
            )
