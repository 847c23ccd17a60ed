"""PyTorch's docs: the module itself in inference mode, or what its compilers make of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from bench.interfaces.job import Job
from bench.plugins import workload_registry

SEED = 0


def loop(job: Job, feeds: dict[str, Any]) -> Callable[[], Any]:
    import torch

    torch.set_num_threads(job.case.target.threads)
    if job.case.target.device_kind == "cuda":
        return _on_cuda(job, feeds)
    example = tuple(torch.from_numpy(feeds[tensor.name]) for tensor in job.io.inputs)
    run = _run(job, example)

    def infer() -> list[Any]:
        with torch.inference_mode():
            outputs = run(*(torch.from_numpy(feeds[tensor.name]) for tensor in job.io.inputs))
        return [output.numpy() for output in (outputs if isinstance(outputs, tuple | list) else [outputs])]

    return infer


def _on_cuda(job: Job, feeds: dict[str, Any]) -> Callable[[], int]:
    """PyTorch's docs, 'CUDA semantics: asynchronous execution': the time between two events, in ns."""
    import torch

    torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = False
    staged = [torch.from_numpy(feeds[tensor.name]).to(job.target.device) for tensor in job.io.inputs]
    run = _run(job, tuple(staged))
    start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))  # type: ignore[no-untyped-call]

    def infer() -> int:
        with torch.inference_mode():
            start.record()
            run(*staged)
            end.record()
        end.synchronize()
        return round(float(start.elapsed_time(end)) * 1e6)

    return infer


def _run(job: Job, example: tuple[Any, ...]) -> Callable[..., Any]:
    import torch

    workload = workload_registry.get(job.case.workload)
    module = workload.build()
    workload.seed_weights(module, SEED)
    module.eval().to(job.target.device)
    if job.case.target.variant == "compile":
        torch._inductor.config.freezing = True
        with torch.no_grad():
            compiled = torch.compile(module, dynamic=False)
            compiled(*example)
        return compiled
    if job.case.target.variant == "aoti":
        assert job.model is not None
        return torch._inductor.aoti_load_package(str(job.model.path))
    if job.case.target.variant == "script":
        with torch.no_grad():
            traced = torch.jit.trace(module, example, check_trace=False)  # type: ignore[no-untyped-call]
        return torch.jit.freeze(traced)  # type: ignore[no-any-return]
    return module
