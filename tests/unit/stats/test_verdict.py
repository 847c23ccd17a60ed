"""p values, adjustments and the words of a verdict against SciPy, statsmodels and their own definitions."""

import itertools
import math
from collections.abc import Callable, Sequence

import numpy as np
import pytest
from scipy import stats as oracle
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.power import TTestPower
from statsmodels.stats.weightstats import DescrStatsW

from bench.interfaces.estimate import Estimate
from bench.stats import significance
from bench.stats import verdict as verdicts
from bench.stats.estimates import hodges_lehmann, ratio_estimate
from bench.stats.significance import ALPHA
from bench.stats.verdict import PROVEN, Verdict, judge

RELEVANT = 0.02
MARGIN = math.log1p(RELEVANT)
SPREADS = (0.001, 0.01, 0.1)


def logs(mean: float, spread: float, n: int) -> list[float]:
    """Values of exactly this mean and standard deviation."""
    x = np.linspace(-1, 1, n)
    return list(mean + spread * (x - x.mean()) / x.std(ddof=1))


def drawn(seed: int) -> list[list[float]]:
    rng = np.random.default_rng(seed)
    sizes = (2, 3, 6, 12, 24)
    return [list(rng.normal(m, s, n)) for n in sizes for s in SPREADS for m in (-0.03, 0.0, 0.005, MARGIN)]


def test_p_is_scipys() -> None:
    for x in drawn(0):
        assert significance.p_value(x) == pytest.approx(oracle.ttest_1samp(x, 0).pvalue)


def test_tost_is_statsmodels() -> None:
    for x in drawn(1):
        for relevant in (0.01, RELEVANT, 0.1):
            margin = math.log1p(relevant)
            expected = DescrStatsW(np.array(x)).ttost_mean(-margin, margin)[0]
            assert significance.tost_p(x, relevant) == pytest.approx(expected)


def test_tost_is_the_90_percent_interval_within_the_margin() -> None:
    for x in drawn(2):
        interval = ratio_estimate(x, 0.9)
        inside = interval.low > 1 / (1 + RELEVANT) and interval.high < 1 + RELEVANT
        assert (significance.tost_p(x, RELEVANT) < 0.05) == inside


@pytest.mark.parametrize("alpha", [0.05, 0.05 / 3])
def test_the_detectable_difference_is_found_with_80_percent_power(alpha: float) -> None:
    """By statsmodels' power of a t test, where the scatter that was seen is the middle one of its kind."""
    for n in (3, 6, 12, 24):
        scatter = 0.01 * math.sqrt(oracle.chi2.median(n - 1) / (n - 1))
        found = math.log1p(significance.detectable(logs(0.3, scatter, n), alpha) or 0)
        assert TTestPower().power(found / 0.01, n, alpha) == pytest.approx(0.8, abs=1e-3), n


@pytest.mark.parametrize("n", [2, 3, 6, 24])
def test_what_it_says_it_finds_it_finds_8_times_in_10(n: int) -> None:
    """The value that is printed as often too large as too small, planted."""
    draws = np.random.default_rng(n).normal(0, 0.01, (3000, n))
    least = float(np.median([significance.detectable(x) for x in draws]))
    hits = np.mean([significance.p_value(x + math.log1p(least)) < 0.05 for x in draws])
    assert hits == pytest.approx(0.8, abs=0.04)


def test_the_detectable_difference_at_the_ends() -> None:
    x = logs(0.3, 0.01, 6)
    assert significance.detectable(x) == significance.detectable(x, 0.05)
    assert significance.detectable([]) is None
    assert significance.detectable([0.1]) is None
    assert significance.detectable([0.1, 0.1]) == 0
    assert significance.detectable([0.1, 0.2]) > 0


def test_too_few_values_prove_nothing() -> None:
    for x in ([], [0.5], [-0.5]):
        assert significance.p_value(x) == 1
        assert significance.tost_p(x, 10.0) == 1


def test_values_without_variance() -> None:
    assert significance.p_value([0.25, 0.25]) == 0
    assert significance.p_value([-0.25, -0.25]) == 0
    assert significance.p_value([0.0, 0.0]) == 1
    assert significance.tost_p([0.0, 0.0], RELEVANT) == 0
    assert significance.tost_p([MARGIN, MARGIN], RELEVANT) == 1
    assert significance.tost_p([-MARGIN, -MARGIN], RELEVANT) == 1
    assert significance.tost_p([math.nextafter(MARGIN, 0)] * 2, RELEVANT) == 0


def p_values(sizes: range, times: int) -> list[list[float]]:
    """Random ones, many of them tied."""
    rng = np.random.default_rng(3)
    found = []
    for size in list(sizes) * times:
        p = rng.beta(0.4, 2, size)
        p[rng.random(size) < 0.4] = p[0]
        found.append(p.tolist())
    return found


def test_benjamini_hochberg_is_statsmodels() -> None:
    for p in p_values(range(1, 12), 10):
        assert significance.benjamini_hochberg(p) == pytest.approx(multipletests(p, method="fdr_bh")[1])


def test_holm_is_statsmodels() -> None:
    for p in p_values(range(1, 8, 2), 1):
        assert significance.holm(p) == pytest.approx(multipletests(p, method="holm")[1])


def test_holm_is_the_closure_of_bonferroni() -> None:
    """The largest Bonferroni p of all sets that a comparison is in (Marcus, Peritz and Gabriel 1976)."""
    for p in p_values(range(1, 6), 4):
        sets = [s for k in range(1, len(p) + 1) for s in itertools.combinations(range(len(p)), k)]
        bonferroni = {s: min(1.0, len(s) * min(p[i] for i in s)) for s in sets}
        expected = [max(value for s, value in bonferroni.items() if i in s) for i in range(len(p))]
        assert significance.holm(p) == pytest.approx(expected)


@pytest.mark.parametrize("adjust", [significance.benjamini_hochberg, significance.holm])
def test_adjusting_none_one_and_sure_ones(adjust: Callable[[Sequence[float]], list[float]]) -> None:
    assert adjust([]) == []
    assert adjust([0.03]) == [0.03]
    assert adjust([1.0, 1.0]) == [1.0, 1.0]
    assert adjust([0.0, 0.0]) == [0.0, 0.0]


# the words


def words(x: list[float], **options) -> str:
    return judge(x, RELEVANT, **options).word


def test_each_word() -> None:
    assert words(logs(0.1, 0.01, 6)) == "slower"
    assert words(logs(-0.1, 0.01, 6)) == "faster"
    assert words(logs(0.0, 0.005, 6)) == "equivalent"
    assert words(logs(0.01, 0.005, 6)) == "equivalent"  # it differs, by too little to matter
    assert words(logs(0.0, 0.05, 6)) == "inconclusive"
    assert words(logs(0.05, 0.2, 6)) == "inconclusive"
    assert words(logs(0.015, 0.01, 6)) == "inconclusive"


def test_exactly_the_relevant_difference_is_one_that_matters() -> None:
    assert words([MARGIN] * 2) == "slower"
    assert words([-MARGIN] * 2) == "faster"
    assert words([math.nextafter(MARGIN, 0)] * 2) == "equivalent"
    assert words([math.nextafter(-MARGIN, 0)] * 2) == "equivalent"


def test_p_must_be_under_alpha() -> None:
    x = logs(0.1, 0.01, 6)
    assert words(x, adjusted=math.nextafter(0.05, 0)) == "slower"
    assert words(x, adjusted=0.05) == "inconclusive"
    own = significance.p_value(x)
    assert words(x, alpha=own) == "inconclusive"
    assert words(x, alpha=math.nextafter(own, 1)) == "slower"
    assert words(x, alpha=0.01, adjusted=0.02) == "inconclusive"


def test_equivalence_must_be_under_alpha_and_is_not_adjusted() -> None:
    x = logs(0.004, 0.02, 6)
    own = significance.tost_p(x, RELEVANT)
    assert words(x, alpha=own, adjusted=1.0) == "inconclusive"
    assert words(x, alpha=math.nextafter(own, 1), adjusted=1.0) == "equivalent"


def test_a_proven_difference_comes_before_equivalence() -> None:
    assert words([0.1, 0.1, 0.1, 0.1 + 1e-9], adjusted=0.0) == "slower"
    assert judge([0.0, 0.0], 0.0).word == "inconclusive"


def test_exchanging_the_sides_exchanges_the_words() -> None:
    other = {
        "faster": "slower",
        "slower": "faster",
        "equivalent": "equivalent",
        "inconclusive": "inconclusive",
    }
    seen = set()
    for x in drawn(4) + [logs(m, s, n) for m in (0.01, 0.0, 0.03, 0.2) for s in SPREADS for n in (2, 6)]:
        one, back = judge(x, RELEVANT), judge([-v for v in x], RELEVANT)
        seen.add(one.word)
        assert back.word == other[one.word]
        assert back.p == pytest.approx(one.p)
        assert back.detectable == pytest.approx(one.detectable)
        assert back.ratio.value == pytest.approx(1 / one.ratio.value)
        assert back.ratio.low == pytest.approx(1 / one.ratio.high)
    assert seen == {"faster", "slower", "equivalent", "inconclusive"}


def test_a_verdict_carries_what_it_rests_on() -> None:
    x = logs(0.1, 0.01, 6)
    found = judge(x, RELEVANT, alpha=0.02, adjusted=0.01)
    assert found == Verdict(
        "slower",
        ratio_estimate(x, 0.98),
        0.98,
        significance.p_value(x),
        0.01,
        significance.detectable(x, 0.02),
        "",
        pytest.approx(math.exp(hodges_lehmann(x))),
    )
    assert judge(x[:5], RELEVANT).middle is None
    apart = judge([*x, 9.0], RELEVANT)
    assert apart.middle == pytest.approx(1.1, rel=0.01)
    assert apart.ratio.value > 3
    assert judge(x, RELEVANT).adjusted == judge(x, RELEVANT).p
    assert judge(x, RELEVANT).level == 0.95
    assert judge(x, RELEVANT).detectable == significance.detectable(x)


def test_two_replicates_are_judged_and_one_is_not() -> None:
    two, one = judge([0.1, 0.11], RELEVANT), judge([0.1], RELEVANT)
    assert two.p is not None
    assert two.detectable is not None
    assert (one.word, one.p, one.level) == ("inconclusive", None, 0.95)


def test_only_some_words_are_proven() -> None:
    for word in ("faster", "slower", "equivalent", "inconclusive", "suspect", "not comparable"):
        assert Verdict(word, Estimate(1.0, None, None, 1)).proven == (word in PROVEN)
    assert PROVEN == ("faster", "slower", "equivalent")
    assert Verdict("faster", Estimate(1.0, None, None, 1)).level == 1 - ALPHA == 0.95


@pytest.mark.filterwarnings("ignore:overflow")
def test_why_nothing_is_proven() -> None:
    assert judge([], RELEVANT).reason == "0 replicates: no interval yet"
    assert judge([], RELEVANT).ratio == Estimate(None, None, None, 0)
    assert judge([0.1], RELEVANT).reason == "1 replicate: no interval yet"
    assert judge([0.1], RELEVANT).word == "inconclusive"
    assert judge([300.0, 400.0], RELEVANT).reason == "2 replicates: no interval yet"  # it overflows
    close = judge(logs(0.015, 0.01, 6), RELEVANT)
    assert close.reason == "it differs, but whether by 2 % is open"
    wide = judge(logs(0.0, 0.05, 6), RELEVANT)
    low, high = ((end - 1) * 100 for end in (wide.ratio.low, wide.ratio.high))
    assert wide.reason == f"from {low:+.1f} % to {high:+.1f} % is possible"
    assert "from -5.1 % to +5.4 %" in wide.reason
    assert judge(logs(0.1, 0.01, 6), RELEVANT).reason == ""


# why nothing is said though the interval leaves 1 out


def test_a_difference_that_is_none_among_many_says_so_by_its_numbers() -> None:
    x = logs(-0.35, 0.24, 5)
    found = judge(x, RELEVANT, adjusted=0.08, among=28)
    assert found.word == "inconclusive"
    assert found.ratio.high < 1
    assert found.p == pytest.approx(oracle.ttest_1samp(x, 0).pvalue)
    assert found.reason == (
        "it differs by itself (p 0.031), not among 28 comparisons (p 0.08 adjusted, and it takes under 0.05)"
    )
    assert found.alone


def test_one_look_of_several_says_what_that_look_takes() -> None:
    x = logs(-0.35, 0.15, 5)
    found = judge(x, RELEVANT, alpha=0.05 / 3, adjusted=0.0249, among=4)
    assert found.ratio.high < 1
    assert found.reason == (
        "it differs by itself (p 0.0064), not among 4 comparisons"
        " (p 0.025 adjusted, and it takes under 0.017)"
    )


def test_who_differs_by_itself_alone() -> None:
    x = logs(-0.35, 0.24, 5)
    assert not judge(x, RELEVANT, adjusted=0.04).alone
    assert not judge(logs(0.0, 0.05, 6), RELEVANT, adjusted=1.0).alone
    assert not judge([0.1], RELEVANT).alone


def test_the_reason_never_contradicts_the_interval() -> None:
    """Comparisons made together: where the interval leaves 1 out, no reason says what is 'possible'."""
    rng = np.random.default_rng(8)
    together = {str(i): list(rng.normal(0.01 * (i % 12), 0.05, 6)) for i in range(28)}
    seen = set()
    for verdict, _ in verdicts.judge_together(together, RELEVANT, (6, 12, 24)).values():
        if verdict.word == "inconclusive":
            outside = verdict.ratio.low > 1 or verdict.ratio.high < 1
            assert outside != verdict.reason.endswith("is possible"), verdict
            if verdict.alone:
                seen.add(verdict.reason.partition(", not among ")[2].partition(" (")[0])
    assert seen == {"28 comparisons"}
