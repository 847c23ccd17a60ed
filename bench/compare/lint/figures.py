"""Figures of a row that its own samples deny."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import pairwise

import numpy as np

from bench.compare.lint.finding import every_row
from bench.compare.results import Finding, Results, Row
from bench.interfaces.block import Block
from bench.stats.estimates import hodges_lehmann
from bench.stats.pairs import measured, steady_burst
from bench.stats.percentiles import LEAST_BLOCKS, QUANTILES, quantile_name, samples_needed
from bench.stats.verdict import judge_together
from bench.text.estimates import spread
from bench.text.numbers import UNTOLD, count, quantity, significant, time_unit

ROUNDING = 1e-9  # relative: seconds as floats against ns as whole numbers


def figure_outside_samples(results: Results) -> Iterator[Finding]:
    """A mean, median or percentile under the least or over the largest of the samples it comes from."""
    for row in every_row(results):
        blocks = measured(results.blocks.get(row.case.id, ()))
        host = {"latency": row.latency.value, "latency without disturbed rounds": row.quiet_latency.value}
        device = {"latency at the device boundary": row.device_latency.value}
        checked = [
            (host | dict(row.quantiles), [b.host_ns for b in blocks]),
            (device, [b.device_ns for b in blocks]),
        ]
        for figures, arrays in checked:
            low, high = _range(arrays)
            for name, value in figures.items():
                if value is not None and not low * (1 - ROUNDING) <= value <= high * (1 + ROUNDING):
                    unit = time_unit([value])
                    yield Finding(
                        "figure-outside-samples",
                        "wrong",
                        (row.case.id,),
                        f"{row.label}: its {name}, {quantity(value, unit)}, is none that its samples "
                        f"can give: they go from {quantity(low, unit)} to {quantity(high, unit)}.",
                        "compare with `bakeoff export --samples`: figures and samples are of different runs",
                    )


def quantiles_out_of_order(results: Results) -> Iterator[Finding]:
    """A higher percentile under a lower one."""
    for row in every_row(results):
        known = [(name, row.quantiles[name]) for name in _names() if row.quantiles.get(name) is not None]
        for (lower, small), (higher, large) in pairwise(known):
            assert small is not None
            assert large is not None
            if large < small * (1 - ROUNDING):
                unit = time_unit([small])
                yield Finding(
                    "quantiles-out-of-order",
                    "wrong",
                    (row.case.id,),
                    f"{row.label}: its {higher}, {quantity(large, unit)}, is under its {lower}, "
                    f"{quantity(small, unit)}.",
                    "compare with `bakeoff export --samples`: percentiles of one sample never fall",
                )


def tail_without_count(results: Results) -> Iterator[Finding]:
    """A percentile is shown that so few samples, or blocks, or looped samples, cannot support."""
    for row in every_row(results):
        blocks = len(measured(results.blocks.get(row.case.id, ())))
        for quantile in QUANTILES:
            name = quantile_name(quantile)
            value, needed = row.quantiles.get(name), samples_needed(quantile)
            lacks = list(_lacks(row, blocks, quantile, needed))
            if value is not None and lacks:
                yield Finding(
                    "tail-without-count",
                    "wrong",
                    (row.case.id,),
                    f"{row.label}: a {name} of {quantity(value, time_unit([value]))} is shown, from "
                    f"{' and '.join(lacks)}.",
                    f"take it for {UNTOLD}; measure longer: bakeoff run --profile standard",
                )


def host_under_device(results: Results) -> Iterator[Finding]:
    """The way from host to host is shorter than the device's own part of it.

    Of bursts that nobody disturbed: a control group that holds a process back does so late in a burst, where
    the device boundary is timed.
    """
    rows = {row.case.id: row for row in every_row(results) if _host_is_less(row)}
    logs = {case_id: _host_over_device(results.blocks.get(case_id, ())) for case_id in rows}
    looks = results.looks
    for case_id, (verdict, _) in judge_together(logs, results.run.relevant, looks).items():
        if verdict.word == "faster":
            row, unit = rows[case_id], time_unit([rows[case_id].latency.value])
            yield Finding(
                "host-under-device",
                "wrong",
                (case_id,),
                f"{row.label}: {quantity(row.latency.value, unit)} from host arrays to host arrays, and "
                f"{quantity(row.device_latency.value, unit)} for the device's part of it alone: "
                f"{significant(verdict.ratio.value)} times ({spread(verdict.ratio)}).",
                "see whether `run` of the backend returns before its outputs are complete, or does work on "
                "staged inputs that `stage` should have done",
            )


def own_over_device(results: Results) -> Iterator[Finding]:
    """The device's own clock says that it took longer than the wall time around it."""
    for row in every_row(results):
        own, wall = row.own_latency, row.device_latency
        if own.low is None or wall.high is None or own.low <= wall.high:
            continue
        unit = time_unit([wall.value])
        yield Finding(
            "own-over-device",
            "wrong",
            (row.case.id,),
            f"{row.label}: its device says {quantity(own.value, unit)} for what took "
            f"{quantity(wall.value, unit)} from staged inputs to complete outputs.",
            "see whether `run` of the backend returns before its outputs are complete, and what `device_ns` "
            "is of",
        )


def _range(arrays: Iterable[np.ndarray]) -> tuple[float, float]:
    """Least and largest in seconds; of no samples an empty range."""
    some = [array for array in arrays if array.size]
    low = min((float(array.min()) for array in some), default=np.inf)
    high = max((float(array.max()) for array in some), default=-np.inf)
    return low * 1e-9, high * 1e-9


def _names() -> list[str]:
    return [quantile_name(quantile) for quantile in QUANTILES]


def _lacks(row: Row, blocks: int, quantile: float, needed: int) -> Iterator[str]:
    if row.samples < needed:
        yield f"{count(row.samples, 'sample')} where it takes {needed:,}"
    if quantile > 0.5 and blocks < LEAST_BLOCKS:
        yield f"{count(blocks, 'block')} where it takes {LEAST_BLOCKS}"
    if quantile > 0.5 and row.inner > 1:
        yield f"means of {row.inner} inferences each"


def _host_is_less(row: Row) -> bool:
    host, device = row.latency.value, row.device_latency.value
    return host is not None and device is not None and host < device


def _host_over_device(blocks: Iterable[Block]) -> list[float]:
    """log(host / device), one a block: both are taken within each burst, so the bursts are the pairs."""
    logs = []
    for block in measured(blocks):
        found = []
        for burst in block.bursts:
            host = steady_burst(block, burst)
            device = block.device_ns[burst.device_start :][: burst.device_count]
            if not burst.disturbed and host.size and device.size and host.min() > 0 and device.min() > 0:
                found.append(np.log(np.median(host) / np.median(device)))
        if found:
            logs.append(hodges_lehmann(found))
    return logs
