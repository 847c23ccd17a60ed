"""Each rule of the linter: what fires it, and what comes near and does not."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bench.compare.lint.rules import KINDS, RULES, Finding, findings
from bench.compare.results import Results, Row
from bench.interfaces.block import Block
from bench.interfaces.estimate import Estimate
from bench.stats.percentiles import samples_needed
from bench.store.records import EstimateKind, EstimateRecord
from tests.helpers.fake_results import Ask, Made, empty, harness, judged, make, nasty, realistic, twelve

DOCS = (Path(__file__).parents[3] / "docs" / "lint.md").read_text()
NAMES = [rule.__name__.replace("_", "-") for rule in RULES]
QUIET = {"drift": 0.002, "disturbed": 0.0}


def found(rule: str, results: Results) -> list[Finding]:
    return [one for one in findings(results) if one.rule == rule]


def two(**changes: Any) -> list[Made]:
    asks = [Ask("torch", 0.02, **QUIET), Ask("onnxruntime", 0.021, **{**QUIET, **changes})]
    return make("resnet50", asks, seed=7)


def with_blocks(change: Callable[[Block], None], made: list[Made] | None = None) -> Results:
    """Two cases, and something done to each block of the first."""
    made = made or two()
    for block in made[0].blocks:
        change(block)
    return judged(made)


def with_row(change: Callable[[Row], dict[str, Any]]) -> Results:
    """Two cases, and the first row's figures replaced: what a careless or dishonest report would show."""
    results = judged(two())
    (group,) = results.groups
    first, *rest = group.rows
    return replace(results, groups=(replace(group, rows=(replace(first, **change(first)), *rest)),))


def batches(*seconds: tuple[int, float]) -> Results:
    made = [make("resnet50", [Ask("torch", s, **QUIET)], seed=b, batch=b) for b, s in seconds]
    return judged([one for some in made for one in some])


def settings(*asks: Ask) -> Results:
    return judged(make("resnet50", [replace(ask, **QUIET) for ask in asks], seed=8))


# What is done to blocks


def copied(size: int, off: int = 0) -> Results:
    """The second case holds the first one's samples, but for `off` ns in one of them."""
    made = two()
    for one, other in zip(made[0].blocks[:size], made[1].blocks, strict=False):
        other.host_ns, other.bursts = one.host_ns.copy(), one.bursts
        other.host_ns[7] += off
    return judged(made)


def sample(value: int) -> Callable[[Block], None]:
    def change(block: Block) -> None:
        block.host_ns[5] = value

    return change


def wall(spare_ns: float, inner: int = 1) -> Callable[[Block], None]:
    """The wall time of the third burst is what its samples add up to, and something."""

    def change(block: Block) -> None:
        burst = block.bursts[2]
        host = block.host_ns[burst.start : burst.start + burst.count].sum()
        device = block.device_ns[burst.device_start : burst.device_start + burst.device_count].sum()
        facts = {**burst.disturbance, "wall_ns": float(host + device) + spare_ns}
        block.bursts[2] = replace(burst, disturbance=facts)
        block.figures["inner"] = inner

    return change


def device_slower(factor: float, disturbed: bool = False) -> Callable[[Block], None]:
    """The device boundary takes `factor` times the host boundary's time."""

    def change(block: Block) -> None:
        block.device_ns = (block.device_ns / 0.985 * factor).astype(np.int64)
        block.bursts = [replace(burst, disturbed=disturbed) for burst in block.bursts]

    return change


def own(share: float) -> Callable[[Block], None]:
    """By its own clock the device took that share of the time at its boundary."""

    def change(block: Block) -> None:
        block.own_ns = (block.device_ns * share).astype(np.int64)

    return change


def repeated(**facts: Any) -> Callable[[Block], None]:
    def change(block: Block) -> None:
        block.verification["after"].update(facts)

    return change


def busy(cores: float) -> Callable[[Block], None]:
    def change(block: Block) -> None:
        block.figures["cpu_ns"] = cores * sum(burst.disturbance["wall_ns"] for burst in block.bursts)

    return change


def capped(value: bool) -> Callable[[Block], None]:
    def change(block: Block) -> None:
        block.warmup["capped"] = value

    return change


def disturbed(count: int) -> Callable[[Block], None]:
    def change(block: Block) -> None:
        block.bursts = [replace(burst, disturbed=burst.round < count) for burst in block.bursts]

    return change


def p95(samples: int, **changes: Any) -> Results:
    return with_row(lambda row: {"samples": samples, "quantiles": {"p95": row.quantiles["p95"]}, **changes})


FIRES: dict[str, list[Callable[[], Results]]] = {
    "identical-samples": [
        lambda: copied(3),
        lambda: copied(1),
        lambda: with_blocks(lambda block: setattr(block, "device_ns", block.host_ns.copy())),
    ],
    "sample-not-positive": [lambda: with_blocks(sample(0)), lambda: with_blocks(sample(-4))],
    "samples-over-wall": [lambda: with_blocks(wall(-1)), lambda: with_blocks(wall(1, inner=2))],
    "figure-outside-samples": [
        lambda: with_row(lambda row: {"latency": Estimate(row.latency.value * 2, None, None, 3)}),
        lambda: with_row(lambda row: {"latency": Estimate(row.latency.value / 2, None, None, 3)}),
        lambda: with_row(lambda row: {"device_latency": Estimate(1.0, None, None, 3)}),
        lambda: with_row(lambda row: {"quiet_latency": Estimate(1e-6, None, None, 3)}),
        lambda: with_row(lambda row: {"quantiles": {**row.quantiles, "p95": 1.0}}),
    ],
    "quantiles-out-of-order": [
        lambda: with_row(lambda row: {"quantiles": {"p50": 0.02, "p90": 0.0199, "p95": 0.021}}),
        lambda: with_row(lambda row: {"quantiles": {"p50": 0.02, "p90": None, "p95": 0.0199}}),
    ],
    "tail-without-count": [
        lambda: p95(samples_needed(0.95) - 1),
        lambda: p95(samples_needed(0.95), inner=20),
        lambda: judged_with_tail(replicates=2),
    ],
    "host-under-device": [lambda: with_blocks(device_slower(1.06))],
    "own-over-device": [lambda: with_blocks(own(1.2))],
    "identical-outputs": [lambda: with_blocks(repeated(repeated=8))],
    "batch-above-linear": [lambda: batches((1, 0.020), (8, 0.017))],
    "batch-below-single": [lambda: batches((2, 0.020), (8, 0.100))],
    "precision-slower": [
        lambda: settings(Ask("torch", 0.02), Ask("torch", 0.08, precision="int8:dynamic")),
        lambda: settings(Ask("torch", 0.02), Ask("torch", 0.022, precision="bf16")),
        lambda: settings(Ask("torch", 0.02), Ask("torch", 0.022, precision="w4")),
        lambda: settings(Ask("torch", 0.02), Ask("torch", 0.022, precision="tf32")),
    ],
    "threads-slower": [lambda: settings(Ask("torch", 0.02, threads=1), Ask("torch", 0.022, threads=2))],
    "launch-bound": [lambda: with_row(lambda row: {"kernels": (row.device_latency.value or 0) * 0.45})],
    "threads-idle": [lambda: with_blocks(busy(1.1)), lambda: with_blocks(busy(0.2))],
    "warm-up-capped": [lambda: with_blocks(capped(True))],
    "mostly-disturbed": [lambda: with_blocks(disturbed(6))],
    "reads-otherwise": [lambda: said_before("equivalent"), lambda: said_before("inconclusive")],
}
NEAR: dict[str, list[Callable[[], Results]]] = {
    "identical-samples": [lambda: copied(3, off=1), lambda: single_samples()],
    "sample-not-positive": [lambda: with_blocks(sample(1))],
    "samples-over-wall": [
        lambda: with_blocks(wall(0)),
        lambda: with_blocks(lambda block: [b.disturbance.clear() for b in block.bursts]),  # type: ignore[attr-defined]
    ],
    "figure-outside-samples": [
        lambda: with_row(lambda row: {"latency": Estimate(largest(), None, None, 3)}),
        lambda: with_row(lambda row: {"latency": Estimate(None, None, None, 0)}),
    ],
    "quantiles-out-of-order": [
        lambda: with_row(lambda row: {"quantiles": {"p50": 0.02, "p90": 0.02, "p95": None}})
    ],
    "tail-without-count": [
        lambda: p95(samples_needed(0.95)),
        lambda: with_row(lambda row: {"samples": 3, "quantiles": {"p95": None}}),
    ],
    "host-under-device": [
        lambda: with_blocks(device_slower(1.01)),  # by less than matters
        lambda: with_blocks(device_slower(1.06, disturbed=True)),  # held back late in each burst
    ],
    "own-over-device": [lambda: with_blocks(own(1.001)), lambda: with_blocks(own(0.9))],
    "identical-outputs": [lambda: with_blocks(repeated(repeated=0)), lambda: with_blocks(repeated())],
    "batch-above-linear": [
        lambda: batches((1, 0.020), (8, 0.0199)),  # eight for the price of one
        lambda: judged(unlike(batch=8, seconds=0.017)),  # of another runtime
    ],
    "batch-below-single": [lambda: batches((2, 0.020), (8, 0.080))],
    "precision-slower": [
        lambda: settings(Ask("torch", 0.02), Ask("torch", 0.0201, precision="int8:dynamic")),
        lambda: settings(Ask("torch", 0.02), Ask("openvino", 0.08, precision="int8:dynamic")),
        lambda: settings(Ask("torch", 0.02), Ask("torch", 0.08, precision="bf16:emulated")),
        lambda: settings(Ask("torch", 0.02), Ask("torch", 0.08, precision="fp64")),
        lambda: settings(Ask("torch", 0.02, threads=1), Ask("torch", 0.08, precision="bf16", threads=2)),
    ],
    "threads-slower": [
        lambda: settings(Ask("torch", 0.02, threads=1), Ask("torch", 0.0201, threads=2)),
        lambda: settings(Ask("torch", 0.02, threads=1), Ask("openvino", 0.04, threads=2)),
        lambda: settings(Ask("torch", 0.02, threads=1), Ask("torch", 0.04, threads=2, preset="expert")),
    ],
    "launch-bound": [
        lambda: with_row(lambda row: {"kernels": (row.device_latency.value or 0) * 0.55}),
        lambda: with_blocks(own(0.4)),  # its own clock has the gaps in it, and says nothing
    ],
    "threads-idle": [lambda: with_blocks(busy(1.25))],
    "warm-up-capped": [lambda: with_blocks(capped(False))],
    "mostly-disturbed": [lambda: with_blocks(disturbed(5))],
    "reads-otherwise": [
        lambda: said_before("faster"),
        lambda: said_before("equivalent", replicates=2),  # of fewer replicates, it may well
        lambda: said_before("equivalent", kind="fast-state"),
    ],
}


def said_before(word: str, replicates: int = 3, kind: EstimateKind = "as-seen") -> Results:
    """A case that is proven faster now, and of which that was said when its run ended."""
    results = judged(make("resnet50", [Ask("torch", 0.02), Ask("openvino", 0.01)]))
    base, row = results.rows
    assert row.verdict is not None
    assert row.verdict.word == "faster"
    then = EstimateRecord(row.case.id, base.case.id, kind, word, replace(row.ratio, n=replicates), "0.0.9")
    return replace(results, said=(then,))


def judged_with_tail(replicates: int) -> Results:
    """Too few blocks for a tail, and one shown all the same."""
    results = judged(make("resnet50", [Ask("torch", 0.002)], replicates=replicates))
    (group,) = results.groups
    row = replace(group.rows[0], quantiles={"p95": group.rows[0].quantiles["p50"]})
    return replace(results, groups=(replace(group, rows=(row,)),))


def single_samples() -> Results:
    """Two blocks of one sample each, the same by chance."""
    made = two()
    for one in made:
        for block in one.blocks:
            block.host_ns, block.device_ns = np.array([20_000_000]), np.array([], dtype=np.int64)
            block.bursts = [replace(block.bursts[0], start=0, count=1, device_start=0, device_count=0)]
    return judged(made)


def largest() -> float:
    return max(int(block.host_ns.max()) for block in two()[0].blocks) * 1e-9


def unlike(batch: int, seconds: float) -> list[Made]:
    first = make("resnet50", [Ask("torch", 0.02, **QUIET)], seed=1)
    return first + make("resnet50", [Ask("openvino", seconds, **QUIET)], seed=2, batch=batch)


def cases(table: dict[str, list[Callable[[], Results]]]) -> list[Any]:
    return [
        pytest.param(rule, results, id=f"{rule}-{i}")
        for rule, made in table.items()
        for i, results in enumerate(made)
    ]


@pytest.mark.parametrize(("rule", "results"), cases(FIRES))
def test_a_rule_fires(rule: str, results: Callable[[], Results]) -> None:
    run = results()
    told = found(rule, run)
    assert told
    known = {row.case.id for row in run.rows}
    for one in told:
        assert set(one.case_ids) <= known
        assert len(set(one.case_ids)) == len(one.case_ids) > 0
        assert re.search(r"\d", one.text)
        assert one.text.endswith(".")
        assert one.look
        assert any(row.case.label in one.text for row in run.rows if row.case.id in one.case_ids)
        assert one.kind in KINDS


@pytest.mark.parametrize(("rule", "results"), cases(NEAR))
def test_what_comes_near_does_not_fire_it(rule: str, results: Callable[[], Results]) -> None:
    assert found(rule, results()) == []


def test_every_rule_has_both() -> None:
    assert sorted(FIRES) == sorted(NEAR) == sorted(NAMES)


@pytest.mark.parametrize("rule", NAMES)
def test_every_rule_is_in_the_docs(rule: str) -> None:
    (kind,) = re.findall(rf"^### {rule} \((\w+)\)$", DOCS, re.MULTILINE)
    assert {one.kind for one in found(rule, FIRES[rule][0]())} == {kind}


def test_the_docs_name_no_rule_that_is_not_there() -> None:
    assert sorted(re.findall(r"^### ([\w-]+)", DOCS, re.MULTILINE)) == sorted(NAMES)


def test_a_clean_run_has_no_finding() -> None:
    assert findings(judged(two() + harness())) == ()
    assert findings(twelve()) == ()
    assert findings(empty()) == ()
    assert {one.kind for one in findings(realistic())} == {"doubt"}  # two runtimes' warm-up was capped


def test_a_strangers_store_is_read_to_its_end() -> None:
    assert {one.rule for one in findings(nasty())} <= {"identical-outputs", "threads-idle"}


def test_what_is_wrong_comes_first() -> None:
    made = two(threads=2)
    for block in made[0].blocks:
        disturbed(10)(block)
        repeated(repeated=8)(block)
    made += make("minilm", [Ask("torch", 0.02, threads=1, **QUIET), Ask("torch", 0.03, **QUIET)], sequence=8)
    kinds = [one.kind for one in findings(judged(made))]
    assert kinds == ["wrong", "harm", "doubt"]


def test_the_number_of_a_slower_precision() -> None:
    (one,) = found("precision-slower", FIRES["precision-slower"][0]())
    number = re.search(r"int8:dynamic · cpu · 2 threads takes ([\d.]+) times as long as fp32 \(±", one.text)
    assert number
    assert float(number[1]) == pytest.approx(4, rel=0.02)


def test_threads_are_told_with_what_others_did() -> None:
    asks = [Ask("torch", 0.02, threads=1), Ask("torch", 0.04, threads=2), Ask("torch", 0.05, threads=4)]
    made = make("resnet50", [replace(ask, drift=0.002, disturbed=0.0) for ask in asks])
    for block in made[1].blocks:
        disturbed(8)(block)
    one, other = found("threads-slower", judged(made))
    assert one.case_ids == (made[1].record.case.id, made[0].record.case.id)
    assert "with 1 thread" in one.text
    assert "others disturbed 80 % of its bursts, and 0 % with 1 thread" in one.text
    assert "ship 1 thread" in one.look
    # 4 threads are told against 1, beside which they are slowest, and not against 2 as well.
    assert other.case_ids == (made[2].record.case.id, made[0].record.case.id)


def test_a_batch_is_judged_by_its_share_of_the_work() -> None:
    (one,) = found("batch-below-single", FIRES["batch-below-single"][0]())
    assert "b8 " in one.text
    assert re.search(r"takes (4\.9\d|5\.0\d) times as long as batch 2 \(.*\), for 4\.00 times", one.text)
    (one,) = found("batch-above-linear", FIRES["batch-above-linear"][0]())
    rate = re.search(r"8\.00 times the work at ([\d.]+) times the rate", one.text)
    assert rate
    assert float(rate[1]) == pytest.approx(8 * 20 / 17, rel=0.02)


def test_one_replicate_proves_nothing_slower() -> None:
    asks = [Ask("torch", 0.02, threads=1), Ask("torch", 0.08, threads=2)]
    assert found("threads-slower", judged(make("resnet50", asks, replicates=1))) == []


def apart(made: list[Made], parts: Iterable[int]) -> None:
    """Gives the blocks of these cases parts of their own."""
    for one, first in zip(made, parts, strict=True):
        for block in one.blocks:
            block.part = first + block.replicate


@pytest.mark.parametrize("beside", ["baseline", "anchor", "nothing"])
def test_cases_that_never_lived_together_meet_in_a_third(beside: str) -> None:
    """Each wanders on its own by 40 % between parts; what lived beside it wandered along."""
    asks = [Ask("torch", 0.02, threads=1), Ask("torch", 0.03, threads=2)]
    made = make("resnet50", [replace(ask, **QUIET) for ask in asks], seed=11)
    third = make("resnet50", [Ask("openvino", 0.01, **QUIET)], seed=12)[0]
    if beside == "anchor":
        third = make("harness", [Ask("anchor", 0.01, **QUIET)], role="anchor", seed=12)[0]
    made[0].record.baseline = False
    apart(made, (0, 10))
    doubled = [replace(block, part=block.part + 10, bursts=list(block.bursts)) for block in third.blocks]
    third = replace(third, blocks=(*third.blocks, *doubled))
    for block in (*made[1].blocks, *doubled):
        speed = 1.4 if block.replicate % 2 else 0.7
        block.host_ns = (block.host_ns * speed).astype(np.int64)
    told = found("threads-slower", judged(made if beside == "nothing" else [third, *made]))
    if beside == "nothing":
        assert told == []
    else:
        ratio = re.search(r"takes ([\d.]+) times", told[0].text)
        assert ratio
        assert float(ratio[1]) == pytest.approx(1.5, rel=0.03)


def test_finding_imports_no_slow_statistics() -> None:
    code = (
        "import sys; from tests.helpers.fake_results import realistic\n"
        "from bench.compare.lint.rules import findings\n"
        "findings(realistic()); print(sorted({'scipy.stats', 'pandas', 'torch'} & set(sys.modules)))"
    )
    root = Path(__file__).parents[3]
    done = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True)
    assert done.stdout.strip() == "[]", done.stderr
