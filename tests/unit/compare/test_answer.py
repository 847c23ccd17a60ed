"""The answer's sentence: true in every branch, and no finer than the verdicts."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bench.compare.answer import answer, listed, some
from bench.compare.naming import name
from bench.compare.results import Row
from bench.interfaces.case import Case
from bench.interfaces.estimate import Estimate
from bench.stats.verdict import Verdict, Word
from tests.helpers import fake_results as fake

TEMPLATE = fake.twelve().groups[0].rows[0]


def row(backend: str, word: Word | None = None, ratio: float = 1.0, ranked: bool = True, **case: str) -> Row:
    """A case of 10 ms times its ratio; without a word it is the baseline."""
    one: Case = replace(TEMPLATE.case, backend=backend, **case)
    estimate = Estimate(ratio, ratio * 0.98, ratio * 1.02, 3)
    return replace(
        TEMPLATE,
        record=replace(TEMPLATE.record, case=one, baseline=word is None),
        baseline=word is None,
        ranked=ranked,
        unranked_because="" if ranked else "failed",
        latency=Estimate(0.01 * ratio, 0.0099 * ratio, 0.0101 * ratio, 3),
        ratio=Estimate(None, None, None, 0) if word is None else estimate,
        verdict=None if word is None else Verdict(word, estimate),
    )


TORCH = row("torch")
FAST, SLOW = row("ort", "faster", 0.5), row("tvm", "slower", 2.0)
EVEN, VAGUE, MAYBE = row("jax", "equivalent"), row("ncnn", "inconclusive", 0.99), row("mnn", "inconclusive")
FAR = row("tinygrad", "inconclusive", 3.0)
NEVER = replace(row("tflite", "not comparable", ranked=False), status="unsupported")
OUT, GONE = (row(backend, "not comparable", 0.4, ranked=False) for backend in ("iree", "a"))


FIVE, TEN, ABOUT = (f"{ms} ms ±1.0 % an inference" for ms in ("5.00", "10.0", "9.90"))
TWICE = "2.00 times as fast as torch [1.96, 2.04]"
TO_BASE = "and is equivalent to torch, the baseline"


@pytest.mark.parametrize(
    ("rows", "winner", "tied", "said"),
    [
        ([TORCH, FAST, SLOW], FAST, [], f"ort is fastest, {FIVE}, {TWICE}."),
        ([TORCH, FAST, OUT], FAST, [], f"ort is the fastest ranked case, {FIVE}, {TWICE}."),
        ([TORCH, FAST, NEVER], FAST, [], f"ort is fastest, {FIVE}, {TWICE}."),
        ([TORCH, SLOW], TORCH, [], f"torch is fastest, {TEN}."),
        ([TORCH], TORCH, [], f"torch takes {TEN}."),
        ([TORCH, OUT], TORCH, [], f"torch is the only ranked case, {TEN}."),
        (
            [TORCH, SLOW, EVEN, VAGUE],
            TORCH,
            [EVEN, VAGUE],
            f"torch, the baseline, leads with {TEN}; jax is equivalent to it; ncnn cannot be told from it.",
        ),
        ([TORCH, EVEN, SLOW], EVEN, [TORCH], f"jax leads with {TEN} {TO_BASE}."),
        (
            [TORCH, EVEN, VAGUE, SLOW],
            EVEN,
            [TORCH, VAGUE],
            f"jax leads with {TEN} {TO_BASE}; ncnn cannot be told from it.",
        ),
        (
            [TORCH, VAGUE, MAYBE, SLOW],
            VAGUE,
            [TORCH, MAYBE],
            f"ncnn leads with {ABOUT}, but torch and mnn cannot be told from it.",
        ),
        (
            [TORCH, VAGUE, MAYBE, EVEN, FAR],
            VAGUE,
            [TORCH, MAYBE, EVEN, FAR],
            f"ncnn leads with {ABOUT}, but none of the 4 others can be told from it.",
        ),
        (
            [TORCH, FAST, MAYBE],
            FAST,
            [MAYBE],
            f"ort leads with {FIVE}, {TWICE}, but mnn cannot be told from it.",
        ),
        ([OUT, GONE], None, [], "no case can be ranked. iree and a: failed."),
    ],
)
def test_every_branch(rows: list[Row], winner: Row | None, tied: list[Row], said: str) -> None:
    baseline = next((one for one in rows if one.baseline), None)
    assert answer("resnet50 b1", rows, winner, tied, baseline) == f"resnet50 b1: {said}"


def test_no_factor_without_a_proof() -> None:
    """The winner is told from all others of its group, yet not from the baseline over the whole run."""
    said = answer("t", [TORCH, VAGUE, SLOW], VAGUE, [], TORCH)
    assert said == "t: ncnn leads with 9.90 ms ±1.0 % an inference, but torch cannot be told from it."
    unranked = replace(TORCH, ranked=False, unranked_because="wrong-output")
    lone = row("ort", "not comparable", 0.5)
    assert "times as fast" not in answer("t", [unranked, lone, SLOW], lone, [], unranked)


def test_one_replicate_has_no_interval_and_says_so() -> None:
    one = replace(TORCH, latency=Estimate(0.01, None, None, 1))
    assert answer("t", [one], one, [], one) == (
        "t: torch takes 10.0 ms an inference (one replicate, so no interval)."
    )


def test_twins_have_names_of_their_own() -> None:
    rows = [row("ort"), row("ort", "equivalent", twin="2")]
    assert [name(one, rows) for one in rows] == ["ort", "ort twin 2"]


def test_lists() -> None:
    assert [listed(list(words)) for words in ("a", "ab", "abc")] == ["a", "a and b", "a, b and c"]
    assert some(["a", "b", "c", "d"]) == "4 cases"
    assert some(["a", "b", "c"]) == "a, b and c"
