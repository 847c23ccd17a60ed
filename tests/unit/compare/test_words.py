"""What terminal and page say of verdicts, of rounds that others disturbed, and of the linter's findings."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bench.compare.results import Results, Row
from bench.compare.undisturbed import remarks
from bench.compare.words import findings, roughly, settle, why, word
from bench.interfaces.estimate import Estimate
from bench.stats.verdict import Verdict
from tests.helpers import fake_results as fake


def rows(results: Results) -> dict[str, Row]:
    return {row.case.backend: row for row in results.rows}


def test_a_word_for_every_row() -> None:
    found = {backend: word(row) for backend, row in rows(fake.judgements()).items()}
    assert found == {
        "torch": "baseline",
        "onnxruntime": "faster",
        "openvino": "equivalent",
        "executorch": "equivalent",
        "tvm": "inconclusive",
        "jax": "slower",
        "iree": "not comparable",
    }
    assert [word(row) for row in fake.nasty().rows][:2] == ["failed", "out-of-memory"]
    alone = replace(fake.single().rows[0], baseline=False)
    assert word(alone) == "–"
    assert word(replace(alone, ranked=False)) == "not ranked"


def test_why_no_stronger() -> None:
    found = rows(fake.judgements())
    tvm = found["tvm"].verdict
    assert tvm is not None
    assert why(found["onnxruntime"]) == why(found["torch"]) == ""
    assert why(found["iree"]) == "asked for precision fp16, ran fp32 (executed)"
    assert why(found["tvm"]) == f"{tvm.reason}; a difference of 9.2 % would be found 8 times in 10"
    narrow = replace(found["tvm"], verdict=replace(tvm, level=1 - 0.05 / 3))
    assert why(narrow).startswith(f"{tvm.reason} (98.3 % interval); ")
    reason = "it differs by itself (p 0.011), not among 28 comparisons"
    alone = replace(tvm, level=1 - 0.05 / 3, p=0.011, adjusted=0.08, reason=reason)
    assert why(replace(found["tvm"], verdict=alone)).startswith(f"{reason}; a difference of ")
    early = Verdict("inconclusive", Estimate(1.1, None, None, 1), reason="1 replicate: no interval yet")
    assert why(replace(found["tvm"], verdict=early)) == "1 replicate: no interval yet"


def test_what_disturbance_hid() -> None:
    results = fake.judgements()
    (group,) = results.groups
    hidden = rows(results)["openvino"]
    second = hidden.second
    assert hidden.verdict is not None
    assert hidden.verdict.word == "equivalent"
    assert second is not None
    assert second.word == "faster"
    assert second.ratio.value == pytest.approx(hidden.quiet_ratio.value)
    assert rows(results)["jax"].second is None
    every = [block for blocks in results.blocks.values() for block in blocks]  # the anchor's as well
    hit = {(b.part, one.round) for b in every for one in b.bursts if one.disturbed}
    assert group.marked == len(hit) / 60
    (said,) = remarks(group)
    assert said.startswith(
        "Others disturbed 58 % of the rounds, which count above. Without them the ratio of"
    )
    assert "openvino fp32 is 0.914× ±1.1 % (faster)" in said


def test_undisturbed_and_unchanged() -> None:
    asks = [fake.Ask("torch", 0.02, disturbed=0.0), fake.Ask("onnxruntime", 0.01, disturbed=0.0)]
    still = fake.judged(fake.make("resnet50", asks))
    assert list(remarks(still.groups[0])) == []
    (said,) = remarks(fake.realistic().groups[0])
    assert said.endswith("Without them no verdict changes and no ratio leaves its interval.")
    (said,) = remarks(fake.single().groups[0])
    assert "Without" not in said, "nothing was compared"


def test_nothing_left_without_the_disturbed() -> None:
    asks = [fake.Ask("torch", 0.02, disturbed=1.0), fake.Ask("onnxruntime", 0.01)]
    results = fake.judged(fake.make("resnet50", asks))
    (said,) = remarks(results.groups[0])
    assert said.startswith("Others disturbed 100 % of the rounds")
    assert said.endswith("Without them nothing is left of onnxruntime.")
    one = fake.judged(fake.make("resnet50", asks, replicates=1))
    (said,) = remarks(one.groups[0])
    assert "no verdict changes" not in said, "inconclusive before, and nothing now"


def test_the_command_that_settles() -> None:
    one = settle(fake.judgements())
    assert one == "bakeoff ab torch tvm --workload minilm-l6 --batch 1 --sequence 128 --threads 2"
    assert settle(fake.realistic()) == "", "nothing is open"
    asks = [fake.Ask("torch", 0.02), fake.Ask("jax", 0.02), fake.Ask("mnn", 0.02)]
    made = fake.make("resnet50", asks, seed=8)
    assert settle(fake.judged(made)) == "bakeoff run quick --profile publish"
    assert settle(fake.judged(made, command=["run", "--resume", "x"])) == ""
    assert settle(fake.judged(made, suite={"profile": "publish"})) == ""


def test_rough_ratios_are_counted() -> None:
    asks = [fake.Ask("torch", 0.02), fake.Ask("jax", 0.03), fake.Ask("mnn", 0.02)]
    made = fake.make("resnet50", asks, seed=8)
    for change, said in (({}, "standard"), ({"suite": {"profile": "standard"}}, "publish")):
        results = fake.judged(made, **change)
        ratios = [row.ratio for row in results.rows if row.ratio.value and not row.baseline]
        marked = sum(one.half_width is None or one.half_width > 0.03 for one in ratios)
        assert marked
        assert f"±3 %: {marked} of {len(ratios)}; --profile {said} takes" in " ".join(
            roughly(results).split()
        )
    assert roughly(fake.judged(made, suite={"profile": "publish"})).endswith(f"{marked} of {len(ratios)}.")
    alone = fake.judged(fake.make("resnet50", [fake.Ask("torch", 0.02)], seed=8))
    assert roughly(alone) == "", "nothing is compared"


def test_findings_of_one_rule_stand_together() -> None:
    made = fake.make("resnet50", [fake.Ask("torch", 0.02), fake.Ask("jax", 0.03)], seed=8)
    for one in made:
        one.blocks[0].host_ns[3] = 0
    (found,) = [one for one in findings(fake.judged(made)) if one.rule == "sample-not-positive"]
    assert found.kind == "cannot be"
    assert len(found.texts) == 2
    assert "jax" in found.texts[1]
    assert "--rerun" in found.look


def test_without_marked_rounds_there_is_no_second_verdict() -> None:
    """Another group of the run was disturbed."""
    still = [fake.Ask("torch", 0.02, disturbed=0.0), fake.Ask("onnxruntime", 0.01, disturbed=0.0)]
    hit = [fake.Ask("torch", 0.02, disturbed=0.5), fake.Ask("onnxruntime", 0.01, disturbed=0.5)]
    quiet, loud = fake.make("resnet50", still), fake.make("resnet50", hit, batch=2)
    for one in loud:
        for block in one.blocks:
            block.part += 100  # which took turns at another time
    first, second = fake.judged([*quiet, *loud]).groups
    assert [row.undisturbed for row in first.rows] == [None, None]
    assert first.marked == 0
    assert second.rows[1].undisturbed is not None
    assert second.marked > 0
