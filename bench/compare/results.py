"""What a run comes to: rows, groups and their answers, as plain data. Made by `bench.compare.judge`.

A row is what tables, figures and reports show; nothing downstream reads blocks except the figures of
distributions.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from bench.interfaces.block import Block, Status
from bench.interfaces.case import Case
from bench.stats.estimates import Estimate
from bench.stats.verdict import Verdict
from bench.store.records import CaseRecord, RunRecord

RowStatus = Status | Literal["pending"]  # pending: no block yet


@dataclass(frozen=True, slots=True)
class OnGpu:
    """What a row's GPU did, read by the watcher; None for what the driver did not tell.

    Attributes:
        memory_bytes, memory_how: the most that the worker's process had, and how that is known.
        sm_mhz, memory_mhz, temperature_c: means over the bursts.
        throttled: share of the readings in bursts at which something held the clocks back; `throttles` says
        what.
        others: other processes on the GPU, at most.
        sustained: seconds of an inference in the uninterrupted window, `sustained_sm_mhz` its mean clock and
            `sustained_throttled` the share of it that was held back.
        power_w: of the whole GPU in that window; `energy_j` of one inference in it.
        energy_source: the driver's `counter`, or the integral of `power`.
        energy_doubts: why the energy is not valid; () if it is.
        lost: why nothing was read, ''.
    """

    memory_bytes: float | None = None
    memory_how: str = ""
    sm_mhz: float | None = None
    memory_mhz: float | None = None
    temperature_c: float | None = None
    throttled: float | None = None
    throttles: tuple[str, ...] = ()
    others: int = 0
    sustained: float | None = None
    sustained_sm_mhz: float | None = None
    sustained_throttled: float | None = None
    power_w: float | None = None
    energy_j: float | None = None
    energy_source: str = ""
    energy_doubts: tuple[str, ...] = ()
    lost: str = ""

    @property
    def energy_valid(self) -> bool | None:
        """None where no energy is known."""
        return None if self.energy_j is None else not self.energy_doubts


@dataclass(frozen=True, slots=True)
class Row:
    """One case of a run, ready to show. Times in seconds, sizes in bytes, ratios as factors.

    Attributes:
        status, reason, log: the worst block's, and the end of its log if it failed; `pending` without any.
        ranked: whether it may win; `unranked_because` says why not.
        latency: one inference at the `host` boundary: geometric mean over generations of the median of the
            steady samples.
        device_latency: likewise at the `device` boundary.
        own_latency: likewise from its first to its end by the device's own clock.
        kernels: seconds that the kernels of an inference took together, in an untimed profile; None if not
            told.
        rate: units of work per second at concurrency 1 (`unit`), from `latency` and the batch.
        quantiles: steady host samples of all blocks pooled, `p50 p90 p95 p99` → seconds, None where the
            sample cannot support it (then `tail_needs` says how many it takes).
        tails: the same with their intervals, from resampled blocks.
        ratio: latency over the baseline's, paired by rounds; under 1 is faster. None for the baseline. Its
            interval is at the verdict's level, which is over 95 % where several looks share α.
        error, band_low, band_high: worst verification error of all blocks and its band.
        precision_ran, precision_evidence, device_ran, provider, threads_ran: from `actual()`.
        disturbed: share of its bursts marked as disturbed; `marked` of the rounds it took part in, in
            which any worker was.
        unsteady: share of its blocks whose level changed in the last third of their rounds; None where none
            could be judged.
        quiet_latency, quiet_ratio: the second figures, without the marked rounds.
        verdict: against the baseline; None for the baseline and for what was not measured.
        ended: why no further generation was measured.
        mismatch: what ran is not what was asked for, or is unproven; '' if proven.
        gpu: what its GPU did; None for a row of no GPU.
        called: its label where the case's own is that of another of the run, too.
    """

    record: CaseRecord
    status: RowStatus
    reason: str
    log: str
    ranked: bool
    unranked_because: str
    baseline: bool
    latency: Estimate
    device_latency: Estimate
    own_latency: Estimate
    kernels: float | None
    rate: float | None
    unit: str
    quantiles: Mapping[str, float | None]
    tails: Mapping[str, Estimate]
    samples: int
    ratio: Estimate
    first: float | None
    load: float | None
    build: float | None
    runtime_import: float | None
    ready: float | None
    peak_bytes: float | None
    model_bytes: float | None
    cpu_share: float | None
    error: float | None
    band_low: float | None
    band_high: float | None
    precision_ran: str
    precision_evidence: str
    emulated: bool
    device_ran: str
    provider: str
    threads_ran: str
    runtime_version: str
    generations: int
    disturbed: float | None
    marked: float | None
    unsteady: float | None
    quiet_latency: Estimate
    quiet_ratio: Estimate
    mismatch: str
    warmup_capped: bool
    inner: int
    verdict: Verdict | None = None
    ended: str = ""
    gpu: OnGpu | None = None
    called: str = ""

    @property
    def case(self) -> Case:
        return self.record.case

    @property
    def label(self) -> str:
        """One line for people, which no other row of the run has."""
        return self.called or self.case.label

    @property
    def launch_share(self) -> float | None:
        """Of the `device` boundary's time, what no kernel ran: the device waited for the host."""
        wall = self.device_latency.value
        return max(0.0, 1 - self.kernels / wall) if self.kernels is not None and wall else None


@dataclass(frozen=True, slots=True)
class Group:
    """Cases of one workload and shape, with the answer in a sentence. Its title is its own within the run.

    `winner` is None where nothing is ranked; `tied` are the ranked cases that cannot be told from it.
    """

    key: str
    title: str
    rows: tuple[Row, ...]
    baseline: Row | None
    winner: Row | None
    tied: tuple[Row, ...]
    answer: str


@dataclass(frozen=True, slots=True)
class Results:
    """A run, read back and judged.

    `overhead` is the null backend's row, `anchor` the anchor's; None where the run has none.
    """

    run: RunRecord
    groups: tuple[Group, ...]
    overhead: Row | None
    anchor: Row | None
    blocks: Mapping[str, tuple[Block, ...]] = field(repr=False)

    @property
    def rows(self) -> tuple[Row, ...]:
        return tuple(row for group in self.groups for row in group.rows)
