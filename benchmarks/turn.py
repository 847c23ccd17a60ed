"""A turn's cost: the round trip of a burst's command without the burst itself, worker stopped in between."""

from __future__ import annotations

import time
from dataclasses import replace
from statistics import median

from bench.interfaces.backend import Target
from bench.interfaces.case import HARNESS, Case
from bench.interfaces.job import Job
from bench.machine.budget import core_budget
from bench.measure.link import Link
from bench.prepare.graph import HARNESS_IO

TURNS = 200


def main() -> None:
    case = Case(HARNESS, HARNESS, 1, None, "null", Target(), role="overhead")
    job = Job(case, None, HARNESS_IO, cpus=core_budget().cpus[:1], warmup={"least_s": 0.1, "most_s": 0.5})
    link = Link(replace(job, burst_ns=0, capacity=3))
    try:
        link.ask("start", 60, job=link.job)
        for command in ("load", "warm"):
            link.ask(command, 60)
        asked, turned = [], []
        for _ in range(TURNS):
            start = time.perf_counter()
            link.ask("burst", 60)
            asked.append(time.perf_counter() - start)
        link.stop()
        for _ in range(TURNS):
            start = time.perf_counter()
            link.resume()
            link.ask("burst", 60)
            link.stop()
            turned.append(time.perf_counter() - start)
    finally:
        link.end()
    print(f"  command and answer            {median(asked) * 1e3:.2f} ms (telemetry read twice)")
    print(f"  continue, command, stop       {median(turned) * 1e3:.2f} ms a turn")
