"""What was said of a run when it ended: kept, so that a later bakeoff that says otherwise is seen."""

from __future__ import annotations

from collections.abc import Iterator

from bench.compare.results import Results
from bench.store.records import EstimateRecord


def said(results: Results) -> list[EstimateRecord]:
    """The verdicts of a run against the baselines of its groups, as seen over all rounds."""
    return list(_said(results))


def _said(results: Results) -> Iterator[EstimateRecord]:
    by = results.run.versions.get("bakeoff", "")
    for group in results.groups:
        for row in group.rows:
            if group.baseline and row.verdict and row.verdict.ratio.value is not None:
                against = group.baseline.case.id
                ratio, word = row.verdict.ratio, row.verdict.word
                yield EstimateRecord(row.case.id, against, "as-seen", word, ratio, by)
