"""The GPU's side of a part: when each worker lived and ran there, and what the watcher's readings say of
it.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Protocol

from bench.interfaces.block import Block
from bench.machine.gpu.nvml import Reading
from bench.measure.gpu import figures
from bench.measure.gpu.figures import WINDOW_S, Life, Span

BEFORE_NS = 1_000_000_000  # what is looked at of the time before the first worker
SUSTAIN_S = WINDOW_S + 0.5


class Watching(Protocol):
    """What hands out readings (`bench.measure.gpu.watch_link.Watch`)."""

    lost: str

    def readings(self, start_ns: int, end_ns: int) -> dict[str, list[Reading]]: ...


@dataclass(slots=True)
class Track:
    """One worker on a GPU, as the parent saw it. Times are ns of the monotonic clock.

    Attributes:
        uuid: of the GPU; '' for a worker that uses none.
        window: the uninterrupted window and the inferences in it.
    """

    block: Block
    uuid: str
    pid: int = 0
    born_ns: int = field(default_factory=time.monotonic_ns)
    ready_ns: int = 0
    bursts: list[Span] = field(default_factory=list)
    window: tuple[Span, int] | None = None

    def ready(self) -> None:
        """It is loaded and warm."""
        self.ready_ns = time.monotonic_ns()

    @contextmanager
    def burst(self) -> Iterator[None]:
        """Around a burst that came to its end."""
        start = time.monotonic_ns()
        yield
        self.bursts.append((start, time.monotonic_ns()))


def settle(watch: Watching | None, tracks: Sequence[Track], begun_ns: int) -> None:
    """Writes into each block what its GPU did; marks the bursts in which another process computed there."""
    on_gpu = [track for track in tracks if track.uuid and track.bursts]
    if watch is None or not on_gpu:
        return
    found = watch.readings(begun_ns - BEFORE_NS, time.monotonic_ns())
    by_gpu: dict[str, list[Track]] = defaultdict(list)
    for track in on_gpu:
        by_gpu[track.uuid].append(track)
    for uuid, here in by_gpu.items():
        readings = found.get(uuid, [])
        if not readings:
            for track in here:
                track.block.gpu = {"lost": watch.lost or "the watcher read nothing"}
            continue
        before = [one for one in readings if one.at_ns < min(track.born_ns for track in here)]
        foreign = figures.strangers(before, {track.pid for track in here}, readings)
        for track in here:
            life = Life(track.pid, track.born_ns, track.ready_ns, tuple(track.bursts))
            track.block.gpu = figures.block_figures(readings, life, foreign, track.window)
            pairs = zip(track.block.bursts, track.bursts, strict=True)
            track.block.bursts = [
                replace(burst, disturbed=burst.disturbed or figures.disturbed(readings, span, foreign))
                for burst, span in pairs
            ]
