"""A process that reads GPUs a few times a second while others are measured, on a core that is not theirs.

    python -P -m bench.measure.gpu.watch --serve FD PARENT

It answers two commands: `watch` (UUIDs, CPUs, period) once, then `readings` between two times. Readings
before the
first of them are dropped: a night's sweep does not fill the memory.
"""

from __future__ import annotations

import os
import select
import sys
import time
from collections import defaultdict, deque
from dataclasses import asdict
from typing import Any

from bench.machine.gpu.nvml import Library, NoGpu, Reading, handle_of, opened, read
from bench.processes import resources
from bench.processes.wire import Wire


def serve(wire: Wire, library: Library | None = None) -> None:
    """Answers until the parent goes; what cannot be read is told once, with `lost`."""
    try:
        message = wire.receive()
    except EOFError:
        return
    if message["cpus"] and hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, message["cpus"])
    try:
        with opened(library) as opened_library:
            handles = {uuid: handle_of(opened_library, uuid) for uuid in message["uuids"]}
            wire.send({"ok": True})
            _watch(wire, opened_library, handles, message["period_s"])
    except NoGpu as error:
        wire.send({"lost": error.message})
    except EOFError:
        return


def _watch(wire: Wire, library: Library, handles: dict[str, Any], period_s: float) -> None:
    """Reads every `period_s`, and hands out what is asked for. Raises EOFError when the parent is gone."""
    kept: dict[str, deque[Reading]] = defaultdict(deque)
    lost: dict[str, str] = {}
    due = time.monotonic()
    while True:
        ready, _, _ = select.select([wire], [], [], max(0.0, due - time.monotonic()))
        if ready:
            message = wire.receive()
            wire.send({"readings": _between(kept, message["start_ns"], message["end_ns"]), "lost": lost})
            continue
        for uuid, handle in handles.items():
            if uuid not in lost:
                try:
                    kept[uuid].append(read(library, handle))
                except NoGpu as error:  # fallen off the bus, or the driver was unloaded
                    lost[uuid] = error.message
        due = max(due + period_s, time.monotonic())


def _between(kept: dict[str, deque[Reading]], start_ns: int, end_ns: int) -> dict[str, list[dict[str, Any]]]:
    for readings in kept.values():
        while readings and readings[0].at_ns < start_ns:
            readings.popleft()
    return {uuid: [asdict(one) for one in readings if one.at_ns <= end_ns] for uuid, readings in kept.items()}


def main(arguments: list[str]) -> None:
    _, descriptor, parent = arguments
    resources.die_with_parent(int(parent))
    serve(Wire(int(descriptor)))


if __name__ == "__main__":
    main(sys.argv[1:])
