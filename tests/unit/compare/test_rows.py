"""From the blocks of a case to its row, figure by figure, and what keeps a row from being ranked."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from bench.compare.proof import mismatch, unranked_because
from bench.compare.results import Row
from bench.compare.rows import WORST_FIRST, ratio, row
from bench.interfaces.backend import Target
from bench.interfaces.block import Block
from bench.interfaces.case import Case
from bench.stats.estimates import log_estimate, ratio_estimate
from bench.store.records import CaseRecord
from tests.helpers.blocks import block

BASE, CASE = (Case("net", "c", 4, None, name, Target(threads=2)) for name in ("base", "own"))
RECORD = CaseRecord(CASE, False, "image", band={"low": 1e-6, "high": 1e-4})


def fact(value: str, evidence: str = "executed", detail: str = "") -> dict[str, str]:
    return {"value": value, "evidence": evidence, "detail": detail}


def proof(precision: str = "fp32", **facts: Any) -> dict[str, Any]:
    return {
        "precision": fact(precision),
        "device": fact("cpu", "reported"),
        "provider": fact("CPUExecutionProvider", "reported"),
        "threads": fact("2", "reported"),
        "emulated": False,
        **facts,
    }


def ran(case: Case, replicate: int, milliseconds: list[float], **changes: Any) -> Block:
    """A measured and proven block; its device samples take 0.8 times as long as the first burst's."""
    made = block(case, replicate, milliseconds, disturbed=changes.pop("disturbed", ()))
    made.device_ns = np.full(5, round(0.8e6 * milliseconds[0]))
    for burst in range(len(made.bursts)):
        made.bursts[burst] = replace(made.bursts[burst], disturbance={"wall_ns": 1e9})
    made.actual = proof()
    made.versions = {"runtime": "1.2", "numpy": "2.4"}
    made.verification = {"before": {"error": 1e-5}, "after": {"error": 2e-5}}
    made.figures |= {"cpu_ns": 1.5e9 * len(milliseconds), "inner": 1}
    for name, value in changes.items():
        setattr(made, name, value)
    return made


def made(blocks: list[Block], base: list[Block] | None = None, **known: Any) -> Row:
    return row(RECORD, blocks, base or [], **known)


def test_latencies_are_geometric_means_of_medians_and_the_ratio_is_paired() -> None:
    own = [ran(CASE, g, [ms, ms, 2 * ms]) for g, ms in enumerate((10.0, 12.0, 11.0))]
    base = [ran(BASE, g, [20.0, 20.0, 40.0]) for g in range(3)]
    found = made(own, base)
    assert found.latency == log_estimate([0.010, 0.012, 0.011])
    assert found.rate == pytest.approx(4 / found.latency.value)
    assert found.unit == "image"
    assert found.ratio == ratio_estimate(np.log([0.5, 0.6, 0.55])) == ratio(own, base)
    assert found.device_latency.value == pytest.approx(0.8 * found.latency.value, rel=1e-6)
    assert found.samples == 27
    assert (found.replicates, found.inner) == (3, 1)
    assert found.quantiles["p50"] == pytest.approx(0.012)
    twice = [*own, replace(own[0], part=9, host_ns=own[0].host_ns * 2)]  # a baseline lives in every part
    assert made(twice).latency.value == pytest.approx((0.01 * math.sqrt(2) * 0.012 * 0.011) ** (1 / 3))
    assert made(twice).latency.n == 3
    baseline = row(replace(RECORD, baseline=True), own, own)
    assert (baseline.ratio.value, baseline.quiet_ratio.value, baseline.baseline) == (None, None, True)


def test_the_other_figures_are_medians_over_blocks() -> None:
    names = {
        "first_ns": "first",
        "load_ns": "load",
        "build_ns": "build",
        "import_ns": "runtime_import",
        "ready_ns": "ready",
        "peak_bytes": "peak_bytes",
        "model_bytes": "model_bytes",
    }
    for figure, attribute in names.items():
        blocks = [ran(CASE, g, [10.0]) for g in range(3)]
        for one, value in zip(blocks, (1e9, 5e9, 2e9), strict=True):
            one.figures[figure] = value
        expected = 2e9 if attribute.endswith("bytes") else 2.0
        assert getattr(made(blocks), attribute) == pytest.approx(expected), figure
        assert getattr(made([ran(CASE, 0, [10.0])]), attribute) is None, figure
    failed = Block(CASE.id, 1, 1, "crashed", figures={"load_ns": 8e9})
    assert made([ran(CASE, 0, [10.0]), failed]).load == pytest.approx(8.0)


def test_cpu_share_is_cpu_time_over_the_time_of_the_bursts() -> None:
    assert made([ran(CASE, g, [10.0] * 4) for g in range(2)]).cpu_share == pytest.approx(1.5)
    silent = ran(CASE, 0, [10.0])
    silent.bursts = [replace(burst, disturbance={}) for burst in silent.bursts]
    assert made([silent]).cpu_share is None


def test_the_error_is_the_worst_of_all_checks() -> None:
    blocks = [ran(CASE, g, [10.0]) for g in range(2)]
    blocks[1].verification = {"before": {"error": 7e-5}}
    found = made(blocks)
    assert (found.error, found.band_low, found.band_high) == (7e-5, 1e-6, 1e-4)
    assert made([ran(CASE, 0, [10.0], verification={})]).error is None


def test_what_others_disturbed_stands_apart() -> None:
    """Round 1 of replicate 0 hit itself, round 2 its partner: both are marked, one is its own."""
    own = [ran(CASE, 0, [10.0, 30.0, 50.0, 10.0], disturbed=[1]), ran(CASE, 1, [10.0] * 4)]
    base = [ran(BASE, g, [20.0] * 4) for g in range(2)]
    found = made(own, base, marked={(0, 1), (0, 2), (5, 0)})
    assert (found.disturbed, found.marked) == (1 / 8, 2 / 8)
    assert found.latency.value == pytest.approx(math.sqrt(0.020 * 0.010))
    assert found.quiet_latency.value == pytest.approx(0.010)
    assert found.ratio.value > 0.6
    assert found.quiet_ratio.value == pytest.approx(0.5)
    none = made([])
    assert (none.disturbed, none.marked, none.unsteady, none.samples) == (None, None, None, 0)
    assert made(own, base, unsteady={(CASE.id, 0): True, (CASE.id, 1): False, ("x", 0): True}).unsteady == 0.5


def test_warm_up_that_was_capped_and_samples_that_were_looped_are_told() -> None:
    blocks = [ran(CASE, g, [10.0] * 30) for g in range(3)]
    assert not made(blocks).warmup_capped
    assert made(blocks).quantiles["p95"] is not None
    blocks[1].warmup = {"capped": True}
    blocks[2].figures["inner"] = 20
    found = made(blocks)
    assert found.warmup_capped
    assert found.inner == 20
    assert found.quantiles["p95"] is None


@pytest.mark.parametrize("worse", range(len(WORST_FIRST) - 1))
def test_the_worst_block_names_the_row(worse: int) -> None:
    one, other = (Block(CASE.id, g, g, WORST_FIRST[worse + g], f"why {g}", f"log {g}") for g in range(2))
    for blocks in ([one, other], [other, one]):
        found = made(blocks)
        assert (found.status, found.reason, found.log) == (WORST_FIRST[worse], "why 0", "log 0")
        assert (found.ranked, found.unranked_because) == (False, WORST_FIRST[worse])
    good = ran(CASE, 0, [10.0], log="chatter")
    assert (made([good]).status, made([good]).log, made([good]).ranked) == ("ok", "", True)


def test_what_really_ran_is_the_last_proof() -> None:
    blocks = [ran(CASE, g, [10.0]) for g in range(2)]
    blocks[1].actual = proof(provider=fact("Other"), threads=fact("1"))
    found = made(blocks)
    assert (found.precision_ran, found.precision_evidence, found.device_ran) == ("fp32", "executed", "cpu")
    assert (found.provider, found.threads_ran, found.emulated) == ("Other", "1", False)
    once = made([ran(CASE, 0, [10.0]), ran(CASE, 1, [10.0], actual=None)])
    assert (once.precision_ran, once.precision_evidence, once.unranked_because) == ("fp32", "executed", "")
    unproven = made([ran(CASE, 0, [10.0], actual=None)])
    assert (unproven.precision_ran, unproven.precision_evidence, unproven.provider) == ("", "none", "")
    assert unproven.mismatch == unproven.unranked_because == "unproven: the worker did not say what ran"
    strayed = made([ran(CASE, 0, [10.0], actual=proof("bf16")), ran(CASE, 1, [10.0], actual=None)])
    assert strayed.unranked_because == "asked for precision fp32, ran bf16 (executed)"
    emulated = made([ran(CASE, 0, [10.0], actual=proof(emulated=True))])
    assert emulated.emulated
    assert emulated.unranked_because == "fp32 is only emulated on this device"


def test_versions_are_the_runtimes_own() -> None:
    blocks = [ran(CASE, 0, [10.0]), ran(CASE, 1, [10.0], versions={"runtime": "1.1", "numpy": "2.3"})]
    assert made(blocks).runtime_version == "1.1, 1.2"
    assert made([ran(CASE, 0, [10.0], versions={"numpy": "2.4"})]).runtime_version == "2.4"


def case(precision: str = "fp32", device: str = "cpu", role: Any = "runtime") -> Case:
    return replace(CASE, target=Target(precision=precision, device=device), role=role)


@pytest.mark.parametrize(
    ("asked", "found", "why"),
    [
        (case(), [proof()], ""),
        (case("int8:qdq"), [proof("int8")], ""),
        (case("int8-dynamic"), [proof("int8")], ""),
        (case("int4-weight:64"), [proof("int4-weight")], ""),
        (case("int8-weight"), [proof("int8")], "asked for precision int8-weight, ran int8 (executed)"),
        (case("int8:qdq"), [proof("int4")], "asked for precision int8, ran int4 (executed)"),
        (case(), [proof(), proof("tf32")], "asked for precision fp32, ran tf32 (executed)"),
        (case(), [proof(device=fact("cuda:0", "reported"))], "asked for device cpu, ran cuda:0 (reported)"),
        (
            case(device="cuda:1"),
            [proof(device=fact("cuda:0"))],
            "asked for device cuda:1, ran cuda:0 (executed)",
        ),
        (case(), [], "unproven: the worker did not say what ran"),
        (
            case(),
            [{**proof(), "precision": fact("fp32", "none")}],
            "unproven precision: the runtime does not tell",
        ),
        (case(), [proof(device=fact("cpu", "none", "it hung"))], "unproven device: it hung"),
        (case(role="anchor"), [], ""),
    ],
)
def test_what_ran_must_be_what_was_asked_for(asked: Case, found: list[Any], why: str) -> None:
    assert mismatch(asked, found) == why


def test_why_a_row_may_not_win() -> None:
    assert unranked_because(case(), "ok", "", False) == ""
    assert unranked_because(case(), "timeout", "strayed", True) == "timeout"
    assert unranked_because(case(), "ok", "strayed", True) == "strayed"
    assert unranked_because(case("bf16:emulated"), "ok", "", True) == "bf16 is only emulated on this device"
    assert unranked_because(case(role="overhead"), "ok", "", False) == "it is the harness's own (overhead)"
