"""The gate: closed by a proven regression, and 'cannot tell' where one could have been missed."""

import math
from collections.abc import Sequence

import numpy as np
import pytest
from scipy import stats as oracle

from bench.compare.comparison import Compared, Comparison, gates
from bench.interfaces.estimate import Estimate
from bench.stats.gate import GateResult, Rules, cannot_tell, closed, gate, gate_runs
from bench.stats.significance import detectable, p_value
from bench.stats.verdict import Verdict
from bench.stats.welch import cautious
from bench.suite.profiles import LOOKS
from bench.text.units import percent

FIVE = 0.05


def logs(slower: float, scatter: float, replicates: int = 6) -> list[float]:
    """Log ratios whose mean and standard deviation are just these."""
    shape = np.linspace(-1, 1, replicates)
    return list(math.log1p(slower) + scatter * shape / shape.std(ddof=1))


def one(values: Sequence[float], threshold: float = FIVE, looks: Sequence[int] = (6,)) -> GateResult:
    return gate({"x": values}, threshold, looks)["x"]


@pytest.mark.parametrize(
    ("slower", "scatter", "word"),
    [
        (0.08, 0.01, "regression"),
        (0.08, 0.09, "cannot tell"),  # as large, but not proven
        (0.04, 0.002, "pass"),  # proven slower, but by less than the gate
        (0.045, 0.01, "pass"),  # 5 % is possible, and would have been found
        (0.0, 0.01, "pass"),
        (0.0, 0.06, "cannot tell"),
        (-0.3, 0.06, "pass"),  # wide, but far from any slow-down
    ],
)
def test_the_word(slower: float, scatter: float, word: str) -> None:
    found = one(logs(slower, scatter))
    assert found.word == word
    assert found.ratio.value == pytest.approx(1 + slower)
    assert found.detectable > 0
    assert found.p == p_value(logs(slower, scatter))
    assert found.reason


@pytest.mark.parametrize(
    ("slower", "scatter", "reason"),
    [
        (0.08, 0.01, "slower by 8.0 %, proven, and the gate is at 5 %"),
        (0.0, 0.01, "5 % slower is ruled out: +1.1 % at most"),
        (0.045, 0.01, "no slow-down of 5 % is proven, and 1.5 % would have been found"),
        (
            0.0,
            0.06,
            "from -6.1 % to +6.5 % is possible; this much data finds 9.7 % and more, the gate is at 5 %",
        ),
    ],
)
def test_the_reason_gives_the_numbers(slower: float, scatter: float, reason: str) -> None:
    assert one(logs(slower, scatter)).reason == reason


def test_what_many_comparisons_keep_from_being_said_is_named_by_its_numbers() -> None:
    """Not 'from +1 % to +24 % is possible', which the interval does not say."""
    apart = logs(0.12, 0.07)
    assert one(apart).word == "regression"
    like = {f"like {i}": logs(0.0, 0.3) for i in range(9)}
    found = gate({"x": apart, **like}, FIVE, (6,))["x"]
    assert found.word == "cannot tell"
    assert found.ratio.low is not None
    assert found.ratio.low > 1
    assert found.reason.startswith("slower by itself, from +4")
    assert "not among 10 comparisons (p 0.11 adjusted, and it takes under 0.05)" in found.reason
    assert "is possible" in gate({"x": apart, **like}, FIVE, (6,))["like 0"].reason


@pytest.mark.parametrize("looks", [(6,), (6, 12), LOOKS])
def test_the_interval_is_that_of_the_look(looks: Sequence[int]) -> None:
    values = logs(0.03, 0.03)
    found = one(values, looks=looks)
    error = np.std(values, ddof=1) / math.sqrt(6)
    low, high = oracle.t.interval(1 - 0.05 / len(looks), 5, np.mean(values), error)
    assert (found.ratio.low, found.ratio.high) == pytest.approx((math.exp(low), math.exp(high)))


def test_the_gate_is_at_its_threshold() -> None:
    values = logs(0.05, 0.001)
    assert one(values, 0.0499).word == "regression"
    assert one(values, 0.0501).word == "pass"


def test_cannot_tell_is_said_where_the_detectable_is_over_the_gate() -> None:
    """Between the two words stands the least difference that is found 8 times in 10."""
    values = logs(0.03, 0.03)
    least = one(values).detectable
    assert least == detectable(values, 0.05)
    assert one(values, looks=LOOKS).detectable == detectable(values, 0.05 / 3)
    assert one(values, least * 0.99).word == "cannot tell"
    assert one(values, least * 1.01).word == "pass"
    assert f"{least * 100:.2g} % and more" in one(values, least * 0.99).reason


def test_one_replicate_cannot_tell() -> None:
    found = one([0.5])
    assert (found.word, found.detectable) == ("cannot tell", None)
    assert (found.ratio.value, found.p, found.look) == (pytest.approx(math.exp(0.5)), 1.0, None)
    assert found.reason == "too little was measured for an interval"
    assert gate({}, FIVE, (6,)) == {}


def test_many_comparisons_are_adjusted_by_holm() -> None:
    """What is proven alone is not beside nineteen others, and the detectable difference grows with them."""
    values = logs(0.06, 0.045)
    alone = one(values)
    assert alone.word == "regression"
    quiet = {str(i): logs(0.0, 0.01) for i in range(19)}
    beside = gate({"x": values, **quiet}, FIVE, (6,))["x"]
    assert beside.p == pytest.approx(20 * alone.p)
    assert beside.word == "cannot tell"
    assert beside.detectable > alone.detectable


def test_a_look_spends_its_share_and_settles() -> None:
    early = logs(0.08, 0.01, 6) + logs(-0.08, 0.01, 18)
    found = one(early, looks=LOOKS)
    assert (found.word, found.look) == ("regression", 6)
    turned = logs(0.06, 0.001, 6) + [-0.2] * 18  # a pass at the second look, were it not settled
    assert (one(turned, looks=LOOKS).word, one(turned, looks=LOOKS).look) == ("regression", 6)
    safe = logs(-0.1, 0.01, 6) + logs(0.3, 0.01, 18)
    assert (one(safe, looks=LOOKS).word, one(safe, looks=LOOKS).look) == ("pass", 6)
    middle = one(logs(0.2, 0.25, 6) + logs(0.2, 0.01, 6) + [-0.2] * 12, looks=LOOKS)
    assert (middle.word, middle.look) == ("regression", 12)
    assert one(logs(0.08, 0.01, 6), looks=LOOKS).look == 6  # which has just so many
    calm = logs(0.0, 0.005, 6) + logs(0.3, 0.01, 18)  # like sides, ruled out though not faster
    assert (one(calm, looks=LOOKS).word, one(calm, looks=LOOKS).look) == ("pass", 6)
    late = one([0.2, -0.2] * 12, looks=LOOKS)
    assert late.look is None
    border = logs(0.06, 0.05, 6)  # p is between a third of α and α
    assert one(border, looks=(6,)).word == "regression"
    assert one([*border, 0.06], looks=LOOKS).look is None


def test_an_early_pass_must_be_ruled_out_and_not_merely_unfound() -> None:
    """At a look the gate waits on where a slow-down is possible, though it would have been found."""
    values = logs(0.045, 0.008, 6)
    assert one(values).word == "pass"
    assert one(values + logs(0.09, 0.008, 6), looks=(6, 12)).look is None


def test_the_gate_closes_wrongly_in_at_most_one_of_twenty() -> None:
    """Versions that are alike, ten a gate, three looks; the gate so low that it protects nobody."""
    rng = np.random.default_rng(1)
    wrong = 0
    for _ in range(150):
        found = gate({str(i): list(rng.normal(0, 0.03, 24)) for i in range(10)}, 1e-6, LOOKS)
        wrong += closed(found.values(), Rules(1e-6))
    assert wrong / 150 <= 0.05 + 2 * math.sqrt(0.05 * 0.95 / 150)


def test_runs_are_judged_by_welch_and_holm() -> None:
    rng = np.random.default_rng(2)
    sides = {str(i): (list(rng.normal(0, 0.01, 4)), list(rng.normal(0.02 * i, 0.02, 4))) for i in range(5)}
    found = gate_runs(sides, FIVE)
    p = [oracle.ttest_ind(new, base, equal_var=False).pvalue for base, new in sides.values()]
    order = np.argsort(p)
    expected = np.maximum.accumulate([min(1.0, p[i] * (5 - rank)) for rank, i in enumerate(order)])
    assert [found[str(i)].p for i in order] == pytest.approx(list(expected))
    assert found["0"].ratio.value == pytest.approx(math.exp(np.mean(sides["0"][1]) - np.mean(sides["0"][0])))
    slow = gate_runs({"x": ([0.0, 0.001, 0.002], [0.1, 0.101, 0.102])}, FIVE)["x"]
    fast = gate_runs({"x": ([0.1, 0.101, 0.102], [0.0, 0.001, 0.002])}, FIVE)["x"]
    assert (slow.word, fast.word) == ("regression", "pass")
    assert gate_runs({"x": ([0.0], [0.5])}, FIVE)["x"].word == "cannot tell"
    alone = gate_runs({"0": sides["0"]}, FIVE)["0"].detectable
    assert alone == pytest.approx(cautious(*reversed(sides["0"])).detectable(0.05))
    assert found["0"].detectable == pytest.approx(cautious(*reversed(sides["0"])).detectable(0.01))
    assert gate_runs({}, FIVE) == {}


@pytest.mark.parametrize(
    ("words", "as_it_is", "with_all", "with_none"),
    [
        (["pass", "pass"], False, False, False),
        (["pass", "cannot tell"], False, True, False),
        (["pass", "regression"], True, True, True),
        (["regression", "cannot tell"], True, True, True),
        (["pass", "gone"], True, True, False),
        (["pass", "broken"], True, True, False),
        ([], False, True, False),  # a gate that judged nothing cannot tell
    ],
)
def test_which_words_close_it(words: list[str], as_it_is: bool, with_all: bool, with_none: bool) -> None:
    results = [GateResult(word) for word in words]
    assert closed(results, Rules(FIVE)) is as_it_is
    assert closed(results, Rules(FIVE, inconclusive="fail")) is with_all
    assert closed(results, Rules(FIVE, gone="pass", broken="pass")) is with_none


def test_each_loss_is_excused_by_its_own_rule() -> None:
    assert closed([GateResult("gone")], Rules(FIVE, broken="pass"))
    assert closed([GateResult("broken")], Rules(FIVE, gone="pass"))
    assert not closed([GateResult("gone")], Rules(FIVE, gone="pass"))
    assert not closed([GateResult("broken")], Rules(FIVE, broken="pass"))


def test_a_gate_over_comparisons_follows_their_order() -> None:
    unknown = Estimate(None, None, None, 0)
    refused = Comparison("b", Verdict("not comparable", unknown, reason="crashed"), judged=False)
    slow, same = (
        Comparison(name, Verdict("slower", unknown), logs=tuple(logs(by, 0.01)))
        for name, by in (("a", 0.1), ("c", 0.0))
    )
    compared = Compared("within", ("A",), ("B",), 0.02, (slow, refused, same), looks=(6,), gone=("d",))
    found = gates(compared, FIVE)
    assert [each.word for each in found] == ["regression", "cannot tell", "pass", "gone"]
    assert found[1].reason == "not comparable: crashed"
    assert found[0].p == pytest.approx(2 * one(logs(0.1, 0.01)).p)  # of two that are judged
    assert cannot_tell("why").reason == "why"
    ratio = Estimate(1.1, 1.0, 1.2, 3)
    assert cannot_tell("why", ratio) == GateResult("cannot tell", ratio, reason="why")


@pytest.mark.parametrize(
    ("text", "fraction"), [("5%", 0.05), ("5 %", 0.05), (" 5", 0.05), ("2.5%", 0.025), ("0.5%", 0.005)]
)
def test_percentages(text: str, fraction: float) -> None:
    assert percent(text) == pytest.approx(fraction)


@pytest.mark.parametrize("text", ["", "%", "five", "-5%", "0", "0%", "5%%", "1e1", "nan", "2000%"])
def test_what_is_no_percentage(text: str) -> None:
    with pytest.raises(ValueError, match="5%"):
        percent(text)


def test_a_fraction_is_not_guessed_at() -> None:
    with pytest.raises(ValueError, match=r"0.05 % or 5 %; write it with the sign"):
        percent("0.05")
