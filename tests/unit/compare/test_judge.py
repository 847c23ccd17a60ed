"""From blocks to rows: what is ranked, what is paired, and what the answer may claim."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bench.compare.judge import results
from bench.compare.results import Results
from bench.compare.rows import ratio
from bench.interfaces.backend import Target
from bench.interfaces.block import Block, Burst
from bench.interfaces.case import HARNESS, Case
from bench.stats.pairs import steady
from bench.store.records import CaseRecord, RunRecord
from bench.store.sqlite import Store

ROUNDS = 10


def case(backend: str, precision: str = "fp32", role: str = "runtime", workload: str = "resnet50") -> Case:
    return Case(workload, "c", 4, None, backend, Target(threads=2, precision=precision), role=role)


def proof(precision: str = "fp32", evidence: str = "executed", emulated: bool = False) -> dict[str, Any]:
    def fact(value: str, found: str) -> dict[str, str]:
        return {"value": value, "evidence": found, "detail": ""}

    return {
        "precision": fact(precision, evidence),
        "device": fact("cpu", "reported"),
        "provider": fact("x", "reported"),
        "threads": fact("2", "reported"),
        "emulated": emulated,
        "settings": {},
    }


def block(
    one: Case,
    replicate: int,
    milliseconds: float,
    *,
    part: int | None = None,
    wander: np.ndarray | None = None,
    cold: float = 1.0,
    **changes: Any,
) -> Block:
    """Ten bursts of five samples; each burst's speed is `milliseconds` times what the machine did then."""
    speed = np.ones(ROUNDS) if wander is None else wander
    samples = np.repeat(speed[:, None], 5, axis=1) * milliseconds * 1e6
    samples[:, 0] *= cold
    facts: dict[str, Any] = {
        "verification": {"before": {"error": 1e-7}, "after": {"error": 2e-7}},
        "actual": proof(),
        "versions": {"numpy": "2", "runtime": "1.2"},
        "figures": {"load_ns": 2e9, "peak_bytes": 3e8, "model_bytes": 1e8, "inner": 1},
    }
    return Block(
        one.id,
        replicate,
        replicate if part is None else part,
        changes.pop("status", "ok"),
        bursts=[Burst(i, 0, 5 * i, 5, 5 * i, 5, {"wall_ns": 1.0}, disturbed=i == 0) for i in range(ROUNDS)],
        host_ns=samples.reshape(-1).astype(np.int64),
        device_ns=(samples.reshape(-1) * 0.9).astype(np.int64),
        **{**facts, **changes},
    )


def judged(tmp_path: Path, cases: list[Case], blocks: list[Block], baseline: Case | None = None) -> Results:
    with Store.open(tmp_path / "s.sqlite", create=True) as store:
        run = store.create_run(RunRecord("r", "quick", "finished", "2026-01-01T00:00:00+00:00"))
        band = {"low": 0.0, "high": 1e-5}
        store.add_cases(run, [CaseRecord(c, c == baseline, "image", band=band) for c in cases])
        for one in blocks:
            store.add_blocks(run, [one])
        return results(store, run)


def noise(seed: int, spread: float = 0.2) -> np.ndarray:
    return np.exp(np.random.default_rng(seed).normal(0, spread, ROUNDS))


TORCH, ORT, OV = case("torch"), case("onnxruntime"), case("openvino")


def test_a_row_has_its_figures(tmp_path: Path) -> None:
    found = judged(tmp_path, [TORCH], [block(TORCH, g, 10.0 * 1.01**g) for g in range(3)], TORCH)
    (row,) = found.rows
    assert row.latency.value == pytest.approx(0.0101, rel=1e-3)
    assert row.latency.n == 3
    assert row.latency.low < 0.0101 < row.latency.high
    assert row.device_latency.value == pytest.approx(0.9 * row.latency.value, rel=1e-6)
    assert row.rate == pytest.approx(4 / row.latency.value)
    assert row.load == pytest.approx(2.0)
    assert (row.peak_bytes, row.model_bytes) == (3e8, 1e8)
    assert row.error == 2e-7
    assert row.disturbed == pytest.approx(0.1)
    assert row.runtime_version == "1.2"
    assert row.ranked
    assert row.baseline
    assert row.ratio.value is None


def test_the_cold_first_sample_of_a_burst_is_left_out_of_short_inferences_alone() -> None:
    short = block(TORCH, 0, 10.0, cold=3.0)
    assert steady(short).size == ROUNDS * 4
    assert steady(short).max() == 10_000_000
    long = block(TORCH, 0, 60.0, cold=3.0)
    assert steady(long).size == ROUNDS * 5


def test_pairing_takes_the_wandering_out(tmp_path: Path) -> None:
    cases, blocks = [TORCH, ORT], []
    for g in range(3):
        wander = noise(g) * 1.3**g
        blocks += [block(TORCH, g, 10.0, wander=wander), block(ORT, g, 8.0 * 1.003**g, wander=wander)]
    row = judged(tmp_path, cases, blocks, TORCH).rows[1]
    assert row.ratio.value == pytest.approx(0.8024, rel=1e-3)
    assert row.ratio.half_width < 0.01
    assert row.latency.half_width > 0.3


def test_only_rounds_of_one_part_are_paired() -> None:
    a = [block(ORT, 0, 8.0, part=1)]
    assert ratio(a, [block(TORCH, 0, 10.0, part=2)]).value is None
    assert ratio(a, [block(TORCH, 0, 10.0, part=1)]).value == pytest.approx(0.8)
    lost = block(TORCH, 0, 10.0, part=1)
    lost.bursts = lost.bursts[:4]
    assert ratio(a, [lost]).value == pytest.approx(0.8)


def test_the_fastest_is_named_only_where_the_interval_allows(tmp_path: Path) -> None:
    blocks = []
    for g in range(3):
        blocks += [block(TORCH, g, 20.0), block(ORT, g, 10.0 * 1.01**g), block(OV, g, 10.1 / 1.01**g)]
    (group,) = judged(tmp_path, [TORCH, ORT, OV], blocks, TORCH).groups
    assert {row.case.id for row in (group.winner, *group.tied)} == {ORT.id, OV.id}
    assert "cannot be told from it" in group.answer
    clear = [block(c, g, ms * 1.001**g) for g in range(3) for c, ms in ((TORCH, 20), (ORT, 10), (OV, 15))]
    (group,) = judged(tmp_path / "b", [TORCH, ORT, OV], clear, TORCH).groups
    assert group.winner.case == ORT
    assert group.tied == ()
    assert "onnxruntime is fastest" in group.answer
    assert "2.00 times as fast as torch" in group.answer


def test_the_fastest_is_so_by_the_paired_ratio_whatever_the_latencies_say(tmp_path: Path) -> None:
    """Two parts at two speeds of the machine: the ratios to the baseline, which ran in both, decide."""
    blocks = []
    for g in range(3):
        calm, busy = 1.001**g, 3 * 1.002**g
        blocks += [block(TORCH, g, 20 * calm, part=2 * g), block(ORT, g, 12 * calm, part=2 * g)]
        blocks += [block(TORCH, g, 20 * busy, part=2 * g + 1), block(OV, g, 10 * busy, part=2 * g + 1)]
    (group,) = judged(tmp_path, [TORCH, ORT, OV], blocks, TORCH).groups
    ort, ov = (next(row for row in group.rows if row.case == one) for one in (ORT, OV))
    assert ov.latency.value > 2 * ort.latency.value
    assert group.winner is ov
    assert group.tied == ()


def test_a_baseline_wins_against_what_is_slower_and_ties_with_what_may_not_be(tmp_path: Path) -> None:
    blocks = []
    for g in range(3):
        blocks += [block(TORCH, g, 10.0), block(ORT, g, 12.0 * 1.001**g)]
        blocks += [block(OV, g, 10.2 * (1.03, 0.98, 1.04)[g])]
    (group,) = judged(tmp_path, [TORCH, ORT, OV], blocks, TORCH).groups
    assert [row.verdict and row.verdict.word for row in group.rows] == [None, "slower", "inconclusive"]
    assert group.winner.case == TORCH
    assert [row.case for row in group.tied] == [OV]


def test_a_baseline_ties_with_a_winner_that_is_not_proven_faster(tmp_path: Path) -> None:
    blocks = []
    for g in range(3):
        blocks += [block(TORCH, g, 10.0), block(ORT, g, 9.8 * (1.03, 0.98, 0.99)[g])]
        blocks += [block(OV, g, 12.0 * 1.001**g)]
    (group,) = judged(tmp_path, [TORCH, ORT, OV], blocks, TORCH).groups
    assert group.winner.case == ORT
    assert [row.case for row in group.tied] == [TORCH]


def test_what_may_not_be_compared_says_why_and_keeps_its_ratio(tmp_path: Path) -> None:
    blocks = [one for g in range(3) for one in (block(TORCH, g, 20), block(ORT, g, 10, actual=proof("bf16")))]
    row = judged(tmp_path, [TORCH, ORT], blocks, TORCH).rows[1]
    assert row.verdict.word == "not comparable"
    assert row.verdict.reason == row.unranked_because
    assert row.ratio == row.verdict.ratio
    assert row.ratio.value == row.quiet_ratio.value == pytest.approx(0.5)
    assert row.ended == ""


def test_a_verdict_and_its_row_show_the_interval_of_the_look_that_settled_it(tmp_path: Path) -> None:
    """Six replicates of a `publish` run: a third of α, so the interval is wider than one of 95 %."""
    blocks = []
    for g in range(6):
        blocks += [block(TORCH, g, 20), block(ORT, g, 10 * 1.01 ** (g % 3))]
    with Store.open(tmp_path / "s.sqlite", create=True) as store:
        suite = {"profile": "publish"}
        run = store.create_run(RunRecord("r", "x", "finished", "2026-01-01T00:00:00+00:00", suite=suite))
        band = {"low": 0.0, "high": 1e-5}
        store.add_cases(run, [CaseRecord(c, c == TORCH, "image", band=band) for c in (TORCH, ORT)])
        store.add_blocks(run, blocks)
        (group,) = results(store, run).groups
    row = group.rows[1]
    assert row.verdict.word == "faster"
    assert row.verdict.level == pytest.approx(1 - 0.05 / 3)
    assert row.ratio == row.verdict.ratio
    plain = ratio(blocks[1::2], blocks[::2])
    assert row.ratio.half_width > 1.2 * plain.half_width
    assert row.ended == "settled at the look after 6 replicates"
    assert group.baseline is group.rows[0]
    assert group.key == ORT.group
    early = judged(tmp_path / "b", [TORCH, ORT], blocks[:2], TORCH).rows[1]
    assert early.ended == "1 of 3 replicates: the budget or an interruption ended it"
    whole = judged(tmp_path / "c", [TORCH, ORT], blocks[:6], TORCH).rows[1]
    assert whole.ended == "all 3 replicates"


def test_those_beside_the_winner_are_judged_against_it_and_it_alone(tmp_path: Path) -> None:
    """p is .04: one comparison. The baseline's and the winner's with itself beside it would make it .06."""
    blocks = []
    for g, apart in enumerate((0.1 - 0.0357, 0.1, 0.1 + 0.0357)):
        blocks += [block(TORCH, g, 30 * 1.001**g), block(ORT, g, 10.0), block(OV, g, 10.0 * math.exp(apart))]
    (group,) = judged(tmp_path, [TORCH, ORT, OV], blocks, TORCH).groups
    assert group.winner.case == ORT
    assert group.tied == ()


def test_what_never_met_the_baseline_ranks_behind_what_did(tmp_path: Path) -> None:
    blocks = []
    for g in range(3):
        blocks += [block(TORCH, g, 20.0, part=2 * g), block(OV, g, 10.0, part=2 * g)]
        blocks += [block(ORT, g, 5.0, part=2 * g + 1)]
    (group,) = judged(tmp_path, [TORCH, ORT, OV], blocks, TORCH).groups
    assert next(row for row in group.rows if row.case == ORT).ratio.value is None
    assert group.winner.case == OV
    assert ORT in [row.case for row in group.tied]


def test_one_replicate_claims_nothing(tmp_path: Path) -> None:
    (group,) = judged(tmp_path, [TORCH, ORT], [block(TORCH, 0, 20), block(ORT, 0, 10)], TORCH).groups
    assert group.winner.case == ORT
    assert [row.case for row in group.tied] == [TORCH]


@pytest.mark.parametrize(
    ("changes", "because"),
    [
        ({"status": "wrong-output", "reason": "far off"}, "wrong-output"),
        ({"status": "unverified", "reason": "nothing to compare with"}, "unverified"),
        ({"actual": proof("bf16")}, "asked for precision fp32, ran bf16"),
        ({"actual": proof(evidence="none")}, "unproven precision"),
        ({"actual": None}, "unproven"),
        ({"actual": proof(emulated=True)}, "emulated"),
    ],
)
def test_the_fastest_is_not_ranked_where_it_is_wrong_or_unproven(tmp_path: Path, changes, because) -> None:
    blocks = [block(TORCH, 0, 20), block(ORT, 0, 10, **changes)]
    (group,) = judged(tmp_path, [TORCH, ORT], blocks, TORCH).groups
    row = group.rows[1]
    assert not row.ranked
    assert because in row.unranked_because
    assert row.latency.value is not None
    assert group.winner.case == TORCH


def test_a_wrong_device_is_not_ranked(tmp_path: Path) -> None:
    strayed = proof()
    strayed["device"] = {"value": "cuda:0", "evidence": "executed", "detail": ""}
    (row,) = judged(tmp_path, [TORCH], [block(TORCH, 0, 20, actual=strayed)]).rows
    assert "asked for device cpu, ran cuda:0" in row.unranked_because


def test_a_crash_shows_with_its_log_and_keeps_what_was_measured(tmp_path: Path) -> None:
    crash = Block(ORT.id, 1, 1, "crashed", reason="SIGSEGV", log="the end")
    (row,) = judged(tmp_path, [ORT], [block(ORT, 0, 10), crash]).rows
    assert (row.status, row.reason, row.log) == ("crashed", "SIGSEGV", "the end")
    assert not row.ranked
    assert row.latency.value == pytest.approx(0.01)


def test_a_case_without_a_block_says_so(tmp_path: Path) -> None:
    (group,) = judged(tmp_path, [TORCH], []).groups
    assert group.rows[0].status == "pending"
    assert "interrupted" in group.rows[0].reason
    assert "no case can be ranked" in group.answer


def test_a_looped_sample_gives_no_tail(tmp_path: Path) -> None:
    blocks = [block(TORCH, g, 10.0) for g in range(3)]
    (row,) = judged(tmp_path, [TORCH], blocks).rows
    assert row.quantiles["p95"] is not None
    for one in blocks:
        one.figures["inner"] = 2
    (row,) = judged(tmp_path / "b", [TORCH], blocks).rows
    assert row.quantiles["p95"] is None
    assert row.quantiles["p50"] is not None


def test_harness_rows_stand_apart(tmp_path: Path) -> None:
    null = case("null", role="overhead", workload=HARNESS)
    anchor = case("anchor", role="anchor", workload=HARNESS)
    blocks = [block(c, 0, 1.0) for c in (TORCH, null, anchor)]
    found = judged(tmp_path, [TORCH, null, anchor], blocks, TORCH)
    assert len(found.groups) == 1
    assert found.overhead.case == null
    assert found.anchor.case == anchor
    assert not found.overhead.ranked
    assert math.isclose(found.overhead.latency.value, 1e-3)


def test_tails_reach_the_row_with_their_intervals(tmp_path: Path) -> None:
    blocks = [block(TORCH, g, 10.0, wander=noise(g, 0.05)) for g in range(3)]
    (row,) = judged(tmp_path, [TORCH], blocks).rows
    pooled = np.concatenate([steady(one) for one in blocks]) * 1e-9
    p95 = row.tails["p95"]
    assert p95.value == row.quantiles["p95"] == pytest.approx(np.quantile(pooled, 0.95))
    assert p95.low < p95.value < p95.high
    assert p95.n == 3
    assert row.samples == pooled.size
    assert set(row.tails) == set(row.quantiles)


def test_blocks_whose_level_changed_late_are_counted(tmp_path: Path) -> None:
    blocks = []
    for g in range(4):
        wander = noise(g)
        late = np.where(np.arange(ROUNDS) >= 7, 2.0 if g == 0 else 1.0, 1.0)
        blocks += [block(TORCH, g, 20.0, wander=wander), block(OV, g, 10.0, wander=wander)]
        blocks.append(block(ORT, g, 8.0, wander=wander * late * noise(50 + g, 0.01)))
    torch, ov, ort = judged(tmp_path, [TORCH, OV, ORT], blocks, TORCH).rows
    assert (torch.unsteady, ov.unsteady, ort.unsteady) == (0.0, 0.0, 0.25)
    (alone,) = judged(tmp_path / "b", [TORCH], blocks[:1]).rows
    assert alone.unsteady is None
