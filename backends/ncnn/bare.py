"""ncnn's README for Python: a Net, an extractor for each sample, input and extract."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from bench.interfaces.job import Job


def loop(job: Job, feeds: dict[str, Any]) -> Callable[[], Any]:
    import ncnn

    assert job.model is not None
    net = ncnn.Net()
    net.opt.num_threads = job.case.target.threads
    for name in ("packed", "storage", "arithmetic"):
        setattr(net.opt, f"use_fp16_{name}", False)
    net.load_param(str(job.model.path))
    net.load_model(str(job.model.path.with_suffix(".bin")))
    inputs = [feeds[tensor.name] for tensor in job.io.inputs]

    def once() -> list[Any]:
        found = []
        for sample in range(len(inputs[0])):
            extractor = net.create_extractor()
            for place, array in enumerate(inputs):
                extractor.input(f"in{place}", ncnn.Mat(array[sample]))
            found += [np.array(extractor.extract(f"out{i}")[1]) for i in range(len(job.io.outputs))]
        return found

    return once
