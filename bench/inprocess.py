"""A worker's steps in the process that calls, for test runners that time a case themselves.

One process then holds several runtimes, which share its memory, thread pools and OpenMP settings:
`bakeoff run` gives each block a process of its own.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import asdict
from typing import Any

from bench.cache import lock as cache_lock
from bench.compare.naming import axes
from bench.compare.proof import mismatch
from bench.interfaces.case import Case
from bench.interfaces.errors import PrepareError, UnsupportedCase
from bench.interfaces.job import Job
from bench.interfaces.plain import as_dict
from bench.interfaces.tensors import Array
from bench.interfaces.workload import Band
from bench.machine.lock import measurement_lock
from bench.measure.turns import Listener, Seat
from bench.measure.worker_spec import Setting, seat
from bench.plugins import backend_registry
from bench.prepare.prepare import Prepared, prepare
from bench.processes.process import guard
from bench.worker.verify import judge
from bench.worker.worker import Loaded, start


class ReadyCase:
    """A loaded case. Calling it is one inference at the `host` boundary: host arrays in, name → array out.

    Attributes:
        case: what it is.
        facts: what is known of it, JSON-able, most of it under the names of `reports.tables.columns`.
        problem: '' or a sentence about its wrong outputs; it is then not warmed up.
    """

    def __init__(self, case: Case, loaded: Loaded, band: Band, facts: Mapping[str, Any]) -> None:
        self.case = case
        self.facts = {**facts, "verification": {}}
        self._loaded, self._band = loaded, band
        timed = loaded.timed
        self._stage, self._run, self._fetch = timed.stage, timed.run, timed.fetch
        self._inputs = timed.inputs
        self.problem = self._verify("before")
        if not self.problem:
            warmup = loaded.warm().warmup
            self.facts |= {"warmup_count": warmup["count"], "warmup_capped": warmup["capped"]}

    def __call__(self) -> dict[str, Array]:
        return self._fetch(self._run(self._stage(self._inputs)))

    def close_books(self) -> str:
        """Verifies again and reads back what ran; '' or what is wrong, in a sentence."""
        return self._verify("after") or self._prove()

    def _verify(self, when: str) -> str:
        """Against the fp64 reference, on inputs that are not timed."""
        found = self._loaded.verify()
        assert found is not None  # every case of a workload has a reference
        self.facts["verification"][when] = asdict(found)
        self.facts["error"] = max(one["error"] for one in self.facts["verification"].values())
        problem = judge(found, self._band)
        return f"{self.case.label}: wrong output {when} timing: {problem}" if problem else ""

    def _prove(self) -> str:
        proof = self._loaded.actual()
        self.facts |= {
            "precision_ran": proof["precision"]["value"],
            "precision_evidence": proof["precision"]["evidence"],
            "emulated": proof["emulated"],
            "device_ran": proof["device"]["value"],
            "provider": proof["provider"]["value"],
            "threads_ran": proof["threads"]["value"],
            "proof": proof,
        }
        problem = mismatch(self.case, [proof])
        return f"{self.case.label}: {problem}" if problem else ""


@contextmanager
def ready(case: Case, setting: Setting, listener: Listener) -> Iterator[ReadyCase]:
    """Prepares, loads, verifies and warms up; what was changed in this process is put back in the end.

    From loading on it holds the machine's measurement lock. `listener` is told as `prepare` and the lock do.

    Raises:
        BackendUnavailable, UnsupportedCase: this machine cannot do it.
        BakeoffError: something could not be made or loaded.
    """
    with cache_lock.shared(), ExitStack() as stack:
        with guard():
            prepared = prepare([case], listener)[case.id]
        if prepared.error:
            raise (UnsupportedCase if prepared.status == "unsupported" else PrepareError)(prepared.error)
        assert prepared.band is not None  # every case of a workload has one
        place = seat(case, prepared, setting, shared=True)
        stack.enter_context(measurement_lock(True, lambda text: listener("wait", {"text": text})))
        _borrow_process(place, stack)
        others = _runtimes_here(case)
        started = start(Job.from_dict(as_dict(place.job)))  # plain data, as a worker gets it
        stack.callback(started.meter.close)
        found = {"version": _version(started.versions), "process_shared_with": others}
        loaded = started.load()
        stack.enter_context(loaded.session)
        yield ReadyCase(case, loaded, prepared.band, _facts(case, prepared) | found)


def _borrow_process(place: Seat, stack: ExitStack) -> None:
    """Variables that a fresh worker would have been started with; affinity, which the worker's start sets."""
    stack.enter_context(_environment(place.environment))
    if hasattr(os, "sched_getaffinity"):
        stack.callback(os.sched_setaffinity, 0, os.sched_getaffinity(0))


@contextmanager
def _environment(variables: Mapping[str, str]) -> Iterator[None]:
    """Sets variables; in the end all are as they were, those that a runtime has set as well."""
    before = dict(os.environ)
    try:
        os.environ.update(variables)
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def _runtimes_here(case: Case) -> list[str]:
    """Other backends whose runtime this process has imported already; of two with the same modules one."""
    names = {backend_registry.get(name).runtime: name for name in reversed(backend_registry.names("runtime"))}
    own = backend_registry.get(case.backend).runtime
    here = (name for modules, name in names.items() if modules != own and all(map(sys.modules.get, modules)))
    return sorted(here)


def _version(versions: Mapping[str, str]) -> str:
    """The runtime's; NumPy's for a backend that is no more than that."""
    return ", ".join(v for name, v in versions.items() if name != "numpy" or len(versions) == 1)


def _facts(case: Case, prepared: Prepared) -> dict[str, Any]:
    """What is known before the runtime starts."""
    model, band = prepared.model, prepared.band
    return {
        **{name: value for name, value in axes(case).items() if name != "version"},
        "case_id": case.id,
        "boundary": "host",
        "model_format": model.format if model else None,
        "model_sha256": model.sha256 if model else None,
        "band_low": band.low if band else None,
        "band_high": band.high if band else None,
    }
