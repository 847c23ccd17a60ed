"""OpenVINO's docs, 'Integrate OpenVINO with your application': compile, make a request, infer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from bench.interfaces.job import Job


def loop(job: Job, feeds: dict[str, Any]) -> Callable[[], Any]:
    import openvino as ov

    assert job.model is not None
    core = ov.Core()
    model = core.read_model(job.model.path)
    model.reshape({name: list(feed.shape) for name, feed in feeds.items()})
    settings = {"INFERENCE_NUM_THREADS": job.case.target.threads, "PERFORMANCE_HINT": "LATENCY"}
    settings |= {"NUM_STREAMS": 1, "INFERENCE_PRECISION_HINT": "f32"}
    request = core.compile_model(model, "CPU", settings).create_infer_request()
    return lambda: request.infer(feeds)
