"""The pairing benchmark on blocks of a machine that wanders in a known way."""

from __future__ import annotations

import json
import math
import random
from collections.abc import Sequence
from dataclasses import asdict, replace

import numpy as np
import pytest

from bench.interfaces.backend import Target
from bench.interfaces.block import Block, Burst
from bench.interfaces.case import Case
from bench.interfaces.job import Job
from bench.interfaces.tensors import IOSpec
from bench.measure.turns import Seat
from benchmarks import spread
from benchmarks.pairing import in_turns, lines, one_after_another
from benchmarks.spread import ESTIMATORS, PAIRED, Replicate, jackknife, log_ratios_of

CASE = Case("net", "c", 1, None, "onnxruntime", Target())
ROUNDS = 4


def seats(count: int) -> list[Seat]:
    cases = [replace(CASE, twin=str(i) if i else "") for i in range(count)]
    return [Seat(Job(case, None, IOSpec((), ()))) for case in cases]


def block(case: Case, part: int, ms: Sequence[Sequence[float]]) -> Block:
    """A block with these samples, a list a burst; a burst's first sample is cold and does not count."""
    found = Block(case.id, 0, part, "ok")
    start = 0
    for number, burst in enumerate(ms):
        found.bursts.append(Burst(number, 0, start, len(burst) + 1, 0, 0))
        start += len(burst) + 1
    found.host_ns = np.array([round(x * 1e6) for burst in ms for x in (40, *burst)], dtype=np.int64)
    return found


class Machine:
    """Every part runs at a speed of its own, its rounds too; remembers who lived with whom."""

    def __init__(self) -> None:
        self.parts: list[list[str]] = []

    def measure(self, some: Sequence[Seat]) -> list[Block]:
        part = len(self.parts)
        self.parts.append([seat.case.twin for seat in some])
        speeds = [[10.0 + part + number] * 3 for number in range(ROUNDS)]
        return [block(seat.case, part, speeds) for seat in some]


def replicate(number: int, turns: Sequence[float], after: Sequence[float], seconds: float = 2.0) -> Replicate:
    logs = {"turns": dict.fromkeys(ESTIMATORS, turns), "after": dict.fromkeys(ESTIMATORS, after)}
    return Replicate(len(turns) + 1, number, 10, logs, {"turns": 1.0, "after": seconds})  # type: ignore[arg-type]


@pytest.mark.parametrize(("count", "workers"), [(2, [2]), (6, [6]), (20, [6, 6, 6, 5])])
def test_in_turns_each_case_meets_the_first_of_its_own_part(count: int, workers: list[int]) -> None:
    machine = Machine()
    pairs = list(in_turns(seats(count), machine.measure, random.Random(0)))
    assert [len(part) for part in machine.parts] == workers
    assert all("" in part for part in machine.parts)
    assert sorted(own.case_id for own, _ in pairs) == sorted(seat.case.id for seat in seats(count)[1:])
    for own, base in pairs:
        assert base.case_id == CASE.id
        assert own.part == base.part
        assert log_ratios_of(own, base)[PAIRED] == 0  # the wandering fell out


def test_one_after_another_each_case_is_alone_and_meets_the_only_first() -> None:
    machine, order = Machine(), random.Random(0)
    pairs = list(one_after_another(seats(6), machine.measure, order))
    assert sorted(twin for (twin,) in machine.parts) == ["", "1", "2", "3", "4", "5"]
    assert [twin for (twin,) in machine.parts] != ["", "1", "2", "3", "4", "5"]
    assert len({id(base) for _, base in pairs}) == 1
    assert all(log_ratios_of(own, base)[PAIRED] != 0 for own, base in pairs)


def test_estimators() -> None:
    own = block(replace(CASE, twin="1"), 0, [[10, 12, 20], [11, 11, 40]])
    base = block(CASE, 0, [[10, 10, 10], [20, 20, 20]])
    found = log_ratios_of(own, base)
    assert found["median"] == pytest.approx(math.log(11.5 / 15))
    assert found["p25"] == pytest.approx(math.log(11 / 10))
    assert found["mean"] == pytest.approx(math.log((104 / 6) / 15))
    assert found["minimum"] == pytest.approx(0)
    assert found[PAIRED] == pytest.approx((math.log(12 / 10) + math.log(11 / 20)) / 2)
    apart = block(CASE, 1, [[10, 10, 10], [20, 20, 20]])
    assert log_ratios_of(own, apart)[PAIRED] == found["median"]


def test_spread_is_about_the_truth_and_pooled_over_cases() -> None:
    some = [replicate(i, [0.03, -0.01], [0.1, 0.1]) for i in range(4)]
    assert spread.spread(some, "turns", "mean").value == pytest.approx(math.sqrt(0.0005))
    assert spread.spread(some, "after", "mean").value == pytest.approx(0.1)
    assert spread.worth(some, PAIRED).value == pytest.approx(0.01 / 0.0005)
    assert spread.worth(some, PAIRED, per_second=True).value == pytest.approx(0.02 / 0.0005)
    assert spread.spread(some[:2], "turns", "mean").low is None


@pytest.mark.parametrize(("replicates", "cases"), [(4, 19), (6, 5), (16, 1)])
def test_intervals_hold_the_truth(replicates: int, cases: int) -> None:
    """At the benchmark's own sizes, for normal errors whose first is shared."""
    rng = np.random.default_rng(replicates)

    def logs(sd: float) -> list[list[float]]:
        first = rng.normal(0, sd, (replicates, 1))
        return (rng.normal(0, sd, (replicates, cases)) - first).tolist()

    held, repeats = np.zeros(2), 400
    for _ in range(repeats):
        both = zip(logs(0.01), logs(0.05), strict=True)
        some = [replicate(i, turns, after) for i, (turns, after) in enumerate(both)]
        one, gain = spread.spread(some, "turns", "mean"), spread.worth(some, "mean")
        held += [one.low <= 0.01 * math.sqrt(2) <= one.high, gain.low <= 25 <= gain.high]  # type: ignore[operator]
    assert (held / repeats > 0.85).all()
    assert (held / repeats < 0.985).all()


def test_jackknife_of_a_mean_is_its_standard_error() -> None:
    from scipy.stats import t

    x = np.array([1.0, 2.0, 4.0, 8.0])
    found = jackknife(x, lambda units: float(units.mean()))
    half = t.ppf(0.975, 3) * x.std(ddof=1) / 2
    assert found.value is not None
    assert found.high is not None
    assert math.log(found.value) == pytest.approx(3.75)
    assert math.log(found.high) == pytest.approx(3.75 + half)


def test_lines_and_log() -> None:
    rng = np.random.default_rng(0)
    some = [replicate(i, rng.normal(0, 0.01, 5).tolist(), rng.normal(0, 0.05, 5).tolist()) for i in range(6)]
    text = "\n".join(lines(some))
    assert "6 cases, 6 replicates of 10 bursts" in text
    assert all(f"  {name} " in text for name in ESTIMATORS)
    assert "With 6 cases pairing is worth a factor of" in text
    kept = [Replicate(**json.loads(json.dumps(asdict(one)))) for one in some]
    assert lines(kept) == lines(some)
