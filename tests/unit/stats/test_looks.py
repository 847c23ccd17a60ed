"""Comparisons made together and looked at several times: α over the looks, and what is settled stays so."""

import math

import numpy as np
import pytest

from bench.stats.estimates import ratio_estimate
from bench.stats.significance import ALPHA, benjamini_hochberg, p_value
from bench.stats.verdict import judge, judge_together
from bench.suite.profiles import LOOKS
from tests.helpers.chance import rate_error

RELEVANT = 0.02
MARGIN = math.log1p(RELEVANT)
Logs = dict[str, list[float]]


def of_a_run(seed: int, replicates: int = 24, keys: str = "abcd") -> Logs:
    rng = np.random.default_rng(seed)
    means = rng.choice([0.0, 0.01, MARGIN, -0.04, 0.1], len(keys))
    return {key: list(rng.normal(mean, 0.03, replicates)) for key, mean in zip(keys, means, strict=True)}


def until(logs: Logs, replicates: int) -> Logs:
    return {key: found[:replicates] for key, found in logs.items()}


@pytest.mark.parametrize("comparisons", [1, 3])
def test_false_differences_are_at_most_5_percent_over_all_looks(comparisons: int) -> None:
    """Nothing differs, and every difference would matter: only α stands between and a false word."""
    repeats = 1200 // comparisons
    rng = np.random.default_rng(comparisons)
    false = 0
    for draws in rng.normal(0, 0.02, (repeats, comparisons, LOOKS[-1])):
        found = judge_together(dict(enumerate(map(list, draws))), 1e-9, LOOKS)
        false += any(verdict.word in ("faster", "slower") for verdict, _ in found.values())
    # Three looks with a third of α each share data: 4,000 repeats gave 4.4 %, 3,000 of three 4.6 %.
    assert abs(false / repeats - 0.045) < 2.5 * math.sqrt(0.045 * 0.955 / repeats)


def test_false_equivalence_is_at_most_5_percent_over_all_looks() -> None:
    """The truth is the least difference that matters: to call it equivalent is an error."""
    rng = np.random.default_rng(5)
    draws = rng.normal(MARGIN, 0.01, (800, LOOKS[-1]))
    found = [judge_together({"a": list(one)}, RELEVANT, LOOKS)["a"][0].word for one in draws]
    assert 0.01 < found.count("equivalent") / len(found) < ALPHA


def test_the_interval_shown_with_a_verdict_holds_the_truth_though_it_was_stopped_for() -> None:
    rng = np.random.default_rng(6)
    for mean, spread in ((0.01, 0.07), (MARGIN, 0.02), (0.05, 0.05)):
        held = 0
        for one in rng.normal(mean, spread, (250, LOOKS[-1])):
            ratio = judge_together({"a": list(one)}, RELEVANT, LOOKS)["a"][0].ratio
            held += ratio.low <= math.exp(mean) <= ratio.high
        assert held / 250 > 0.95 - rate_error(0.95, 250) / 4


def test_a_look_spends_its_share_of_alpha() -> None:
    x = list(np.random.default_rng(7).normal(0.1, 0.02, 24))
    verdict, look = judge_together({"a": x}, RELEVANT, LOOKS)["a"]
    assert look == 6
    assert verdict == judge(x[:6], RELEVANT, alpha=ALPHA / 3)
    assert verdict.level == pytest.approx(1 - 0.05 / 3)
    only, look = judge_together({"a": x[:6]}, RELEVANT, (6,))["a"]
    assert look is None
    assert only == judge(x[:6], RELEVANT, alpha=0.05)


def test_nothing_to_compare() -> None:
    assert judge_together({}, RELEVANT, LOOKS) == {}
    verdict, look = judge_together({"a": []}, RELEVANT, LOOKS)["a"]
    assert (verdict.word, look) == ("inconclusive", None)


def test_a_look_waits_for_its_replicates() -> None:
    x = [0.5, 0.5001] * 12
    for n, look in ((5, None), (6, 6), (7, 6), (24, 6)):
        assert judge_together({"a": x[:n]}, RELEVANT, LOOKS)["a"][1] == look
    assert judge_together({"a": x[:5]}, RELEVANT, LOOKS)["a"][0].word == "slower"  # as the last word


def test_what_is_open_is_judged_on_all_it_has() -> None:
    x = list(np.random.default_rng(8).normal(0.005, 0.05, 30))
    for n in (5, 11, 24, 30):
        verdict, look = judge_together({"a": x[:n]}, RELEVANT, LOOKS)["a"]
        assert look is None
        assert verdict == judge(x[:n], RELEVANT, alpha=ALPHA / 3)
        assert verdict.ratio == ratio_estimate(x[:n], 1 - ALPHA / 3)


def test_p_is_adjusted_for_the_comparisons_made_together() -> None:
    logs = of_a_run(9)
    found = judge_together(logs, RELEVANT, (24,))
    own = [p_value(x) for x in logs.values()]
    assert [verdict.p for verdict, _ in found.values()] == own
    assert [verdict.adjusted for verdict, _ in found.values()] == benjamini_hochberg(own)
    assert benjamini_hochberg(own) != own


def test_what_is_settled_stays_so_and_the_order_does_not_matter() -> None:
    looks = set()
    for seed in range(12):
        logs = of_a_run(seed)
        end = judge_together(logs, RELEVANT, LOOKS)
        for n in (6, 9, 12, 18):
            for key, (verdict, look) in judge_together(until(logs, n), RELEVANT, LOOKS).items():
                if look is not None:
                    assert end[key] == (verdict, look)
                    looks.add(look)
        assert judge_together(dict(reversed(logs.items())), RELEVANT, LOOKS) == end
    assert looks == {6, 12}


def test_a_settled_comparison_has_no_more_replicates_and_stays_settled() -> None:
    """As in a run: what is settled is measured no further, and its p is the one that settled it."""
    for seed in range(12):
        logs = of_a_run(seed)
        full = judge_together(logs, RELEVANT, LOOKS)
        cut = {key: x[: full[key][1]] for key, x in logs.items()}
        assert judge_together(cut, RELEVANT, LOOKS) == full


def test_one_that_lags_behind_opens_nothing_when_it_comes() -> None:
    """`a` alone is just under its share of α; with a second comparison it needs that one to be sure too."""
    for seed in range(40):
        logs = of_a_run(seed)
        late = {**until(logs, 6), "b": logs["b"][:4]}
        before = judge_together(late, RELEVANT, LOOKS)
        after = judge_together(until(logs, 6), RELEVANT, LOOKS)
        for key, (verdict, look) in before.items():
            if look is not None:
                assert after[key][0].word == verdict.word
                assert after[key][1] == look
    pattern = np.array([-1, 1, -1, 1, -1, 1])
    near = list(0.06 + 0.036 * pattern)  # p = .014: enough alone, and with another that is sure
    sure = [0.5, 0.51, 0.5, 0.51, 0.5]
    assert ALPHA / 3 / 2 < p_value(near) < ALPHA / 3
    for sixth in (0.5, -4.5):
        assert judge_together({"a": near, "b": sure}, RELEVANT, LOOKS)["a"][1] is None
        assert judge_together({"a": near, "b": [*sure, sixth]}, RELEVANT, LOOKS)["a"][1] == (
            6 if sixth > 0 else None
        )
    assert judge_together({"a": near}, RELEVANT, LOOKS)["a"][1] == 6
