"""One part of a replicate: fresh workers live together and take bursts in random turns.

What wanders in the machine's speed then hits all alike and leaves their ratio. Whoever is not running is
stopped, so that no pool spins beside the one that is timed.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from bench.interfaces.block import Block, Burst, Samples, Status
from bench.interfaces.case import Case
from bench.interfaces.job import Job
from bench.interfaces.workload import Band
from bench.measure.gpu.timeline import SUSTAIN_S, Track, Watching, settle
from bench.measure.link import Failure, Link
from bench.store.records import RoundRecord, now
from bench.worker.verify import Verification, judge

Listener = Callable[[str, Mapping[str, Any]], None]
LOG_KEPT = 4000
UNVERIFIED = "there is nothing to compare its outputs with"


@dataclass(frozen=True, slots=True)
class Limits:
    """Seconds that a phase may take."""

    load: float = 300.0
    warmup: float = 120.0
    burst: float = 60.0


@dataclass(frozen=True, slots=True)
class Seat:
    """One case's place in a part: its job, what its process needs, its interpreter and program, whether what
    really ran is read back, and the UUID of its GPU, if it has one."""

    job: Job
    environment: Mapping[str, str] = field(default_factory=dict)
    interpreter: Path | None = None
    module: str = "bench.worker"
    prove: bool = True
    gpu: str = ""

    @property
    def case(self) -> Case:
        return self.job.case


class Measured(NamedTuple):
    """What came of a part."""

    blocks: list[Block]
    rounds: list[RoundRecord]


@dataclass(slots=True)
class _Live:
    link: Link
    block: Block
    prove: bool
    track: Track
    host: list[Samples] = field(default_factory=list)
    device: list[Samples] = field(default_factory=list)
    own: list[Samples] = field(default_factory=list)


def measure_part(
    seats: Sequence[Seat],
    *,
    replicate: int,
    part: int,
    rounds: int,
    limits: Limits,
    order: random.Random,
    listener: Listener,
    watch: Watching | None = None,
) -> Measured:
    """Measures the cases of a part together; one block each, whatever became of it, in their order.

    Workers are started, loaded, verified and warmed up one at a time, all others stopped. Any worker that
    fails leaves the part; the rest goes on. Nothing that was started is alive when this returns or raises.
    `watch` reads the GPUs meanwhile; a case that uses one runs for a window of its own in its first block.
    """
    here = _Part(replicate, part, limits, listener)
    try:
        for seat in order.sample(list(seats), len(seats)):
            here.start(seat, watched=watch is not None)
        here.take_turns(rounds, order)
        for one in list(here.live):
            here.close(one)
        settle(watch, here.tracks, here.begun_ns)
    finally:
        for one in here.live:
            one.link.end()
    for block in here.ended:
        block.figures |= {"part_ns": time.monotonic_ns() - here.begun_ns, "turns_ns": here.turns_ns}
    places = {seat.case.id: place for place, seat in enumerate(seats)}
    return Measured(sorted(here.ended, key=lambda block: places[block.case_id]), here.rounds)


class _Part:
    """The workers of a part from their start to their blocks.

    Attributes:
        live: those that go on.
        ended: blocks of those that have come to their end or failed.
        tracks: one for each that was to be started.
        rounds: when each was.
        begun_ns: on the monotonic clock.
        turns_ns: what all rounds took.
    """

    def __init__(self, replicate: int, number: int, limits: Limits, listener: Listener) -> None:
        self.live: list[_Live] = []
        self.ended: list[Block] = []
        self.tracks: list[Track] = []
        self.rounds: list[RoundRecord] = []
        self.begun_ns, self.turns_ns = time.monotonic_ns(), 0
        self._replicate, self._number = replicate, number
        self._limits, self._listener = limits, listener

    def start(self, seat: Seat, *, watched: bool) -> None:
        """Starts a worker, makes it ready and stops it; `watched`: its GPU's readings are taken."""
        block = Block(seat.case.id, self._replicate, self._number, "ok", started=now())
        self._tell(seat.case, "load")
        track = Track(block, seat.gpu if watched else "")
        self.tracks.append(track)
        try:
            link = Link(
                seat.job, environment=seat.environment, interpreter=seat.interpreter, module=seat.module
            )
        except OSError as error:
            block.status, block.reason = "failed", f"the worker could not be started: {error}"
            self.ended.append(block)
            return
        track.pid = link.process.pid
        one = _Live(link, block, seat.prove, track)
        self.live.append(one)
        if self._guarded(one, partial(_make_ready, one, self._limits, self._listener)):
            one.link.stop()

    def take_turns(self, rounds: int, order: random.Random) -> None:
        """In each round a burst of every worker that is left, in an order of its own."""
        begun_ns = time.monotonic_ns()
        for number in range(rounds):
            if not self.live:
                break
            round_ns = time.monotonic_ns()
            for place, one in enumerate(order.sample(self.live, len(self.live))):
                self._listener("burst", {"case": one.link.case, "round": number, "rounds": rounds})
                self._guarded(one, partial(_turn, one, number, place, self._limits))
            took_ns = time.monotonic_ns() - round_ns
            self.rounds.append(RoundRecord(self._number, number, round_ns - begun_ns, took_ns))
        self.turns_ns = time.monotonic_ns() - begun_ns

    def close(self, one: _Live) -> None:
        """The window of one that uses a GPU, then its books; its process has ended."""
        if one.track.uuid and one.prove:
            self._tell(one.link.case, "sustain")
            if not self._guarded(one, partial(_sustain, one, self._limits)):
                return
        self._tell(one.link.case, "verify")
        if self._guarded(one, partial(_close, one, self._limits)):
            self.live.remove(one)
            self.ended.append(_finished(one))

    def _tell(self, case: Case, phase: str) -> None:
        self._listener("case", {"case": case, "phase": phase, "replicate": self._replicate})

    def _guarded(self, one: _Live, step: Callable[[], None]) -> bool:
        """Runs a step; on failure the worker leaves the part with the reason and the end of its log."""
        try:
            step()
        except Failure as failure:
            log = one.link.end()
            self.live.remove(one)
            block = _finished(one)
            block.status, block.reason = failure.status, failure.reason
            block.log = "\n".join(text for text in (failure.trace, log) if text)[-LOG_KEPT:]
            self.ended.append(block)
            return False
        return True


def _make_ready(one: _Live, limits: Limits, listener: Listener) -> None:
    """Start, load, first inference, verification, warm-up."""
    link, block = one.link, one.block
    block.versions = link.ask("start", limits.load, job=link.job)["versions"]
    block.figures = link.ask("load", limits.load)["figures"]
    _verify(one, "before", limits)
    listener("case", {"case": link.case, "phase": "warm up", "replicate": block.replicate})
    block.warmup = link.ask("warm", limits.warmup)["warmup"]
    one.track.ready()


def _turn(one: _Live, number: int, place: int, limits: Limits) -> None:
    """Wakes a worker for one burst and stops it again."""
    one.link.resume()
    every = one.link.job.device_every
    device = bool(every) and number % every == 0
    with one.track.burst():
        reply = one.link.ask("burst", limits.burst, device=device)
    one.link.stop()
    hosts, devices, own = (np.frombuffer(blob, dtype=np.int64) for blob in reply["blobs"])
    burst = Burst(
        round=number,
        order=place,
        start=sum(samples.size for samples in one.host),
        count=hosts.size,
        device_start=sum(samples.size for samples in one.device),
        device_count=devices.size,
        disturbance=reply["disturbance"],
        disturbed=bool(reply["disturbed"]),
    )
    one.block.bursts.append(burst)
    one.host.append(hosts)
    one.device.append(devices)
    one.own.append(own)


def _sustain(one: _Live, limits: Limits) -> None:
    """One uninterrupted window while all others are stopped."""
    one.link.resume()
    reply = one.link.ask("sustain", SUSTAIN_S + limits.burst, seconds=SUSTAIN_S)
    start, end = reply["window"]
    one.track.window = (start, end), reply["count"]


def _close(one: _Live, limits: Limits) -> None:
    """Memory and CPU figures, verification after, and what really ran where it is to be proven."""
    one.link.resume()
    one.block.figures = one.link.ask("finish", limits.load)["figures"]
    _verify(one, "after", limits)
    if one.prove:
        one.block.actual = one.link.ask("actual", limits.load)["actual"]
    one.block.log = one.link.end()[-LOG_KEPT:]


def _verify(one: _Live, when: str, limits: Limits) -> None:
    job, block = one.link.job, one.block
    found = one.link.ask("verify", limits.load)["verification"]
    if found is None or job.band is None:
        if job.model is not None:
            block.status, block.reason = "unverified", UNVERIFIED
        return
    low, high = job.band
    block.verification.update({when: found, "low": low, "high": high})
    verdict = judge(Verification(**found), Band(low, high))
    if verdict:
        block.status = _wrong(block.status)
        block.reason = f"{when} timing: {verdict}"


def _wrong(status: Status) -> Status:
    return "wrong-output" if status == "ok" else status


def _finished(one: _Live) -> Block:
    """The block with its samples in the order they were taken."""
    if one.host:
        one.block.host_ns = np.concatenate(one.host)
        one.block.device_ns = np.concatenate(one.device)
        one.block.own_ns = np.concatenate(one.own)
    return one.block
