"""Outputs that no model computes."""

from __future__ import annotations

from collections.abc import Iterator

from bench.compare.lint.finding import every_row
from bench.compare.results import Finding, Results
from bench.text.numbers import significant


def identical_outputs(results: Results) -> Iterator[Finding]:
    """Different inputs gave the same outputs to the bit, where those of the reference lie apart."""
    for row in every_row(results):
        checks = [
            block.verification.get(when, {})
            for block in results.blocks.get(row.case.id, ())
            for when in ("before", "after")
        ]
        repeated = max((int(one.get("repeated", 0)) for one in checks), default=0)  # older stores lack it
        if repeated:
            yield Finding(
                "identical-outputs",
                "wrong",
                (row.case.id,),
                f"{row.label}: the outputs of {repeated} verification inputs are the same to the bit, "
                f"those of the fp64 reference are not (error {significant(row.error)}).",
                "the model file or the backend ignores its input: see which names and shapes it is bound to",
            )
