"""The parent's hold on the process that watches the GPUs (`bench.measure.gpu.watch`)."""

from __future__ import annotations

import os
import select
import socket
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import TracebackType
from typing import Any

from bench.interfaces.case import Case
from bench.machine.gpu import devices
from bench.machine.gpu.nvml import Reading
from bench.machine.topology import allowed_cpus
from bench.processes.process import Process
from bench.processes.wire import Wire

PERIOD_S = 0.1
ANSWER_S = 10.0


class Watch:
    """A watcher at work. A context manager. Once it is lost, `lost` says why, and readings are empty: no
    measurement fails for it.

    Args:
        uuids: GPUs or instances to watch.
        measured: CPUs that workers are pinned to; the watcher stays off them where any other is left.
    """

    def __init__(self, uuids: Collection[str], measured: Collection[int] = ()) -> None:
        self.lost = ""
        ours, theirs = socket.socketpair()
        with theirs:
            arguments = ["-m", "bench.measure.gpu.watch", "--serve", str(theirs.fileno()), str(os.getpid())]
            self._process = Process(arguments, pass_fds=(theirs.fileno(),))
        self._wire = Wire(ours.detach())
        message = {"uuids": sorted(uuids), "cpus": free_cpus(measured), "period_s": PERIOD_S}
        self.lost = self._ask(message).get("lost", "")

    def readings(self, start_ns: int, end_ns: int) -> dict[str, list[Reading]]:
        """UUID → what was read in between, oldest first. What is older than `start_ns` is forgotten."""
        reply = self._ask({"start_ns": start_ns, "end_ns": end_ns}) if not self.lost else {}
        for uuid, why in reply.get("lost", {}).items():
            self.lost = self.lost or f"{uuid}: {why}"
        found = reply.get("readings", {})
        return {uuid: [Reading.from_dict(one) for one in readings] for uuid, readings in found.items()}

    def _ask(self, message: Mapping[str, Any]) -> dict[str, Any]:
        try:
            self._wire.send(message)
            ready, _, _ = select.select([self._wire], [], [], ANSWER_S)
            if ready:
                return self._wire.receive()
            why = f"no answer in {ANSWER_S:g} s"
        except (EOFError, OSError, ValueError) as error:
            why = str(error) or "it ended"
        self.lost = f"the watcher of the GPUs is lost: {why}"
        return {}

    def close(self) -> None:
        self._wire.close()
        self._process.end()

    def __enter__(self) -> Watch:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


@contextmanager
def watching(cases: Sequence[Case], budget: Sequence[int]) -> Iterator[Watch | None]:
    """A watcher of the GPUs that the cases use, off the CPUs of their workers; None where they use none.

    Args:
        budget: CPUs of which each worker gets the first, as many as it has threads.
    """
    uuids = {uuid for case in cases if (uuid := devices.uuid(case.target.device))}
    if not uuids:
        yield None
        return
    most = max(case.target.threads for case in cases)
    with Watch(uuids, budget[:most]) as watch:
        yield watch


def free_cpus(measured: Collection[int], allowed: Sequence[int] | None = None) -> list[int]:
    """The CPUs that a watcher may use: those that are not measured, or all where none is left."""
    cpus = list(allowed_cpus() if allowed is None else allowed)
    return [cpu for cpu in cpus if cpu not in measured] or cpus
