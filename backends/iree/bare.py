"""IREE's docs, 'Python bindings': a loaded module's `main` on device arrays."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import numpy as np

from backends.support.stablehlo import ARGUMENTS
from bench.interfaces.job import Job


def loop(job: Job, feeds: dict[str, Any]) -> Callable[[], Any]:
    import iree.runtime as rt

    assert job.model is not None
    rt.flags.parse_flags(f"--task_topology_group_count={job.case.target.threads}")
    device = rt.get_device("local-task")
    config = rt.Config(device=device)
    context = rt.SystemContext(config=config)
    module = rt.VmModule.mmap(config.vm_instance, str(job.model.path))
    context.add_vm_module(module)
    main = context.modules[module.name]["main"]
    order = json.loads((job.model.path.parent / ARGUMENTS).read_text())
    inputs = [feeds[tensor.name] for tensor in job.io.inputs]
    inputs = [array.astype(np.int32) if array.dtype == np.int64 else array for array in inputs]

    def infer() -> list[Any]:
        outputs = main(*(inputs[index] for index in order))
        return [one.to_host() for one in (outputs if isinstance(outputs, tuple | list) else [outputs])]

    return infer
