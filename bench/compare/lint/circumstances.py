"""Rows that were measured under circumstances which ask for another look."""

from __future__ import annotations

from collections.abc import Iterator

from bench.compare.lint.finding import again, labels
from bench.compare.results import Finding, Results
from bench.stats.pairs import measured
from bench.stats.stopping import DISTURBED_MOST
from bench.text.numbers import count, percent, significant, span

LAUNCHING = 0.5  # of the time at the device boundary: from here on the host decides
IDLE = 0.6  # of the threads asked for: with fewer cores busy, at least one of two threads did next to nothing


def launch_bound(results: Results) -> Iterator[Finding]:
    """Kernels ran for less than half of the time at the device boundary."""
    idle = [(row, row.launch_share) for row in results.rows if row.launch_share is not None]
    rows = [row for row, share in idle if share > LAUNCHING]
    if rows:
        shares = span([share * 100 for _, share in idle if share > LAUNCHING], 2)
        yield Finding(
            "launch-bound",
            "harm",
            tuple(row.case.id for row in rows),
            f"No kernel ran for {shares} % of the time of {count(len(rows), 'case')}, while the device "
            f"waited for the host: {labels(rows)}.",
            "a larger batch, or a variant that starts everything at once (CUDA graphs); a faster device "
            "would bring little",
        )


def threads_idle(results: Results) -> Iterator[Finding]:
    """Far fewer cores were busy than threads were asked for."""
    for row in results.rows:
        target, share = row.case.target, row.cpu_share
        several = target.device_kind == "cpu" and target.threads > 1  # one alone was not idle but interrupted
        if several and share is not None and share < IDLE * target.threads:
            yield Finding(
                "threads-idle",
                "doubt",
                (row.case.id,),
                f"{row.label}: {significant(share, 2)} cores were busy for the "
                f"{count(target.threads, 'thread')} asked for; others disturbed {percent(row.disturbed)} of "
                "its bursts.",
                "where others disturbed it, end them and measure again (bakeoff doctor); else the model is "
                "too small for the threads, or the runtime did not take the setting",
            )


def warm_up_capped(results: Results) -> Iterator[Finding]:
    """Warm-up ended at its time limit before the speed had settled."""
    rows = [row for row in results.rows if row.warmup_capped]
    if rows:
        blocks = [block for row in rows for block in measured(results.blocks.get(row.case.id, ()))]
        capped = sum(bool(block.warmup.get("capped")) for block in blocks)
        yield Finding(
            "warm-up-capped",
            "doubt",
            tuple(row.case.id for row in rows),
            f"Warm-up reached its time limit in {capped} of {count(len(blocks), 'block')} of "
            f"{count(len(rows), 'case')}: {labels(rows)}.",
            "a profile with a longer warm-up: bakeoff run --profile standard",
        )


def mostly_disturbed(results: Results) -> Iterator[Finding]:
    """Others took over 5 % of most of a case's bursts."""
    hit = [(row, row.disturbed) for row in results.rows if row.disturbed is not None]
    rows = [row for row, share in hit if share > DISTURBED_MOST]
    if rows:
        shares = span([share * 100 for _, share in hit if share > DISTURBED_MOST], 2)
        yield Finding(
            "mostly-disturbed",
            "doubt",
            tuple(row.case.id for row in rows),
            f"Others disturbed {shares} % of the bursts of {count(len(rows), 'case')}: {labels(rows)}.",
            f"see what runs here, then measure again: bakeoff doctor, {again(results)}",
        )


def reads_otherwise(results: Results) -> Iterator[Finding]:
    """A verdict is another one than when the run ended, of the same replicates."""
    said = {one.case_id: one for one in results.said if one.kind == "as-seen"}
    changed = [
        (row, then, row.verdict.word)
        for row in results.rows
        if row.verdict and (then := said.get(row.case.id))
        if then.ratio.n == row.verdict.ratio.n and then.word != row.verdict.word
    ]
    if changed:
        row, then, word = changed[0]
        more = f"; so do {count(len(changed) - 1, 'other verdict')}" if len(changed) > 1 else ""
        yield Finding(
            "reads-otherwise",
            "doubt",
            tuple(row.case.id for row, _, _ in changed),
            f"{row.label} reads {word} now, and read {then.word} when the run ended (bakeoff {then.by})"
            f"{more}: the samples are the same, and what is made of them has changed.",
            "the CHANGELOG between the two versions, before a table of then is compared with one of now",
        )
