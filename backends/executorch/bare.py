"""ExecuTorch's README, 'Quick Start' in Python: load a program and its method, execute."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from bench.interfaces.job import Job


def loop(job: Job, feeds: dict[str, Any]) -> Callable[[], Any]:
    import torch
    from executorch.extension.pybindings import portable_lib
    from executorch.runtime import Runtime

    assert job.model is not None
    portable_lib._unsafe_reset_threadpool(job.case.target.threads)
    method = Runtime.get().load_program(job.model.path).load_method("forward")
    order = [tensor.name for tensor in job.io.inputs]

    def once() -> list[Any]:
        outputs = method.execute([torch.from_numpy(feeds[name]) for name in order])
        return [output.numpy() for output in outputs]

    return once
