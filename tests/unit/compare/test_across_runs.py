"""Judging across runs: Welch's test against SciPy and statsmodels, rates by simulation, words by cases."""

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import stats as oracle
from statsmodels.stats.weightstats import ttost_ind

from bench.compare.across_runs import compare_runs
from bench.compare.comparison import Compared, Comparison, gates
from bench.compare.judge import results
from bench.compare.results import Results
from bench.compare.welch_runs import Sides, judge_runs
from bench.stats.welch import cautious, welch
from bench.store.sqlite import Store
from tests.helpers.fake_results import MACHINE, Ask
from tests.helpers.fake_runs import write_run

ORT = "onnxruntime"
RELEVANT = 0.02
WHY = "the CPUs differ"


@pytest.mark.parametrize(("n", "m"), [(3, 3), (3, 7), (12, 4)])
def test_welch_is_scipys(n: int, m: int) -> None:
    rng = np.random.default_rng(n * m)
    new, base = rng.normal(0.1, 0.02, n), rng.normal(0.08, 0.07, m)
    expected = oracle.ttest_ind(new, base, equal_var=False)
    found = welch(list(new), list(base))
    assert found.difference == pytest.approx(new.mean() - base.mean())
    assert found.p == pytest.approx(expected.pvalue)
    assert found.freedom == pytest.approx(expected.df)
    assert found.n == n + m
    for level in (0.9, 0.95):
        interval = expected.confidence_interval(level)
        ratio = found.ratio(level)
        assert ratio.value == pytest.approx(math.exp(found.difference))
        assert (ratio.low, ratio.high) == pytest.approx((math.exp(interval.low), math.exp(interval.high)))


@pytest.mark.parametrize("alpha", [0.05, 0.01])
def test_its_detectable_difference_is_by_scipys_noncentral_t(alpha: float) -> None:
    new, base = [0.01, 0.03, 0.02, 0.05], [0.0, 0.02, 0.01]
    found = welch(new, base)
    freedom = oracle.ttest_ind(new, base, equal_var=False).df
    error = math.sqrt(np.var(new, ddof=1) / 4 + np.var(base, ddof=1) / 3)
    error /= math.sqrt(oracle.chi2.median(freedom) / freedom)
    planted = math.log1p(found.detectable(alpha)) / error
    assert oracle.nct.sf(oracle.t.ppf(1 - alpha / 2, freedom), freedom, planted) == pytest.approx(
        0.8, rel=1e-3
    )


@pytest.mark.parametrize("shift", [-0.03, -0.004, 0.0, 0.015])
def test_its_equivalence_test_is_statsmodels(shift: float) -> None:
    rng = np.random.default_rng(4)
    new, base = rng.normal(shift, 0.006, 4), rng.normal(0, 0.012, 5)
    margin = math.log1p(RELEVANT)
    expected, _, _ = ttost_ind(new, base, -margin, margin, usevar="unequal")
    assert welch(list(new), list(base)).tost_p(RELEVANT) == pytest.approx(expected)


def test_welch_without_a_variance_claims_nothing() -> None:
    for new, base in (([0.3], [0.0, 0.1, 0.2]), ([0.3, 0.1], [0.0]), ([], [0.1])):
        found = welch(new, base)
        assert found.p == 1.0
        assert found.tost_p(RELEVANT) == 1.0
        assert found.detectable() is None
        assert found.ratio().low is None
    assert welch([0.3], [0.0, 0.1, 0.2]).difference == pytest.approx(0.2)
    assert welch([], [0.1]).difference == 0
    still = welch([0.1, 0.1], [0.0, 0.0])
    assert (still.p, still.tost_p(0.2), still.tost_p(0.02)) == (0.0, 0.0, 1.0)
    same = welch([0.1, 0.1], [0.1, 0.1])
    assert (same.p, same.tost_p(0.02), same.detectable()) == (1.0, 0.0, 0.0)


def test_what_it_says_it_finds_it_finds_8_times_in_10() -> None:
    """`detectable` uses the error that was seen, so its middle value is the one to plant."""
    rng = np.random.default_rng(5)
    draws = rng.normal(0, 0.02, (1500, 12))
    least = float(np.median([welch(list(d[:6]), list(d[6:])).detectable() for d in draws]))
    planted = math.log1p(least)
    hits = np.mean([welch(list(d[:6] + planted), list(d[6:])).p < 0.05 for d in draws])
    assert hits == pytest.approx(0.8, abs=0.06)


@pytest.mark.parametrize(("n", "m"), [(3, 3), (3, 8), (5, 8)])
def test_the_rule_is_wrong_at_most_as_often_as_it_says(n: int, m: int) -> None:
    """Like sides whose runs scatter by 2 %; the relevant difference is so small that it protects nobody."""
    rng = np.random.default_rng(n * m)
    words = [judge_runs({"": (_runs(rng, n, 0.02), _runs(rng, m, 0.02))}, 1e-9)[""].word for _ in range(1200)]
    false = sum(word in ("faster", "slower") for word in words) / len(words)
    error = math.sqrt(0.05 * 0.95 / len(words))
    assert 0.02 < false < 0.05 + error


def test_the_smaller_side_bounds_the_freedom() -> None:
    rng = np.random.default_rng(7)
    new, base = list(rng.normal(0, 1, 3)), list(rng.normal(0, 1, 20))
    assert welch(new, base).freedom != cautious(new, base).freedom == min(4, welch(new, base).freedom)
    assert cautious(new, base[:3]) == welch(new, base[:3])
    assert cautious(new[:2], base).freedom == min(2, welch(new[:2], base).freedom)
    draws = rng.normal(0, 1, (3000, 23))
    plain, bounded = (
        np.mean([test(list(d[:3]), list(d[3:])).p < 0.05 for d in draws]) for test in (welch, cautious)
    )
    assert plain > 0.065
    assert bounded < 0.0625


def test_many_comparisons_keep_the_false_discoveries_down() -> None:
    """Of sets of twelve like comparisons, few have any false verdict; each alone would be wrong in 1 of 3."""
    rng = np.random.default_rng(6)
    wrong = 0
    for _ in range(150):
        sides = {str(i): (_runs(rng, 4, 0.02), _runs(rng, 4, 0.02)) for i in range(12)}
        found = judge_runs(sides, 1e-9)
        wrong += any(one.word in ("faster", "slower") for one in found.values())
    assert wrong / 150 <= 0.09


def test_p_is_adjusted_for_all_that_are_judged_together() -> None:
    rng = np.random.default_rng(9)
    sides = {str(i): (_runs(rng, 4, 0.02), _runs(rng, 4, 0.02, 0.01 * i)) for i in range(6)}
    sides["few"] = (tight(0), tight(0.3))
    found = judge_runs(sides, RELEVANT)
    judged = [one for key, one in found.items() if key != "few"]
    expected = oracle.false_discovery_control([one.p for one in judged])
    assert [one.adjusted for one in judged] == pytest.approx(list(expected))
    assert found["few"].adjusted is None


def _runs(rng: np.random.Generator, n: int, between: float, mean: float = 0.0) -> list[list[float]]:
    """Log ratios to the anchor: `n` runs of 3 replicates."""
    return [list(rng.normal(mean + rng.normal(0, between), 0.004, 3)) for _ in range(n)]


def tight(mean: float, n: int = 1, replicates: int = 3) -> list[list[float]]:
    """Runs that hardly scatter."""
    return [[mean + 0.001 * run + 0.002 * g for g in range(replicates)] for run in range(n)]


@pytest.mark.parametrize(
    ("sides", "word"),
    [
        ((tight(0), tight(0.26)), "suspect"),
        ((tight(0, 2), tight(0.26, 5)), "suspect"),
        ((tight(0), tight(-0.26)), "suspect"),
        ((tight(0), tight(0.01)), "inconclusive"),  # clear within the runs, but it does not matter
        ((tight(0), [[0.26, -0.2, 0.3]]), "inconclusive"),  # matters, but is not clear
        ((tight(0), [[0.08, -0.03, 0.04]]), "inconclusive"),  # the same, without a wide interval
        ((tight(0, replicates=2), tight(0.26, replicates=2)), "suspect"),
        ((tight(0, replicates=1), tight(0.26)), "inconclusive"),
        ((tight(0, 3), tight(0.1, 3)), "slower"),
        ((tight(0, 3), tight(-0.1, 3)), "faster"),
        ((tight(0, 3), tight(0.005, 3)), "equivalent"),
        ((tight(0, 3), tight(0.019, 3)), "inconclusive"),  # it differs, but whether it matters is open
    ],
)
def test_the_word(sides: Sides, word: str) -> None:
    found = judge_runs({"": sides}, RELEVANT)[""]
    assert found.word == word
    assert (found.reason == "") == found.proven
    if word == "suspect":
        assert found.p is None
        assert "3 on each side" in found.reason
        assert f"{'slower' if found.ratio.value > 1 else 'faster'} by " in found.reason


def test_a_suspicion_tells_its_size_and_what_it_rests_on() -> None:
    few = "1 run against 1, and it takes 3 on each side to prove a difference"
    for mean, by in ((0.26, "slower by 30 %"), (-0.26, "faster by 23 %")):
        found = judge_runs({"": (tight(0), tight(mean))}, RELEVANT)[""]
        assert found.reason == f"{by} within the runs, but {few}"
    two = judge_runs({"": (tight(0, 2), tight(0.26))}, RELEVANT, {"": WHY})[""]
    assert two.reason.endswith(
        "but 2 runs against 1, and it takes 3 on each side to prove a difference; the CPUs differ"
    )
    alone = judge_runs({"": (tight(0, replicates=1), tight(0.26))}, RELEVANT)[""]
    assert alone.reason == f"a run of one replicate has no interval; {few}"
    both = judge_runs({"": (tight(0, replicates=1), tight(0.26))}, RELEVANT, {"": WHY})[""]
    assert both.reason == f"{alone.reason}; {WHY}"
    assert alone.ratio.value == pytest.approx(math.exp(0.26 + 0.002))
    assert (alone.ratio.low, alone.ratio.high) == (None, None)
    like = judge_runs({"": (tight(0), tight(0.01))}, RELEVANT)[""]
    assert like.reason == few


@pytest.mark.parametrize("least", [4, 2])
def test_between_sides_of_few_runs_the_error_is_that_of_the_replicates(least: int) -> None:
    """Two runs against one: the variance of a mean of two is a quarter of the sum of theirs."""
    rng = np.random.default_rng(8)
    base, new = [rng.normal(0, 0.01, 6), rng.normal(0, 0.03, least)], [rng.normal(0.2, 0.02, 5)]
    found = judge_runs({"": ([list(run) for run in base], [list(run) for run in new])}, RELEVANT)[""]
    parts = [(np.var(base[0], ddof=1) / 6 / 4, 5), (np.var(base[1], ddof=1) / least / 4, least - 1)]
    parts.append((np.var(new[0], ddof=1) / 5, 4))
    assert found.ratio.n == 3
    total = sum(v for v, _ in parts)
    freedom = total**2 / sum(v**2 / f for v, f in parts)
    difference = np.mean(new[0]) - (np.mean(base[0]) + np.mean(base[1])) / 2
    low, high = oracle.t.interval(0.95, freedom, difference, math.sqrt(total))
    assert (found.ratio.low, found.ratio.high) == pytest.approx((math.exp(low), math.exp(high)))


def test_what_weakens_leaves_nothing_proven() -> None:
    sides = {"slow": (tight(0, 3), tight(0.3, 3)), "same": (tight(0, 3), tight(0.001, 3))}
    sides["few"] = (tight(0), tight(0.3))
    found = judge_runs(sides, RELEVANT, dict.fromkeys(sides, WHY))
    assert {key: one.word for key, one in found.items()} == {
        "slow": "suspect",
        "same": "inconclusive",
        "few": "suspect",
    }
    assert all("the CPUs differ" in one.reason for one in found.values())
    assert found["slow"].reason == "slower by 35 %, but the CPUs differ"
    assert found["same"].reason == "as fast, going by the anchor, but the CPUs differ"


def test_what_weakens_does_not_make_a_suspicion_of_what_is_open() -> None:
    sides = {"": (tight(0, 3), tight(0.019, 3))}
    plain, weak = judge_runs(sides, RELEVANT)[""], judge_runs(sides, RELEVANT, {"": WHY})[""]
    assert weak == replace(plain, reason=f"{plain.reason}; {WHY}")
    assert plain.word == "inconclusive"
    assert plain.level == 0.95


# Runs in stores, from samples to words.

CASES = (Ask("torch", 0.0893), Ask(ORT, 0.0437))


def days(
    tmp_path: Path, name: str, n: int, *, times: float = 1.0, seed: int = 0, cases: Any = CASES, **facts: Any
) -> list[Results]:
    """`n` runs of days on which the machine is fast and slow, ONNX Runtime `times` as slow as usual."""
    path = tmp_path / f"{name}.sqlite"
    rng = np.random.default_rng(seed)
    for day in range(n):
        asks = [Ask(a.backend, a.seconds and a.seconds * (times if a.backend == ORT else 1)) for a in cases]
        speed = float(np.exp(rng.normal(0, 0.1)))
        run = f"202611{day + 10}-0{seed % 10}0000"
        write_run(path, run, asks, seed=seed * 100 + day, machine_speed=speed, **facts)
    with Store.open(path) as store:
        return [results(store, run.id) for run in store.runs()]


def ort(compared: Compared) -> Comparison:
    (found,) = (one for one in compared.comparisons if ORT in one.name)
    return found


OLD, NEW = {ORT: "1.30.0"}, {ORT: "1.31.1"}


def test_one_run_against_one_is_suspect_with_the_command_that_settles_it(tmp_path: Path) -> None:
    base = days(tmp_path, "a", 1, seed=1, versions=OLD)
    found = compare_runs(base, days(tmp_path, "b", 1, times=1.3, seed=2, versions=NEW))
    one = ort(found)
    assert one.verdict.word == "suspect"
    assert one.verdict.ratio.value == pytest.approx(1.3, rel=0.03)
    assert "3 on each side" in one.verdict.reason
    assert one.settle == (f"bakeoff ab {ORT}==1.30.0 {ORT}==1.31.1 --workload resnet50 --batch 1 --threads 2")
    assert [(d.what, d.base, d.new) for d in found.differences] == [(ORT, "1.30.0", "1.31.1")]
    other = next(c for c in found.comparisons if "torch" in c.name)
    assert other.verdict.word == "inconclusive"
    assert other.settle == "bakeoff run quick --workload resnet50"
    assert [one.word for one in gates(found, 0.05)] == ["cannot tell", "cannot tell"]


def test_a_version_is_typed_as_it_is_installed(tmp_path: Path) -> None:
    """OpenVINO calls itself more than what pip takes; a version that only the blocks know is named too."""
    base = days(tmp_path, "a", 1, seed=1, versions={ORT: "2026.4.0-21000-abc-releases/2026/4"})
    new = days(tmp_path, "b", 1, seed=2, versions={ORT: "2026.4.1-22982-def-releases/2026/4"})
    for run, version in ((base[0], "2026.4.0"), (new[0], "2026.4.0")):
        run.run.versions[ORT] = version
    found = compare_runs(base, new)
    assert ort(found).settle.startswith(f"bakeoff ab {ORT}==2026.4.0 {ORT}==2026.4.1 --workload")
    assert [(d.what, d.base, d.new) for d in found.differences] == [(ORT, "2026.4.0", "2026.4.1")]


def test_versions_that_one_run_holds_are_told_apart(tmp_path: Path) -> None:
    found = []
    for name in ("a", "b"):
        (run,) = days(tmp_path, name, 1, seed=ord(name), cases=[Ask("torch", 0.09), Ask(ORT, 0.04)])
        (group,) = run.groups
        rows = [
            replace(row, record=replace(row.record, case=replace(row.case, version=version)))
            for row, version in zip((group.rows[1], group.rows[1]), ("1.30.0", "1.31.1"), strict=True)
        ]
        blocks = {row.case.id: run.blocks[group.rows[1].case.id] for row in rows}
        groups = (replace(group, rows=(group.rows[0], *rows)),)
        found.append(replace(run, groups=groups, blocks={**run.blocks, **blocks}))
    names = [one.name for one in compare_runs([found[0]], [found[1]]).comparisons]
    assert [name.split(" · ")[1] for name in names] == ["torch", f"{ORT}==1.30.0", f"{ORT}==1.31.1"]


def test_another_content_or_precision_is_not_comparable(tmp_path: Path) -> None:
    sides = (("a", OLD), ("b", NEW))
    (base,), (new,) = (days(tmp_path, name, 1, seed=ord(name), versions=versions) for name, versions in sides)
    (group,) = new.groups

    def changed(content: str, ran: str) -> Results:
        rows = []
        for row in group.rows:
            case = replace(row.case, content=content)
            rows.append(replace(row, record=replace(row.record, case=case), precision_ran=ran))
        blocks = {r.case.id: new.blocks[o.case.id] for r, o in zip(rows, group.rows, strict=True)}
        groups = (replace(group, rows=tuple(rows)),)
        return replace(new, groups=groups, blocks={**new.blocks, **blocks})

    content = group.rows[0].case.content
    assert ort(compare_runs([base], [changed(content, "fp32")])).verdict.word == "inconclusive"
    other = ort(compare_runs([base], [changed("feed", "fp32")]))
    assert (other.verdict.word, other.judged) == ("not comparable", False)
    assert other.verdict.ratio.value is None
    assert other.settle == "bakeoff run quick --workload resnet50"  # in turns both would be one workload
    assert "the workload itself differs" in other.verdict.reason
    assert "tf32 in NEW" in ort(compare_runs([base], [changed(content, "tf32")])).verdict.reason


def test_a_case_that_was_never_measured_is_not_there(tmp_path: Path) -> None:
    (base,), (new,) = (days(tmp_path, name, 1, seed=ord(name)) for name in ("a", "b"))
    (group,) = new.groups
    rows = (group.rows[0], replace(group.rows[1], status="pending", unranked_because="pending"))
    found = compare_runs([base], [replace(new, groups=(replace(group, rows=rows),))])
    assert [ORT in name for name in found.only_base] == [True]
    assert len(found.comparisons) == 1


def test_three_runs_against_three_prove_what_the_days_would_hide(tmp_path: Path) -> None:
    base = days(tmp_path, "a", 3, seed=3, versions=OLD)
    found = compare_runs(base, days(tmp_path, "b", 3, times=1.1, seed=4, versions=NEW))
    one = ort(found)
    assert one.verdict.word == "slower"
    assert one.verdict.ratio.value == pytest.approx(1.1, rel=0.02)
    assert one.verdict.ratio.n == 6
    assert one.verdict.detectable < 0.05
    assert one.settle == ""
    raw = math.log(one.raw) - math.log(found.anchor[1] / found.anchor[0])
    assert math.exp(raw) == pytest.approx(1.1, rel=0.02)
    assert [each.word for each in gates(found, 0.05)] == ["pass", "regression"]
    assert [each.word for each in gates(found, 0.15)] == ["pass", "pass"]


def test_two_runs_a_side_do_not_close_a_gate(tmp_path: Path) -> None:
    found = compare_runs(days(tmp_path, "a", 2, seed=3), days(tmp_path, "b", 2, times=1.3, seed=4))
    assert ort(found).verdict.word == "suspect"
    assert {one.word for one in gates(found, 0.05)} == {"cannot tell"}


def test_the_larger_relevant_difference_counts(tmp_path: Path) -> None:
    base, new = days(tmp_path, "a", 3, seed=3), days(tmp_path, "b", 3, times=1.1, seed=4, relevant=0.2)
    found = compare_runs(base, new)
    assert (found.relevant, ort(found).verdict.word) == (0.2, "equivalent")
    assert ("relevant difference", "2 %", "20 %") in [(d.what, d.base, d.new) for d in found.differences]


def test_an_anchor_that_failed_is_none(tmp_path: Path) -> None:
    (base,), (new,) = (days(tmp_path, name, 1, seed=ord(name)) for name in ("a", "b"))
    found = compare_runs([base], [replace(new, anchor=replace(new.anchor, status="crashed"))])
    assert "its anchor failed" in ort(found).verdict.reason


def test_like_runs_of_different_days_are_not_told_apart(tmp_path: Path) -> None:
    found = compare_runs(days(tmp_path, "a", 3, seed=5), days(tmp_path, "b", 3, seed=6))
    assert found.differences == ()
    assert {one.verdict.word for one in found.comparisons} <= {"equivalent", "inconclusive"}
    assert all(abs(one.verdict.ratio.value - 1) < 0.02 for one in found.comparisons)


def test_another_cpu_is_named_and_nothing_is_proven(tmp_path: Path) -> None:
    xeon = {**MACHINE, "cpu": "Xeon", "flags": [*MACHINE["flags"], "avx512f"]}
    found = compare_runs(
        days(tmp_path, "a", 3, seed=7), days(tmp_path, "b", 3, times=1.3, seed=8, machine=xeon)
    )
    assert ort(found).verdict.word == "suspect"
    assert "software's share only" in found.notes[0]
    assert {one.what for one in found.differences} == {"CPU", "instruction sets"}
    assert {one.word for one in gates(found, 0.05)} == {"cannot tell"}
    assert ort(found).settle == ""  # the same version: nothing that could be measured in turns


def test_another_anchor_is_named_and_nothing_is_proven(tmp_path: Path) -> None:
    newer = {"anchor": "2.5.0", "numpy": "2.5.0"}
    base = days(tmp_path, "a", 3, seed=9, versions={"anchor": "2.4.6"})
    found = compare_runs(base, days(tmp_path, "b", 3, times=1.3, seed=10, versions=newer))
    assert ort(found).verdict.word == "suspect"
    assert "the anchor itself changed (NumPy 2.4.6 and 2.5.0)" in ort(found).verdict.reason
    assert ("NumPy of the anchor", "2.4.6", "2.5.0") in [(d.what, d.base, d.new) for d in found.differences]


def test_without_an_anchor_nothing_is_compared(tmp_path: Path) -> None:
    found = compare_runs(days(tmp_path, "a", 1, seed=1), days(tmp_path, "b", 1, seed=2, anchor=False))
    assert {one.verdict.word for one in found.comparisons} == {"not comparable"}
    assert "has no anchor" in ort(found).verdict.reason
    assert "anchor: false" in ort(found).verdict.reason
    assert found.anchor is None
    assert {one.word for one in gates(found, 0.05)} == {"cannot tell"}


def test_cases_of_one_side_are_listed_and_those_that_failed_refused(tmp_path: Path) -> None:
    base = days(tmp_path, "a", 1, seed=1, cases=[*CASES, Ask("openvino", 0.04)])
    path = tmp_path / "b.sqlite"
    broken = [Ask("torch", 0.09), Ask(ORT, 0.04, status="wrong-output", reason="far off"), Ask("tvm", 0.2)]
    write_run(path, "20261110-010000", broken, seed=3)
    with Store.open(path) as store:
        found = compare_runs(base, [results(store)])
    assert found.only_base == ("resnet50 b1 · openvino · fp32 · cpu · 2 threads",)
    assert found.only_new == ("resnet50 b1 · tvm · fp32 · cpu · 2 threads",)
    assert ort(found).verdict.word == "not comparable"
    assert ort(found).verdict.reason == "run 20261110-010000: wrong-output"
    words = [one.word for one in gates(found, 0.05)]  # of torch, onnxruntime, openvino
    assert words == ["cannot tell", "broken", "gone"]


def test_a_difference_that_is_none_among_many_says_so_by_its_numbers() -> None:
    base = ([0.0], [0.02], [-0.02], [0.01])
    like = {f"like {i}": (base, ([0.01 * i], [0.0], [-0.01], [0.02])) for i in range(5)}
    found = judge_runs({"apart": (base, ([0.03], [0.06], [0.05], [0.02])), **like}, RELEVANT)["apart"]
    assert found.word == "inconclusive"
    assert found.ratio.low > 1
    assert found.p is not None
    assert found.adjusted is not None
    assert found.p < 0.05 <= found.adjusted
    assert found.reason == (
        f"it differs by itself (p {found.p:.2g}), not among 6 comparisons"
        f" (p {found.adjusted:.2g} adjusted, and it takes under 0.05)"
    )
