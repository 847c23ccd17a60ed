"""What a run comes to: rows, groups and their answers, as plain data. Made by `bench.compare.judge`.

A row is what tables, figures and reports show; nothing downstream reads blocks except the figures of
distributions.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, get_args

from bench.interfaces.block import Block, Status
from bench.interfaces.case import Case
from bench.interfaces.estimate import Estimate
from bench.stats.noise import Noise
from bench.stats.percentiles import QUANTILES, quantile_name, samples_needed
from bench.stats.verdict import Verdict
from bench.store.records import CaseRecord, EstimateRecord, RunRecord
from bench.text.numbers import told

__all__ = [
    "KINDS",
    "QUANTILE_SAMPLES",
    "RAW",
    "Finding",
    "Group",
    "Kind",
    "Noise",
    "OnGpu",
    "OnMachines",
    "Results",
    "Row",
    "RowStatus",
    "Share",
    "Standing",
    "Verdict",
]
RowStatus = Status | Literal["pending"]  # pending: no block yet
QUANTILE_SAMPLES: Mapping[str, int] = {quantile_name(q): samples_needed(q) for q in QUANTILES}
"""Percentile → how many samples it takes."""
Kind = Literal["wrong", "harm", "doubt"]
KINDS: tuple[Kind, ...] = get_args(Kind)
RAW = "Ratios are of the latencies as they are: the machines shared no rounds, and each had its own day."


@dataclass(frozen=True, slots=True)
class Finding:
    """Something about a run that a reader must know before believing a row. Made by `bench.compare.lint`.

    Attributes:
        rule: its name: the function's, with dashes.
        kind: `wrong`: no machine can have measured that; `harm`: true, and a setting to stay away from;
            `doubt`: measured under circumstances that ask for another look.
        case_ids: the cases that it is about.
        text: a sentence with the number.
        look: what to look at, or the command to type.
    """

    rule: str
    kind: Kind
    case_ids: tuple[str, ...]
    text: str
    look: str


@dataclass(frozen=True, slots=True)
class Share:
    """How near a row comes to what its device can: the least time by `of` over its own."""

    value: float
    of: str


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
        latency: one inference at the `host` boundary: geometric mean over replicates of the median of the
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
        undisturbed: the verdict once more, without the marked rounds; None where none of its rounds was
            marked, or it has no verdict.
        noise: how rounds and replicates scatter against the baseline; None where too little was measured.
        rounds: how many each of its measured blocks has.
        roofline: its share of what its device can at most; None where limits or cost are unknown.
        ended: why no further replicate was measured.
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
    replicates: int
    disturbed: float | None
    marked: float | None
    unsteady: float | None
    quiet_latency: Estimate
    quiet_ratio: Estimate
    mismatch: str
    warmup_capped: bool
    inner: int
    noise: Noise | None = None
    rounds: tuple[int, ...] = ()
    roofline: Share | None = None
    verdict: Verdict | None = None
    undisturbed: Verdict | None = None
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
    def second(self) -> Verdict | None:
        """`undisturbed`, where it reads differently: the ratio leaves the first's interval or is gone, or the
        word changes."""
        if self.undisturbed is None or self.verdict is None:
            return None
        value, low, high = self.quiet_ratio.value, self.ratio.low, self.ratio.high
        outside = value is not None and low is not None and high is not None and not low <= value <= high
        differs = value is None or outside or self.undisturbed.word != self.verdict.word
        return self.undisturbed if differs else None

    @property
    def launch_share(self) -> float | None:
        """Of the `device` boundary's time, what no kernel ran: the device waited for the host."""
        wall = self.device_latency.value
        return max(0.0, 1 - self.kernels / wall) if self.kernels is not None and wall else None


@dataclass(frozen=True, slots=True)
class Group:
    """Cases of one workload and shape, with the answer in a sentence. Its title is its own within the run.

    `winner` is None where nothing is ranked; `tied` are the ranked cases that cannot be told from it.
    `marked` is the share of its rounds in which any worker was disturbed; 0 where nothing was measured.
    """

    key: str
    title: str
    rows: tuple[Row, ...]
    baseline: Row | None
    winner: Row | None
    tied: tuple[Row, ...]
    answer: str
    marked: float = 0.0

    def in_order(self) -> list[Row]:
        """Rows as they are shown: the ranked by their ratio to the baseline, as the winner is found; then
        what was measured but may not win; then those without a figure."""

        def key(row: Row) -> tuple[bool, bool, float, float]:
            latency = row.latency.value if told(row.latency.value) else None
            ratio = 1.0 if row.baseline else row.ratio.value
            return (
                latency is None,
                not row.ranked,
                math.inf if ratio is None else ratio,
                math.inf if latency is None else latency,
            )

        return sorted(self.rows, key=key)


@dataclass(frozen=True, slots=True)
class Standing:
    """One machine's part in a comparison: the row of its fastest ranked way. `verdict` is against the first
    machine, None for that itself."""

    machine: str
    row: Row
    verdict: Verdict | None = None


@dataclass(frozen=True, slots=True)
class OnMachines:
    """What was compared (`resnet50 b1 · torch · fp32`, or the best of each), and how each machine stands."""

    title: str
    name: str
    standings: tuple[Standing, ...]


@dataclass(frozen=True, slots=True)
class Results:
    """A run, read back and judged.

    Attributes:
        overhead, anchor: the row of the null backend and of the anchor; None where the run has none.
        looks: the numbers of replicates at which may be looked.
        findings: what is wrong or in doubt, the worst kind first.
        said: verdicts as they were when the run ended; () of a run that has not, or of before they were kept.
        machines, others: each group against the same on other machines, and the runs of those; () where
            nothing was put beside it (`bench.compare.across_machines.beside`).
    """

    run: RunRecord
    groups: tuple[Group, ...]
    overhead: Row | None
    anchor: Row | None
    blocks: Mapping[str, tuple[Block, ...]] = field(repr=False)
    looks: tuple[int, ...] = ()
    findings: tuple[Finding, ...] = ()
    said: tuple[EstimateRecord, ...] = ()
    machines: tuple[OnMachines, ...] = ()
    others: tuple[RunRecord, ...] = ()

    @property
    def rows(self) -> tuple[Row, ...]:
        return tuple(row for group in self.groups for row in group.rows)
