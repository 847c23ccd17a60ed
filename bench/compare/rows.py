"""From the blocks of a case to its row: figures with intervals, proof, and the ratio to the baseline."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from itertools import chain
from types import MappingProxyType
from typing import Any

import numpy as np

from bench.compare.proof import mismatch, unranked_because
from bench.compare.results import OnGpu, Row, RowStatus
from bench.interfaces.block import Block, Status
from bench.interfaces.estimate import Estimate
from bench.stats import estimates
from bench.stats.noise import noise
from bench.stats.pairs import Round, log_ratios, measured, paired_rounds, replicate_logs, steady
from bench.stats.percentiles import tails
from bench.stats.steadiness import Worker
from bench.store.records import CaseRecord

WORST_FIRST: tuple[Status, ...] = (
    "crashed",
    "out-of-memory",
    "timeout",
    "failed",
    "wrong-output",
    "unsupported",
    "missing",
    "unverified",
    "ok",
)
Choose = Callable[[Block], Any]


def _per_replicate(blocks: Sequence[Block], figure: Choose) -> list[float]:
    """One value a replicate: the geometric mean over its blocks (a baseline has one in each part)."""
    values: dict[int, list[float]] = defaultdict(list)
    for block in blocks:
        values[block.replicate].append(float(figure(block)))
    return [float(np.exp(np.mean(np.log(v)))) for v in values.values()]


def ratio(blocks: Sequence[Block], against: Sequence[Block], without: Collection[Round] = ()) -> Estimate:
    """Host latency of one case over another's, from pairs of bursts in the same round of the same part."""
    return estimates.ratio_estimate(log_ratios(blocks, against, without))


def latencies(blocks: Sequence[Block]) -> list[float]:
    """One inference at the `host` boundary, in seconds: one value a replicate."""
    return _medians(measured(blocks), steady)


def _medians(blocks: Sequence[Block], samples: Choose) -> list[float]:
    def positive(block: Block) -> Any:  # what is not is no time, and the linter tells of it
        found = samples(block)
        return found[found > 0]

    some = [block for block in blocks if len(positive(block))]
    return _per_replicate(some, lambda b: np.median(positive(b)) * 1e-9)


def _latency(blocks: Sequence[Block], samples: Choose) -> Estimate:
    return estimates.log_estimate(_medians(blocks, samples))


def row(
    record: CaseRecord,
    blocks: Sequence[Block],
    baseline: Sequence[Block],
    marked: Collection[Round] = (),
    unsteady: Mapping[Worker, bool] = MappingProxyType({}),
) -> Row:
    """The row of a case, its verdict still open.

    Args:
        blocks, baseline: its own, and those of the case that it is compared with.
        marked: rounds of the run in which any worker was disturbed.
        unsteady: `bench.stats.steadiness.unsteady` of the run.
    """
    done = measured(blocks)
    proofs = [block.actual for block in done if block.actual]
    latency = _latency(done, steady)
    state = _state(record, blocks, done, proofs, latency)
    hit = {(block.part, b.round) for block in done for b in block.bursts} & set(marked)
    late = [unsteady[key] for b in done if (key := (b.case_id, b.part)) in unsteady]
    bursts = list(chain.from_iterable(block.bursts for block in done))
    against = [] if record.baseline else baseline
    paired = paired_rounds(blocks, against)
    return Row(
        record=record,
        **state,
        **_ran(proofs[-1] if proofs else None),
        **_sizes(blocks),
        **_tails(done),
        baseline=record.baseline,
        latency=latency,
        device_latency=_latency(done, lambda b: b.device_ns),
        own_latency=_latency(done, lambda b: b.own_ns),
        rate=record.case.batch / latency.value if latency.value else None,
        unit=record.unit,
        ratio=estimates.ratio_estimate(replicate_logs(paired)),
        cpu_share=_cpu_share(done),
        error=_worst_error(blocks),
        band_low=record.band.get("low"),
        band_high=record.band.get("high"),
        runtime_version=_version(blocks),
        replicates=latency.n,
        rounds=tuple(len(block.bursts) for block in done),
        noise=noise(paired),
        disturbed=sum(b.disturbed for b in bursts) / len(bursts) if bursts else None,
        marked=len(hit) / len(bursts) if bursts else None,
        unsteady=sum(late) / len(late) if late else None,
        quiet_latency=_latency(done, lambda b: steady(b, hit)),
        quiet_ratio=ratio(blocks, against, hit),
        warmup_capped=any(block.warmup.get("capped", False) for block in done),
        gpu=on_gpu(done),
    )


def _state(
    record: CaseRecord,
    blocks: Sequence[Block],
    done: Sequence[Block],
    proofs: Sequence[Mapping[str, Any]],
    latency: Estimate,
) -> dict[str, Any]:
    """How the case ended, and whether it may win."""
    worst = min(blocks, key=lambda b: WORST_FIRST.index(b.status)) if blocks else None
    status: RowStatus = worst.status if worst else "pending"
    differs = mismatch(record.case, proofs) if done else ""
    emulated = bool(proofs and proofs[-1]["emulated"])
    because = unranked_because(record.case, status, differs, emulated)
    if not because and blocks and latency.value is None:
        because = "no figures: none of its samples is a time"
    return {
        "status": status,
        "reason": worst.reason if worst else "not measured yet: the run was interrupted before its turn",
        "log": worst.log if worst and status != "ok" else "",
        "ranked": not because,
        "unranked_because": because,
        "mismatch": differs,
        "emulated": emulated,
    }


def _ran(proof: Mapping[str, Any] | None) -> dict[str, Any]:
    """What really ran, by the last proof."""
    of = {name: proof[name] for name in ("precision", "device", "provider", "threads")} if proof else {}
    values = {name: fact["value"] for name, fact in of.items()}
    return {
        "precision_ran": values.get("precision", ""),
        "precision_evidence": of["precision"]["evidence"] if of else "none",
        "device_ran": values.get("device", ""),
        "provider": values.get("provider", ""),
        "threads_ran": values.get("threads", ""),
        "kernels": _kernels(proof),
    }


def _sizes(blocks: Sequence[Block]) -> dict[str, Any]:
    """Times of the single phases in seconds, and sizes in bytes: medians over the blocks that have them."""
    return {
        "first": _seconds(blocks, "first_ns"),
        "load": _seconds(blocks, "load_ns"),
        "build": _seconds(blocks, "build_ns"),
        "runtime_import": _seconds(blocks, "import_ns"),
        "ready": _seconds(blocks, "ready_ns"),
        "peak_bytes": _median(blocks, "peak_bytes"),
        "model_bytes": _median(blocks, "model_bytes"),
    }


def _tails(done: Sequence[Block]) -> dict[str, Any]:
    """Percentiles of the steady samples, and how many samples and inferences they rest on."""
    pooled = [steady(block) * 1e-9 for block in done]
    inner = max((int(_figure(block, "inner") or 1) for block in done), default=1)
    found = tails(pooled, looped=inner > 1)
    return {
        "tails": found,
        "quantiles": {name: one.value for name, one in found.items()},
        "samples": sum(one.size for one in pooled),
        "inner": inner,
    }


def _worst_error(blocks: Sequence[Block]) -> float | None:
    """The largest error of all verifications; infinite where outputs could not be compared."""
    errors = [block.verification[when]["error"] for block in blocks for when in _checks(block)]
    return max((math.inf if math.isnan(e) else e for e in errors), default=None)


def _kernels(proof: Mapping[str, Any] | None) -> float | None:
    told = proof.get("settings", {}).get("kernels_ns") if proof else None
    return told * 1e-9 if isinstance(told, int | float) and told > 0 else None


def on_gpu(blocks: Sequence[Block]) -> OnGpu | None:
    """What the blocks kept of their GPU: medians over those that tell, the window of the last that has
    one.
    """
    told = [block.gpu for block in blocks if block.gpu]
    if not told:
        return None
    windows = [one["sustained"] for one in told if "sustained" in one]
    window: Mapping[str, Any] = windows[-1] if windows else {}
    took = window.get("inference_ns")
    return OnGpu(
        **{name: _middle(told, name) for name in ("memory_bytes", "sm_mhz", "memory_mhz", "temperature_c")},
        throttled=_middle(told, "throttled"),
        memory_how=next((one["memory_how"] for one in told if "memory_how" in one), ""),
        throttles=tuple(dict.fromkeys(word for one in told for word in one.get("throttles", ()))),
        others=max(one.get("others", 0) for one in told),
        sustained=took * 1e-9 if took else None,
        sustained_sm_mhz=window.get("sm_mhz"),
        sustained_throttled=window.get("throttled"),
        power_w=window.get("power_w"),
        energy_j=window.get("energy_j"),
        energy_source=window.get("source", ""),
        energy_doubts=tuple(window.get("doubts", ())),
        lost=next((one["lost"] for one in told if "lost" in one), ""),
    )


def _middle(told: Sequence[Mapping[str, Any]], name: str) -> float | None:
    values = [one[name] for one in told if name in one]
    return float(np.median(values)) if values else None


def _checks(block: Block) -> list[str]:
    return [when for when in ("before", "after") if when in block.verification]


def _figure(block: Block, name: str) -> float | None:
    return block.figures.get(name)


def _median(blocks: Sequence[Block], name: str) -> float | None:
    values = [block.figures[name] for block in blocks if name in block.figures]
    return float(np.median(values)) if values else None


def _seconds(blocks: Sequence[Block], name: str) -> float | None:
    value = _median(blocks, name)
    return None if value is None else value * 1e-9


def _cpu_share(blocks: Sequence[Block]) -> float | None:
    """CPU time over wall time during the bursts: how many cores were busy with it."""
    wall = sum(burst.disturbance.get("wall_ns", 0.0) for block in blocks for burst in block.bursts)
    cpu = sum(block.figures.get("cpu_ns", 0.0) for block in blocks)
    return cpu / wall if wall else None


def _version(blocks: Sequence[Block]) -> str:
    """The runtime's version; several where the blocks of a resumed run differ."""
    found = {v for b in blocks for name, v in b.versions.items() if name != "numpy" or len(b.versions) == 1}
    return ", ".join(sorted(found))
