"""ONNX Runtime's README: an InferenceSession, and `run`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from bench.interfaces.job import Job


def loop(job: Job, feeds: dict[str, Any]) -> Callable[[], Any]:
    import onnxruntime as ort

    assert job.model is not None
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
