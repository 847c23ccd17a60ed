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
from collections.abc import Mapping
from dataclasses import asdict, dataclass
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
from bench.worker.verify import Reference, Verification, check, load_reference


@dataclass(frozen=True, slots=True)
class Started:
    """A process with the runtime imported; the model is not touched.

    Attributes:
        host, device: room for the samples of a burst, in ns.
        inputs: the timed input.
        figures: as `bench.interfaces.block.Block` has them; later phases add theirs.
    """

    job: Job
    backend: Backend
    meter: Meter
    host: array[int]
    device: array[int]
    inputs: dict[str, Array]
    reference: Reference | None
    figures: dict[str, float]

    @property
    def versions(self) -> dict[str, str]:
        """Of NumPy and of the runtime's modules as they tell themselves."""
        modules = {"numpy": np, **{name: sys.modules.get(name) for name in self.backend.runtime}}
        return {name: str(getattr(module, "__version__", "?")) for name, module in modules.items()}

    def load(self) -> Loaded:
        """Load and the first inference, each timed, in that order and before anything else runs. What the
        backend compiles was compiled before, in a process of its own: its time is told."""
        job, figures = self.job, self.figures
        if job.build_ns is not None:
            figures["build_ns"] = job.build_ns
        start = time.perf_counter_ns()
        session = self.backend.load(job.model, job.target, job.io)
        figures["load_ns"] = time.perf_counter_ns() - start
        figures["ready_ns"] = time.monotonic_ns() - job.spawned_ns
        start = time.perf_counter_ns()
        session.fetch(session.run(session.stage(self.inputs)))
        figures["first_ns"] = time.perf_counter_ns() - start
        kept = Kept(session, job.io, self.inputs)
        rotating = Rotating(session, kept, job.case.rotate) if job.case.rotate else None
        own = Own(buffer(job.capacity), session.device_ns) if isinstance(session, Timing) else None
        return Loaded(self, session, rotating or kept, rotating.on_device() if rotating else kept, own)


@dataclass(frozen=True, slots=True)
class Loaded:
    """A session that has run once.

    Attributes:
        timed, staged: what is called at the host boundary and at the device boundary.
        own: the device's own times, where it has a clock.
    """

    started: Started
    session: Session
    timed: Kept | Rotating
    staged: Kept | OnDevice
    own: Own | None

    @property
    def figures(self) -> dict[str, float]:
        return self.started.figures

    def verify(self) -> Verification | None:
        """Outputs against the fp64 reference, on inputs that the timed loop does not see; None where there is
        none."""
        reference, session = self.started.reference, self.session
        if reference is None:
            return None
        return check(
            reference,
            lambda inputs: session.fetch(session.run(session.stage(inputs))),
            self.started.job.case.batch,
        )

    def warm(self) -> Warm:
        """Warms up until the steady state shows, and settles how samples are taken."""
        job = self.started.job
        with no_gc():
            count, spent, capped, median_ns = warm_up(
                self.timed,
                self.timed.inputs,
                least_ns=int(job.warmup["least_s"] * 1e9),
                most_ns=int(job.warmup["most_s"] * 1e9),
            )
        inner = 1
        if median_ns < job.loop_under_ns and self.started.backend.role == "runtime":
            inner = max(2, round(job.loop_under_ns / max(median_ns, 1.0)))
        self.figures["inner"] = inner
        return Warm(self, {"count": count, "ns": spent, "capped": capped, "median_ns": median_ns}, inner)

    def actual(self) -> dict[str, Any]:
        """What really ran, with its evidence; the device under the name that the case has for it."""
        job, actual = self.started.job, as_dict(self.session.actual())
        if actual["device"]["value"] == job.target.device:
            actual["device"]["value"] = job.case.target.device
        found: dict[str, Any] = actual
        return found


@dataclass(slots=True)
class Warm:
    """A session in its steady state.

    Attributes:
        warmup: as `bench.interfaces.block.Block` has it.
        inner: inferences in a sample.
        cpu_ns: of the bursts so far.
    """

    loaded: Loaded
    warmup: dict[str, Any]
    inner: int
    cpu_ns: int = 0

    @property
    def figures(self) -> dict[str, float]:
        return self.loaded.figures

    def burst(self, *, both: bool) -> dict[str, Any]:
        """One burst: samples at the host boundary, then a third as long at the device boundary if `both` are
        asked for, with the device's own times where it has a clock; and what others took meanwhile."""
        loaded, started = self.loaded, self.loaded.started
        session, staged, inputs, own = loaded.timed, loaded.staged, loaded.timed.inputs, loaded.own
        job, host, device = started.job, started.host, started.device
        before, cpu_before = started.meter.read(), time.process_time_ns()
        device_ns, devices = job.burst_ns // 3, 0
        with no_gc():
            if self.inner == 1:
                least = 1 if self.warmup["median_ns"] > SLOW_NS else LEAST
                hosts = host_loop(session, inputs, host, job.burst_ns, least)
                if both:
                    devices = device_loop(staged, staged.stage(inputs), device, device_ns, 1, own)
            else:
                hosts = host_looped(session, inputs, host, job.burst_ns, self.inner)
                if both:
                    lying = staged.stage(inputs)
                    devices = device_looped(staged, lying, device, device_ns, self.inner, own)
        self.cpu_ns += time.process_time_ns() - cpu_before
        taken = difference(before, started.meter.read())
        return {
            "disturbance": taken,
            "disturbed": disturbed(taken, job.cpus),
            "blobs": [
                host[:hosts].tobytes(),
                device[:devices].tobytes(),
                own.samples[:devices].tobytes() if own else b"",
            ],
        }

    def sustain(self, seconds: float) -> dict[str, Any]:
        """One uninterrupted window: what power and clocks settle at, which bursts hide."""
        timed = self.loaded.timed
        with no_gc():
            count, start, end = sustain(timed, timed.inputs, int(seconds * 1e9))
        return {"window": [start, end], "count": count}

    def finish(self) -> None:
        """Memory and CPU time, before the untimed session of `actual` adds to them."""
        peak = resources.peak_bytes()
        self.figures["peak_bytes"] = peak
        self.figures["model_bytes"] = max(0, peak - self.figures["idle_bytes"])
        self.figures["cpu_ns"] = self.cpu_ns


Phase = Started | Loaded | Warm


def start(job: Job) -> Started:
    """Pins, bounds, and imports the runtime, timed."""
    began = time.monotonic_ns()
    if job.cpus and hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, job.cpus)
    if job.memory_bytes:
        resources.limit_memory(job.memory_bytes)
    backend = _backend(job.case)
    meter = Meter(job.cpus)
    host, device = buffer(job.capacity), buffer(job.capacity)
    inputs = _arrays(job)
    reference = load_reference(job.reference) if job.reference is not None else None
    import_began = time.perf_counter_ns()
    import_runtime(backend)
    figures: dict[str, float] = {
        "import_ns": time.perf_counter_ns() - import_began,
        "spawn_ns": began - job.spawned_ns,
    }
    resources.reset_peak()
    figures["idle_bytes"] = resources.resident_bytes()
    return Started(job, backend, meter, host, device, inputs, reference, figures)


def answer(phase: Phase | None, message: Mapping[str, Any]) -> tuple[Phase, dict[str, Any]]:
    """Carries out a command: the phase after it, and the reply. Raises ValueError for one that does not
    exist in this phase."""
    match message["do"], phase:
        case "start", None:
            started = start(Job.from_dict(message["job"]))
            return started, {"versions": started.versions, "pid": os.getpid()}
        case "load", Started() as started:
            return started.load(), {}
        case "verify", (Loaded() as loaded) | Warm(loaded=loaded):
            found = loaded.verify()
            return phase, {"verification": asdict(found) if found else None}
        case "warm", Loaded() as loaded:
            warm = loaded.warm()
            return warm, {"warmup": warm.warmup}
        case "burst", Warm() as warm:
            every = warm.loaded.started.job.device_every
            return warm, warm.burst(both=message.get("device", every > 0))
        case "sustain", Warm() as warm:
            return warm, warm.sustain(message["seconds"])
        case "finish", Warm() as warm:
            warm.finish()
            return warm, {}
        case "actual", (Loaded() as loaded) | Warm(loaded=loaded):
            return phase, {"actual": loaded.actual()}
        case command, _:
            raise ValueError(f"no command {command!r} for {type(phase).__name__}")


def serve(wire: Wire) -> None:
    """Answers commands until the parent goes or one fails; a failure is answered with its kind."""
    phase: Phase | None = None
    while True:
        try:
            message = wire.receive()
        except EOFError:
            return
        try:
            phase, reply = answer(phase, message)
        except Exception as error:
            wire.send({"error": _explain(error)})
            return
        blobs = reply.pop("blobs", ())
        wire.send({"ok": True, "figures": phase.figures, **reply})
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
