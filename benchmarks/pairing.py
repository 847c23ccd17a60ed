"""What pairing is worth: workers in turns against fresh processes one after another, all of them alike.

    python -m benchmarks pairing [--sizes 2,6,20] [--replicates 16,6,4] [--rounds 10] [--log FILE]

Every case is ONNX Runtime with the same model on one thread, so that every ratio is 1 in truth and what is
seen instead is error. In turns the engine's own parts are measured: at most six workers, the first case in
each. One after another each case has a fresh process to itself, with as many bursts as long. Both ways follow
each other in random order within a replicate, and replicates of all sizes are mixed, so that all see the
same hours. With --log what was measured is kept, and what FILE holds already is not measured again.
"""

from __future__ import annotations

import argparse
import random
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from itertools import count
from pathlib import Path

from bench.api import silent
from bench.interfaces.block import Block
from bench.interfaces.estimate import Estimate
from bench.machine.lock import measurement_lock
from bench.measure.parts import parts
from bench.measure.turns import Limits, Seat, measure_part
from bench.text import strict_json
from bench.text.numbers import duration
from benchmarks.cases import twins
from benchmarks.spread import ESTIMATORS, PAIRED, Mode, Replicate, log_ratios_of, seconds, spread, worth

Measure = Callable[[Sequence[Seat]], list[Block]]
Pair = tuple[Block, Block]  # of a case, and of the first that it is compared with
MODES: tuple[Mode, Mode] = ("turns", "after")


def main(arguments: Sequence[str] = ()) -> None:
    asked = _parse(arguments)
    order = random.Random()
    found = _read(asked.log)
    have = {(one.cases, one.number) for one in found if one.rounds == asked.rounds}
    todo = [
        (size, number)
        for size, replicates in zip(asked.sizes, asked.replicates, strict=True)
        for number in range(replicates)
        if (size, number) not in have
    ]
    seats = twins(asked.workload, "onnxruntime", max(asked.sizes)) if todo else []
    with measurement_lock(True, print):
        for place, (size, number) in enumerate(order.sample(todo, len(todo))):
            one = replicate(seats[:size], number, asked.rounds, order)
            found.append(one)
            if asked.log:
                with asked.log.open("a") as file:
                    file.write(strict_json.dumps(one) + "\n")
            took = ", ".join(f"{mode} {one.seconds[mode]:.0f} s" for mode in MODES)
            print(f"  {place + 1} of {len(todo)}: {size} cases, {took}", file=sys.stderr, flush=True)
    for size in asked.sizes:
        some = [one for one in found if one.cases == size and one.rounds == asked.rounds]
        print("\n".join(lines(some)), flush=True)


def replicate(seats: Sequence[Seat], number: int, rounds: int, order: random.Random) -> Replicate:
    """Fresh workers for every case, both ways. The first seat is what the others are compared with."""
    serial = count()

    def measure(some: Sequence[Seat]) -> list[Block]:
        blocks = measure_part(
            some,
            replicate=number,
            part=next(serial),
            rounds=rounds,
            limits=Limits(),
            order=order,
            listener=silent,
        ).blocks
        for block in blocks:
            if block.status != "ok":
                raise SystemExit(f"  {block.status}: {block.reason}\n{block.log}")
        return blocks

    logs: dict[Mode, dict[str, list[float]]] = {}
    took: dict[Mode, float] = {}
    for mode in order.sample(MODES, len(MODES)):
        start = time.monotonic()
        pairs = list((in_turns if mode == "turns" else one_after_another)(seats, measure, order))
        took[mode] = time.monotonic() - start
        ratios = [log_ratios_of(block, base) for block, base in pairs]
        logs[mode] = {name: [ratio[name] for ratio in ratios] for name in ESTIMATORS}
    return Replicate(len(seats), number, rounds, logs, took)


def in_turns(seats: Sequence[Seat], measure: Measure, order: random.Random) -> Iterator[Pair]:
    """The parts that a run of these cases would have; each case with the first's block of its own part."""
    places = {seat.case.id: seat for seat in seats}
    cases = [seat.case for seat in seats]
    first = cases[0]
    for part in parts(cases, {first.group: first.id}, list(places), order):
        blocks = {block.case_id: block for block in measure([places[case.id] for case in part])}
        base = blocks.pop(first.id)
        yield from ((block, base) for block in blocks.values())


def one_after_another(seats: Sequence[Seat], measure: Measure, order: random.Random) -> Iterator[Pair]:
    """Each case alone in its process, in random order."""
    blocks = {seat.case.id: measure([seat])[0] for seat in order.sample(list(seats), len(seats))}
    base = blocks.pop(seats[0].case.id)
    yield from ((block, base) for block in blocks.values())


def lines(found: Sequence[Replicate]) -> list[str]:
    """The table of one size, and what it says."""
    size, rounds = found[0].cases, found[0].rounds
    each = {mode: duration(float(seconds(found, mode).mean())) for mode in MODES}
    table = [("sd of a log ratio", "in turns", "one after another", "worth", "worth in time")]
    for name in ESTIMATORS:
        after = _percent(spread(found, "after", name))
        table.append(
            (
                name,
                _percent(spread(found, "turns", name)),
                f"{after}, medians" if name == PAIRED else after,
                _factor(worth(found, name)),
                _factor(worth(found, name, per_second=True)),
            )
        )
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    rows = ["   ".join(cell.ljust(w) for cell, w in zip(row, widths, strict=True)).rstrip() for row in table]
    return [
        "",
        f"{size} cases, {len(found)} replicates of {rounds} bursts a worker; a replicate takes"
        f" {each['turns']} in turns, {each['after']} one after another",
        *(f"  {row}" for row in rows),
        f"With {size} cases pairing is worth a factor of {_factor(worth(found, PAIRED))} in replicates for"
        f" intervals of equal width, {_factor(worth(found, PAIRED, per_second=True))} in time.",
    ]


def _percent(one: Estimate) -> str:
    return f"{_interval(one, 100, '.2f')} %"


def _factor(one: Estimate) -> str:
    return _interval(one, 1, ".3g")


def _interval(one: Estimate, factor: float, form: str) -> str:
    assert one.value is not None
    value = format(one.value * factor, form)
    if one.low is None or one.high is None:
        return value
    return f"{value} [{format(one.low * factor, form)}, {format(one.high * factor, form)}]"


def _read(log: Path | None) -> list[Replicate]:
    if log is None or not log.exists():
        return []
    return [Replicate(**strict_json.loads(line)) for line in log.read_text().splitlines()]


def _parse(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        "python -m benchmarks pairing", description=(__doc__ or "").split("\n")[0]
    )
    parser.add_argument("--workload", default="mobilenet-v2", help="(mobilenet-v2)")
    parser.add_argument("--sizes", type=_numbers, default="2,6,20", help="numbers of cases (2,6,20)")
    parser.add_argument("--replicates", type=_numbers, default="16,6,4", help="of each size (16,6,4)")
    parser.add_argument("--rounds", type=int, default=10, help="bursts of a worker in a replicate (10)")
    parser.add_argument("--log", type=Path, help="a file of JSON lines to keep and to go on from")
    asked = parser.parse_args(arguments)
    if len(asked.sizes) != len(asked.replicates) or min(asked.sizes) < 2 or min(asked.replicates) < 1:
        parser.error("--sizes of at least 2 cases, and as many numbers in --replicates")
    return asked


def _numbers(text: str) -> list[int]:
    return [int(word) for word in text.split(",")]
