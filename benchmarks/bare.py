"""A worker without bakeoff's loop: the runtime's own API as its README uses it, timed by a bare loop.

Answers the commands of `bench.worker` so that it can take turns with one; of bakeoff it uses the wire alone.
"""

from __future__ import annotations

import os
import sys
import time
from array import array
from collections.abc import Callable
from typing import Any

import numpy as np

from bench.job import Job
from bench.wire import Wire

WARMUP = 20


def onnxruntime(job: Job, feeds: dict[str, Any]) -> Callable[[], Any]:
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.intra_op_num_threads = job.case.target.threads
    options.inter_op_num_threads = 1
    # The case's shapes are told to every runtime that can be told, as bakeoff's backend does.
    shapeless = ort.InferenceSession(job.model.path, options, providers=["CPUExecutionProvider"])
    for tensor in shapeless.get_inputs():
        for axis, size in zip(tensor.shape, feeds[tensor.name].shape, strict=True):
            if isinstance(axis, str):
                options.add_free_dimension_override_by_name(axis, size)
    del shapeless
    session = ort.InferenceSession(job.model.path, options, providers=["CPUExecutionProvider"])
    return lambda: session.run(None, feeds)


def openvino(job: Job, feeds: dict[str, Any]) -> Callable[[], Any]:
    import openvino as ov

    core = ov.Core()
    model = core.read_model(job.model.path)
    model.reshape({name: list(feed.shape) for name, feed in feeds.items()})
    settings = {"INFERENCE_NUM_THREADS": job.case.target.threads, "PERFORMANCE_HINT": "LATENCY"}
    settings |= {"NUM_STREAMS": 1, "INFERENCE_PRECISION_HINT": "f32"}
    request = core.compile_model(model, "CPU", settings).create_infer_request()
    return lambda: request.infer(feeds)


def serve(wire: Wire) -> None:
    infer: Callable[[], Any] = int  # until a model is loaded
    job: Job | None = None
    while True:
        try:
            message = wire.receive()
        except EOFError:
            return
        reply: dict[str, Any] = {"ok": True, "figures": {}}
        blobs: list[bytes] = []
        match message["do"]:
            case "start":
                job = Job.from_dict(message["job"])
                os.sched_setaffinity(0, job.cpus)
                reply["versions"] = {}
            case "load":
                with np.load(job.inputs) as file:
                    feeds = {name: file[name] for name in file.files}
                infer = {"onnxruntime": onnxruntime, "openvino": openvino}[job.case.backend](job, feeds)
            case "verify":
                reply["verification"] = None
            case "warm":
                for _ in range(WARMUP):
                    infer()
                reply["warmup"] = {}
            case "burst":
                samples = _bare_loop(infer, job.burst_ns)
                reply |= {"disturbance": {}, "disturbed": False}
                blobs = [samples, samples[:8]]
            case "actual":
                reply["actual"] = None
        wire.send(reply)
        for blob in blobs:
            wire.send_blob(blob)


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


if __name__ == "__main__":
    serve(Wire(int(sys.argv[2])))
