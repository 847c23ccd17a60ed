"""The table of how sure each comparison is."""

from __future__ import annotations

from bench.compare.results import Results, Row
from bench.interfaces.estimate import Estimate
from bench.stats.noise import noise
from bench.stats.pairs import paired_rounds
from bench.stats.verdict import Verdict
from bench.text.numbers import factor
from reports.html.sure import comparisons, possible
from tests.helpers import fake_results as fake


def rows(results: Results) -> dict[str, Row]:
    return {row.case.backend: row for row in results.rows}


def test_how_sure() -> None:
    results = fake.judgements()
    (group,) = results.groups
    found = comparisons(group)
    assert [one.label for one in found] == ["onnxruntime", "openvino", "executorch", "tvm", "jax"]
    vague = found[3]
    assert (vague.chip.text, vague.p) == ("inconclusive", "p .5184")
    assert vague.cells[0].main == "−3.3 % to +9.0 %"
    middle = factor(rows(results)["tvm"].verdict.middle)
    assert vague.cells[0].sub == f"95 % interval, {middle} by Hodges-Lehmann"
    seen = noise(paired_rounds(*(results.blocks[rows(results)[b].case.id] for b in ("tvm", "torch"))))
    assert seen is not None
    assert vague.cells[2].main == f"{seen.within * 100:.1f} % a round"
    assert vague.cells[2].sub == f"{seen.between * 100:.1f} % a replicate"
    assert (vague.cells[3].main, vague.cells[3].sub) == ("6 × 10", "all 6 replicates")
    assert [one.second.text for one in found if one.second] == ["faster"]
    assert possible(Verdict("inconclusive", Estimate(1.0, None, None, 1))) == "–"
