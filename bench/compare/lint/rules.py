"""Rows that cannot be, and rows that can be but show a trap. docs/lint.md explains each rule.

A rule is a function from results to findings. A new one is written into the file of its family (or a new
one) and appended to `RULES`: nothing else knows the rules by name.
"""

from __future__ import annotations

from bench.compare.lint import choices, circumstances, figures, outputs, samples
from bench.compare.lint.finding import Rule
from bench.compare.results import KINDS, Finding, Kind, Results

__all__ = ["KINDS", "RULES", "Finding", "Kind", "Rule", "findings"]

RULES: tuple[Rule, ...] = (
    samples.identical_samples,
    samples.sample_not_positive,
    samples.samples_over_wall,
    figures.figure_outside_samples,
    figures.quantiles_out_of_order,
    figures.tail_without_count,
    figures.host_under_device,
    figures.own_over_device,
    outputs.identical_outputs,
    choices.batch_above_linear,
    choices.batch_below_single,
    choices.precision_slower,
    choices.threads_slower,
    circumstances.launch_bound,
    circumstances.threads_idle,
    circumstances.warm_up_capped,
    circumstances.mostly_disturbed,
    circumstances.reads_otherwise,
)


def findings(results: Results) -> tuple[Finding, ...]:
    """What every rule finds in a run: what is wrong first, then what does harm, then what is in doubt."""
    found = [finding for rule in RULES for finding in rule(results)]
    return tuple(sorted(found, key=lambda finding: KINDS.index(finding.kind)))
