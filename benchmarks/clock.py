"""The wall time at the device boundary against the device's own clock, of every row that has both.

A row over 1 ms should agree to 3 %: what is left is starting the first kernel and learning of the last one's
end. Under that it shows. Kernels: the share of the wall time in which any ran.

    python -m benchmarks clock STORE
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

from bench.compare.judge import results
from bench.compare.results import Results, Row
from bench.store.sqlite import Store

LONG_S = 1e-3
GOAL = 0.03
HEAD = (
    "| row | device boundary | its own clock | wall over clock | within 3 % | kernels |\n"
    "| --- | --- | --- | --- | --- | --- |"
)


def main(arguments: list[str]) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks clock")
    parser.add_argument("store", type=Path)
    options = parser.parse_args(arguments)
    with Store.open(options.store) as store:
        print("\n".join(table(results(store))))


def table(found: Results) -> Iterator[str]:
    """Markdown, the longest rows first."""
    rows = [row for row in found.rows if row.own_latency.value and row.device_latency.value]
    yield HEAD
    for row in sorted(rows, key=lambda row: -(row.device_latency.value or 0.0)):
        yield _line(row)
    if not rows:
        yield "| none: no device told of its own time | – | – | – | – | – |"


def _line(row: Row) -> str:
    wall, own = row.device_latency.value, row.own_latency.value
    assert wall is not None
    assert own is not None
    over = wall / own
    said = (
        ("yes" if abs(over - 1) <= GOAL else "no") if wall > LONG_S else f"{(wall - own) * 1e6:.0f} µs more"
    )
    ran = "–" if row.launch_share is None else f"{1 - row.launch_share:.0%}"
    return f"| {row.case.label} | {wall * 1e3:.3f} ms | {own * 1e3:.3f} ms | {over:.3f} | {said} | {ran} |"
