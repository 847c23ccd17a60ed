"""TVM's docs, 'Quick Start': a compiled library in the virtual machine, called with its tensors."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from bench.interfaces.job import Job


def loop(job: Job, feeds: dict[str, Any]) -> Callable[[], Any]:
    import tvm
    from tvm import relax

    assert job.model is not None
    machine = relax.VirtualMachine(tvm.runtime.load_module(str(job.model.path)), tvm.cpu())
    inputs = [feeds[tensor.name] for tensor in job.io.inputs]
    alone = len(job.io.outputs) == 1

    def infer() -> list[Any]:
        outputs = machine["main"](*(tvm.runtime.tensor(array) for array in inputs))
        return [output.numpy() for output in ([outputs] if alone else outputs)]

    return infer
