"""What a worker of a case is told, and where and with what variables it is started."""

from __future__ import annotations

from dataclasses import dataclass

from bench.environments.locate import interpreter
from bench.interfaces.case import Case
from bench.interfaces.job import Job
from bench.machine.budget import Budget
from bench.machine.gpu import devices
from bench.measure.gpu.timeline import Watching
from bench.measure.turns import Limits, Seat
from bench.plugins import backend_registry
from bench.prepare.prepare import Prepared
from bench.suite.profiles import Profile

CLOCKS_S = 1.0  # of warming up, at least, for a GPU to raise its clocks


@dataclass(frozen=True, slots=True)
class Setting:
    """What all parts of a run share."""

    run_id: str
    profile: Profile
    limits: Limits
    budget: Budget
    memory_bytes: int | None
    watch: Watching | None = None


def seat(case: Case, ready: Prepared, setting: Setting, prove: bool = True, *, shared: bool = False) -> Seat:
    """What a worker of this case is told. All get the same CPUs; fewer threads get the first of them.

    `shared`: the worker's process does other things too, and sees every device by its own name.
    """
    backend, device = backend_registry.get(case.backend), case.target.device
    cpus = setting.budget.cpus[: max(case.target.threads, 1)]
    on_cpu = case.target.device_kind == "cpu"
    least_s = max(setting.profile.warmup_least_s, 0.0 if on_cpu else CLOCKS_S)
    job = Job(
        case=case,
        model=ready.model,
        io=ready.io,
        device=device if shared else devices.inside(device),
        inputs=ready.inputs,
        reference=ready.reference,
        band=(ready.band.low, ready.band.high) if ready.band else None,
        cpus=cpus,
        # CUDA sets address space aside for all of a GPU's memory, and a bound would count that.
        memory_bytes=setting.memory_bytes if on_cpu else None,
        build_ns=ready.build_ns,
        burst_ns=int(setting.profile.burst_s * 1e9),
        device_every=setting.profile.device_every,
        warmup={"least_s": least_s, "most_s": max(least_s, setting.profile.warmup_most_s)},
    )
    where = interpreter(case.backend, case.version)
    seen = {} if shared else devices.alone(device, devices.gpus())
    return Seat(
        job, {**backend.environment(job.target), **seen}, where, prove=prove, gpu=devices.uuid(device)
    )
