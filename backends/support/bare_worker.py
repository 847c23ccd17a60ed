"""A worker without bakeoff's loop: the runtime's own API as its README uses it, timed by a bare loop.

It is the other side of `python -m benchmarks parity`: it answers the commands of `bench.worker`, so that it
can take turns with one; of bakeoff it uses the wire alone.
"""

from __future__ import annotations

import os
import sys
import time
from array import array
from collections.abc import Callable
from importlib import import_module
from typing import Any

import numpy as np

from bench.interfaces.job import Job
from bench.processes.wire import Wire

WARMUP = 20


def serve(wire: Wire) -> None:
    job = Job.from_dict(wire.receive()["job"])
    if job.cpus:
        os.sched_setaffinity(0, job.cpus)
    wire.send({"ok": True, "figures": {}, "versions": {}})
    infer: Callable[[], Any] = int  # until a model is loaded
    while True:
        try:
            message = wire.receive()
        except EOFError:
            return
        reply: dict[str, Any] = {"ok": True, "figures": {}}
        blobs: list[bytes] = []
        match message["do"]:
            case "load":
                infer = _loop_of(job.case.backend)(job, _feeds(job))
            case "verify":
                reply["verification"] = None
            case "warm":
                for _ in range(WARMUP):
                    infer()
                reply["warmup"] = {}
            case "burst":
                clocked = job.case.target.device_kind != "cpu"
                samples = _clocked_loop(infer, job.burst_ns) if clocked else _bare_loop(infer, job.burst_ns)
                reply |= {"disturbance": {}, "disturbed": False}
                blobs = [samples, samples[:8], b""]
            case "actual":
                reply["actual"] = None
        wire.send(reply)
        for blob in blobs:
            wire.send_blob(blob)


def _loop_of(backend: str) -> Callable[[Job, dict[str, Any]], Callable[[], Any]]:
    """`loop` of the backend's `bare.py`: it loads the case's model file, and returns a function that puts
    NumPy arrays in and hands NumPy arrays out, with nothing of bakeoff around it."""
    loop: Callable[[Job, dict[str, Any]], Callable[[], Any]]
    loop = import_module(f"backends.{backend.replace('-', '_')}.bare").loop
    return loop


def _feeds(job: Job) -> dict[str, Any]:
    assert job.inputs is not None
    with np.load(job.inputs) as file:
        return {name: file[name] for name in file.files}


def _bare_loop(infer: Callable[[], Any], burst_ns: int) -> bytes:
    samples = array("q")
    end = time.perf_counter_ns() + burst_ns
    while True:
        start = time.perf_counter_ns()
        infer()
        stop = time.perf_counter_ns()
        samples.append(stop - start)
        if stop >= end and len(samples) >= 3:
            return samples.tobytes()


def _clocked_loop(infer: Callable[[], int], burst_ns: int) -> bytes:
    """Of a loop on a device, which tells each inference's time in ns by the device's own clock."""
    samples = array("q")
    end = time.perf_counter_ns() + burst_ns
    while time.perf_counter_ns() < end or len(samples) < 3:
        samples.append(infer())
    return samples.tobytes()


if __name__ == "__main__":
    serve(Wire(int(sys.argv[2])))
