"""The child side: one fresh process measures one case, a command at a time. The process
begins in `bench.worker.__main__`.

Imports the standard library, NumPy and, when told to start, one backend's runtime; nothing else, so that
memory and start-up are the runtime's own.
"""

from __future__ import annotations

import os
import sys
import time
from array import array
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

import numpy as np

from bench.interfaces.backend import Backend, Session, Timing
from bench.interfaces.case import Case
from bench.interfaces.errors import BackendUnavailable, BakeoffError, UnsupportedCase
from bench.interfaces.job import Job
from bench.interfaces.plain import as_dict
from bench.interfaces.tensors import Array
from bench.plugins.runtimes import import_runtime
from bench.processes import resources
from bench.processes.wire import Wire
from bench.worker.disturbance import Meter, difference, disturbed
from bench.worker.kept import Kept
from bench.worker.loops import (
    LEAST,
    SLOW_NS,
    Own,
    buffer,
    device_loop,
    device_looped,
    host_loop,
    host_looped,
    no_gc,
    sustain,
    warm_up,
)
from bench.worker.rotating import OnDevice, Rotating
from bench.worker.verify import Reference, check, load_reference


class Worker:
    """Holds what one case needs between commands."""

    job: Job
    backend: Backend
    session: Session
    timed: Kept | Rotating
    staged: Kept | OnDevice
    inputs: dict[str, Array]
    reference: Reference | None = None
    meter: Meter
    host: array[int]
    device: array[int]
    own: Own | None = None

    def __init__(self) -> None:
        self.figures: dict[str, float] = {}
        self.median_ns = 0.0
        self.inner = 1
        self.cpu_ns = 0

    def start(self, message: dict[str, Any]) -> dict[str, Any]:
        """Pins, bounds, and imports the runtime, timed; the model is not touched."""
        self.job = job = Job.from_dict(message["job"])
        began = time.monotonic_ns()
        if job.cpus and hasattr(os, "sched_setaffinity"):
            os.sched_setaffinity(0, job.cpus)
        if job.memory_bytes:
            resources.limit_memory(job.memory_bytes)
        self.backend = _backend(job.case)
        self.meter = Meter(job.cpus)
        self.host, self.device = buffer(job.capacity), buffer(job.capacity)
        self.inputs = _arrays(job)
        if job.reference is not None:
            self.reference = load_reference(job.reference)
        start = time.perf_counter_ns()
        import_runtime(self.backend)
        self.figures["import_ns"] = time.perf_counter_ns() - start
        self.figures["spawn_ns"] = began - job.spawned_ns
        resources.reset_peak()
        self.figures["idle_bytes"] = resources.resident_bytes()
        return {"versions": _versions(self.backend), "pid": os.getpid()}

    def load(self, message: dict[str, Any]) -> dict[str, Any]:
        """Load and the first inference, each timed, in that order and before anything else runs. What the
        backend compiles was compiled before, in a process of its own: its time is told."""
        job = self.job
        if job.build_ns is not None:
            self.figures["build_ns"] = job.build_ns
        start = time.perf_counter_ns()
        self.session = self.backend.load(job.model, job.target, job.io)
        self.figures["load_ns"] = time.perf_counter_ns() - start
        self.figures["ready_ns"] = time.monotonic_ns() - job.spawned_ns
        start = time.perf_counter_ns()
        self.session.fetch(self.session.run(self.session.stage(self.inputs)))
        self.figures["first_ns"] = time.perf_counter_ns() - start
        kept = Kept(self.session, job.io, self.inputs)
        rotating = Rotating(self.session, kept, job.case.rotate) if job.case.rotate else None
        self.timed = rotating or kept
        self.staged = rotating.on_device() if rotating else kept
        if isinstance(self.session, Timing):
            self.own = Own(buffer(job.capacity), self.session.device_ns)
        return {}

    def verify(self, message: dict[str, Any]) -> dict[str, Any]:
        """Outputs against the fp64 reference, on inputs that the timed loop does not see."""
        if self.reference is None:
            return {"verification": None}
        session = self.session
        found = check(
            self.reference,
            lambda inputs: session.fetch(session.run(session.stage(inputs))),
            self.job.case.batch,
        )
        return {"verification": asdict(found)}

    def warm(self, message: dict[str, Any]) -> dict[str, Any]:
        """Warms up until the steady state shows, and settles how samples are taken."""
        bounds = self.job.warmup
        with no_gc():
            count, spent, capped, self.median_ns = warm_up(
                self.timed,
                self.timed.inputs,
                least_ns=int(bounds["least_s"] * 1e9),
                most_ns=int(bounds["most_s"] * 1e9),
            )
        if self.median_ns < self.job.loop_under_ns and self.backend.role == "runtime":
            self.inner = max(2, round(self.job.loop_under_ns / max(self.median_ns, 1.0)))
        self.figures["inner"] = self.inner
        facts = {"count": count, "ns": spent, "capped": capped, "median_ns": self.median_ns}
        return {"warmup": facts}

    def burst(self, message: dict[str, Any]) -> dict[str, Any]:
        """One burst: samples at the host boundary, then a third as long at the device boundary if the message
        asks for it, with the device's own times where it has a clock; and what others took meanwhile."""
        job, session, staged, inputs, own = self.job, self.timed, self.staged, self.timed.inputs, self.own
        before, cpu_before = self.meter.read(), time.process_time_ns()
        device_ns, devices = job.burst_ns // 3, 0
        both = message.get("device", job.device_every > 0)
        with no_gc():
            if self.inner == 1:
                least = 1 if self.median_ns > SLOW_NS else LEAST
                hosts = host_loop(session, inputs, self.host, job.burst_ns, least)
                if both:
                    devices = device_loop(staged, staged.stage(inputs), self.device, device_ns, 1, own)
            else:
                hosts = host_looped(session, inputs, self.host, job.burst_ns, self.inner)
                if both:
                    lying = staged.stage(inputs)
                    devices = device_looped(staged, lying, self.device, device_ns, self.inner, own)
        self.cpu_ns += time.process_time_ns() - cpu_before
        taken = difference(before, self.meter.read())
        return {
            "disturbance": taken,
            "disturbed": disturbed(taken, job.cpus),
            "blobs": [
                self.host[:hosts].tobytes(),
                self.device[:devices].tobytes(),
                own.samples[:devices].tobytes() if own else b"",
            ],
        }

    def sustain(self, message: dict[str, Any]) -> dict[str, Any]:
        """One uninterrupted window: what power and clocks settle at, which bursts hide."""
        with no_gc():
            count, start, end = sustain(self.timed, self.timed.inputs, int(message["seconds"] * 1e9))
        return {"window": [start, end], "count": count}

    def finish(self, message: dict[str, Any]) -> dict[str, Any]:
        """Memory and CPU time, before the untimed session of `actual` adds to them."""
        peak = resources.peak_bytes()
        self.figures["peak_bytes"] = peak
        self.figures["model_bytes"] = max(0, peak - self.figures["idle_bytes"])
        self.figures["cpu_ns"] = self.cpu_ns
        return {"figures": self.figures}

    def actual(self, message: dict[str, Any]) -> dict[str, Any]:
        """What really ran, with its evidence; the device under the name that the case has for it."""
        actual = as_dict(self.session.actual())
        if actual["device"]["value"] == self.job.target.device:
            actual["device"]["value"] = self.job.case.target.device
        return {"actual": actual}


COMMANDS: dict[str, Callable[[Worker, dict[str, Any]], dict[str, Any]]] = {
    "start": Worker.start,
    "load": Worker.load,
    "verify": Worker.verify,
    "warm": Worker.warm,
    "burst": Worker.burst,
    "sustain": Worker.sustain,
    "finish": Worker.finish,
    "actual": Worker.actual,
}


def serve(wire: Wire) -> None:
    """Answers commands until the parent goes or one fails; a failure is answered with its kind."""
    worker = Worker()
    while True:
        try:
            message = wire.receive()
        except EOFError:
            return
        try:
            reply = COMMANDS[message["do"]](worker, message)
        except Exception as error:
            wire.send({"error": _explain(error)})
            return
        blobs = reply.pop("blobs", ())
        wire.send({"ok": True, "figures": worker.figures, **reply})
        for blob in blobs:
            wire.send_blob(blob)


def _explain(error: Exception) -> dict[str, str]:
    """An exception as a status of the case, with its message and traceback."""
    import traceback  # takes milliseconds to import, and is seldom needed

    if isinstance(error, UnsupportedCase):
        status = "unsupported"
    elif isinstance(error, BackendUnavailable):
        status = "missing"
    elif isinstance(error, MemoryError) or resources.speaks_of_memory(f"{type(error).__name__}: {error}"):
        status = "out-of-memory"
    else:
        status = "failed"
    own = isinstance(error, BakeoffError)
    message = error.message if isinstance(error, BakeoffError) else f"{type(error).__name__}: {error}"
    trace = "" if own else traceback.format_exc()
    hint = error.hint if isinstance(error, BakeoffError) else ""
    return {"status": status, "message": message, "hint": hint, "trace": trace}


def _backend(case: Case) -> Backend:
    from bench.plugins.backend_registry import get

    return get(case.backend)


def _arrays(job: Job) -> dict[str, Array]:
    """The timed input; zeros for a backend that has no model."""
    if job.inputs is None:
        return {t.name: np.zeros(t.shape, t.dtype) for t in job.io.inputs}
    with np.load(job.inputs, allow_pickle=False) as file:
        return {t.name: file[t.name] for t in job.io.inputs}


def _versions(backend: Backend) -> dict[str, str]:
    """Versions of NumPy and of the runtime's modules as they tell themselves."""
    modules = {"numpy": np, **{name: sys.modules.get(name) for name in backend.runtime}}
    return {name: str(getattr(module, "__version__", "?")) for name, module in modules.items()}
