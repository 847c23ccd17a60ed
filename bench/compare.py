"""From blocks to rows: figures with intervals, proof, ratio to the baseline, and the answer in a sentence.

The generation is the unit of statistics, and only blocks of one part, which took turns, are paired.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from itertools import chain
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench import stats
from bench.answers import answer
from bench.block import MEASURED, Block, Burst, Status
from bench.case import HARNESS, Case
from bench.results import Group, Results, Row, RowStatus
from bench.stats import Estimate
from bench.store import CaseRecord, Store

FIRST_IS_COLD_NS = 50_000_000  # below this the first sample of a burst is left out: caches are cold
UNKNOWN = Estimate(None, None, None, 0)
_WORST_FIRST: tuple[Status, ...] = (
    "crashed",
    "out-of-memory",
    "timeout",
    "failed",
    "wrong-output",
    "unsupported",
    "missing",
    "ok",
)
Floats = NDArray[np.float64]
Choose = Callable[[Block], Any]


def results(store: Store, run_id: str = "latest") -> Results:
    """Reads a run and judges it."""
    run = store.run(run_id)
    records = store.cases(run.id)
    blocks: dict[str, list[Block]] = defaultdict(list)
    for block in store.blocks(run.id):
        blocks[block.case_id].append(block)

    def rows_of(members: Sequence[CaseRecord]) -> tuple[Row, ...]:
        base = next((r.case.id for r in members if r.baseline), None)
        return tuple(_row(r, blocks[r.case.id], blocks.get(base or "", [])) for r in members)

    by_group: dict[str, list[CaseRecord]] = defaultdict(list)
    for record in records:
        by_group[record.case.group].append(record)
    groups = tuple(
        _group(key, rows_of(members), blocks, run.relevant)
        for key, members in by_group.items()
        if members[0].case.workload != HARNESS
    )
    harness = rows_of([r for r in records if r.case.workload == HARNESS])
    overhead = next((row for row in harness if row.case.role == "overhead"), None)
    anchor = next((row for row in harness if row.case.role == "anchor"), None)
    return Results(run, groups, overhead, anchor, {key: tuple(found) for key, found in blocks.items()})


def steady(block: Block) -> NDArray[np.int64]:
    """The host samples of a block without the cold first of each burst."""
    parts = [steady_burst(block, burst) for burst in block.bursts]
    return np.concatenate(parts) if parts else block.host_ns[:0]


def steady_burst(block: Block, burst: Burst) -> NDArray[np.int64]:
    """A burst's host samples, the first left out where an inference is under 50 ms and others remain.

    The device samples of a burst follow its host samples, so none of them is cold.
    """
    own = block.host_ns[burst.start : burst.start + burst.count]
    cold = own.size > 1 and float(np.median(block.host_ns)) < FIRST_IS_COLD_NS
    return own[1:] if cold else own


def burst_medians(block: Block) -> dict[int, float]:
    """Round → median of the steady host samples, ns."""
    return {b.round: float(np.median(steady_burst(block, b))) for b in block.bursts}


def ratio(blocks: Sequence[Block], against: Sequence[Block]) -> Estimate:
    """Host latency of one case over another's, from pairs of bursts in the same round of the same part."""
    other = {block.part: block for block in against if block.bursts}
    logs: dict[int, list[float]] = defaultdict(list)
    for block in blocks:
        partner = other.get(block.part)
        if partner is None or not block.bursts:
            continue
        a, b = burst_medians(block), burst_medians(partner)
        shared = sorted(a.keys() & b.keys())
        if shared:
            pairs = ([a[r] for r in shared], [b[r] for r in shared])
            logs[block.generation].append(stats.paired_log_ratio(*pairs))
    return stats.ratio_estimate([float(np.mean(values)) for values in logs.values()])


def _measured(blocks: Sequence[Block]) -> list[Block]:
    return [block for block in blocks if block.bursts and block.status in MEASURED]


def _per_generation(blocks: Sequence[Block], figure: Choose) -> list[float]:
    """One value a generation: the geometric mean over its blocks (a baseline has one in each part)."""
    values: dict[int, list[float]] = defaultdict(list)
    for block in blocks:
        values[block.generation].append(float(figure(block)))
    return [float(np.exp(np.mean(np.log(v)))) for v in values.values()]


def _latency(blocks: Sequence[Block], samples: Choose) -> Estimate:
    medians = _per_generation(blocks, lambda b: np.median(samples(b)) * 1e-9)
    return stats.log_estimate(medians)


def _row(record: CaseRecord, blocks: Sequence[Block], baseline: Sequence[Block]) -> Row:
    measured = _measured(blocks)
    worst = min(blocks, key=lambda b: _WORST_FIRST.index(b.status)) if blocks else None
    status: RowStatus = worst.status if worst else "pending"
    reason = worst.reason if worst else "not measured yet: the run was interrupted before its turn"
    latency = _latency(measured, steady)
    pooled = [steady(block) * 1e-9 for block in measured]
    samples = np.concatenate(pooled) if pooled else np.empty(0)
    inner = max((int(_figure(block, "inner") or 1) for block in measured), default=1)
    proof = measured[-1].actual if measured and measured[-1].actual else None
    differs = mismatch(record.case, [block.actual for block in measured])
    emulated = bool(proof and proof["emulated"])
    because = _unranked_because(record.case, status, differs, emulated)
    bursts = list(chain.from_iterable(block.bursts for block in measured))
    errors = [block.verification[when]["error"] for block in blocks for when in _checks(block)]
    band = record.band
    return Row(
        record=record,
        status=status,
        reason=reason,
        log=worst.log if worst and status != "ok" else "",
        ranked=not because,
        unranked_because=because,
        baseline=record.baseline,
        latency=latency,
        device_latency=_latency(measured, lambda b: b.device_ns),
        rate=record.case.batch / latency.value if latency.value else None,
        unit=record.unit,
        quantiles=stats.quantiles(samples, len(measured) if inner == 1 else 0),
        samples=int(samples.size),
        ratio=UNKNOWN if record.baseline else ratio(measured, _measured(baseline)),
        first=_seconds(blocks, "first_ns"),
        load=_seconds(blocks, "load_ns"),
        build=_seconds(blocks, "build_ns"),
        runtime_import=_seconds(blocks, "import_ns"),
        ready=_seconds(blocks, "ready_ns"),
        peak_bytes=_median(blocks, "peak_bytes"),
        model_bytes=_median(blocks, "model_bytes"),
        cpu_share=_cpu_share(measured),
        error=max(errors, default=None),
        band_low=band.get("low"),
        band_high=band.get("high"),
        precision_ran=proof["precision"]["value"] if proof else "",
        precision_evidence=proof["precision"]["evidence"] if proof else "none",
        emulated=emulated,
        device_ran=proof["device"]["value"] if proof else "",
        provider=proof["provider"]["value"] if proof else "",
        threads_ran=proof["threads"]["value"] if proof else "",
        runtime_version=_version(blocks),
        generations=latency.n,
        disturbed=sum(b.disturbed for b in bursts) / len(bursts) if bursts else None,
        mismatch=differs,
        warmup_capped=any(block.warmup.get("capped", False) for block in measured),
        inner=inner,
    )


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


def mismatch(case: Case, proofs: Sequence[Mapping[str, Any] | None]) -> str:
    """Why what ran is not what was asked for, or '' if every block proves that it is."""
    if case.role != "runtime":
        return ""
    for proof in proofs:
        if proof is None:
            return "unproven: the worker did not say what ran"
        asked = {"precision": _kind(case.target.arithmetic), "device": case.target.device}
        for name, want in asked.items():
            fact = proof[name]
            if fact["evidence"] == "none":
                return f"unproven {name}: {fact['detail'] or 'the runtime does not tell'}"
            ran = _kind(fact["value"]) if name == "precision" else fact["value"]
            if ran != want:
                return f"asked for {name} {want}, ran {ran} ({fact['evidence']})"
    return ""


def _kind(precision: str) -> str:
    """`int8:qdq` and `int8-dynamic` are both int8 arithmetic."""
    return precision.split(":")[0].split("-")[0]


def _unranked_because(case: Case, status: RowStatus, mismatch: str, emulated: bool) -> str:
    if case.role != "runtime":
        return f"it is the harness's own ({case.role})"
    if status != "ok":
        return status
    if mismatch:
        return mismatch
    return f"{case.target.arithmetic} is only emulated on this device" if emulated else ""


def _group(key: str, rows: tuple[Row, ...], blocks: Mapping[str, Sequence[Block]], relevant: float) -> Group:
    """Names the fastest ranked row and those that cannot be told from it."""
    case = rows[0].case
    ranked = [row for row in rows if row.ranked and row.latency.value is not None]
    winner = min(ranked, key=lambda row: _rank_by(row), default=None)
    tied: tuple[Row, ...] = ()
    if winner is not None:
        won = blocks[winner.case.id]
        others = [row for row in ranked if row is not winner]
        tied = tuple(r for r in others if not _told_apart(_measured(blocks[r.case.id]), won, relevant))
    baseline = next((row for row in rows if row.baseline), None)
    title = f"{case.workload} {case.shape}"
    return Group(key, title, rows, baseline, winner, tied, answer(title, rows, winner, tied, baseline))


def _rank_by(row: Row) -> tuple[float, float]:
    """The paired ratio to the baseline where there is one (the baseline's own is 1), else the latency."""
    assert row.latency.value is not None
    paired = 1.0 if row.baseline else row.ratio.value
    return (paired if paired is not None else np.inf, row.latency.value)


def _told_apart(blocks: Sequence[Block], winner: Sequence[Block], relevant: float) -> bool:
    """Whether the interval of the paired ratio to the winner lies above 1 and reaches past what matters."""
    against = ratio(blocks, _measured(winner))
    if against.value is None or against.low is None:
        return False
    return against.low > 1.0 and against.value >= 1.0 + relevant
