"""What readings come to: memory with and without the worker's own id, clocks, others, and energy with its
doubts.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from bench.machine.gpu.nvml import Reading
from bench.measure.gpu.figures import Life, block_figures, disturbed, memory, strangers, sustained, within

S = 1_000_000_000
GB = 1_000_000_000
LIFE = Life(pid=7, born_ns=10 * S, ready_ns=20 * S, bursts=((21 * S, 22 * S), (25 * S, 26 * S)))


def line(start_s: float, end_s: float, hz: float = 10, **facts: Any) -> list[Reading]:
    """Readings at a steady pace; the energy counter follows the power."""
    count = round((end_s - start_s) * hz) + 1
    watts = facts.pop("power_w", 500.0)
    return [
        Reading(
            round((start_s + i / hz) * S),
            power_w=watts,
            energy_j=None if watts is None else 1e6 + watts * i / hz,
            **facts,
        )
        for i in range(count)
    ]


def test_readings_within_spans() -> None:
    seen = within(line(20, 27, hz=2), LIFE.bursts)
    assert [one.at_ns / S for one in seen] == [21, 21.5, 22, 25, 25.5, 26]


def test_memory_of_its_own_process() -> None:
    readings = [Reading(15 * S, processes={7: 3 * GB}), Reading(21 * S, processes={7: 4 * GB, 9: 9 * GB})]
    assert memory(readings, LIFE) == {"memory_bytes": 4 * GB, "memory_how": "told for its process"}


def test_in_a_container_it_is_the_one_process_that_came() -> None:
    readings = [
        Reading(9 * S, processes={900: GB}),
        Reading(15 * S, processes={900: GB, 4711: 2 * GB}),
        Reading(21 * S, processes={900: GB, 4711: 3 * GB, 4800: 8 * GB}),  # the next worker's
    ]
    found = memory(readings, LIFE)
    assert found == {"memory_bytes": 3 * GB, "memory_how": "told for the one process that came with it"}


@pytest.mark.parametrize("came", [{}, {4711: 2 * GB, 4712: GB}, {4711: None}])
def test_else_it_is_what_was_used_more(came: dict[int, int | None]) -> None:
    readings = [
        Reading(9 * S, used_bytes=GB),
        Reading(15 * S, used_bytes=3 * GB, processes=came),
        Reading(19 * S, used_bytes=2 * GB, processes=came),
        Reading(21 * S, used_bytes=9 * GB),  # not its own doing alone any more
    ]
    found = memory(readings, LIFE)
    assert found["memory_bytes"] == 2 * GB
    assert "in use more" in found["memory_how"]


def test_memory_that_nobody_tells() -> None:
    assert memory([Reading(15 * S), Reading(21 * S)], LIFE) == {}
    assert memory([], LIFE) == {}


def test_clocks_are_those_of_its_bursts() -> None:
    readings = [
        *line(12, 20, sm_mhz=345.0, throttle=0x40, temperature_c=30),
        *line(21, 22, sm_mhz=1980.0, throttle=0, temperature_c=50),
        *line(23, 24, sm_mhz=100.0, throttle=0x8),
        *line(25, 26, sm_mhz=1780.0, throttle=0x4, temperature_c=60),
    ]
    found = block_figures(readings, LIFE, foreign=(), window=None)
    assert found["sm_mhz"] == pytest.approx(1880)
    assert found["temperature_c"] == pytest.approx(55)
    assert found["throttled"] == pytest.approx(0.5)
    assert found["throttles"] == ["power cap"]
    assert found["others"] == 0
    assert "sustained" not in found
    assert "memory_bytes" not in found


def test_others_where_our_ids_are_told() -> None:
    readings = [Reading(21 * S, processes={7: 1, 8: 1, 99: 1})]
    assert strangers([], {7, 8}, readings) == {99}


def test_others_in_a_container_were_there_before() -> None:
    before = [Reading(1 * S, processes={50: 1, 60: 1}), Reading(9 * S, processes={50: 1})]
    assert strangers(before, {7}, [Reading(21 * S, processes={50: 1, 4711: 1})]) == {50}
    assert strangers([], {7}, [Reading(21 * S, processes={4711: 1})]) == set()


def test_a_burst_in_which_another_computed_is_marked() -> None:
    readings = [Reading(21 * S, busy={99: 0.3}), Reading(25 * S, busy={99: 0.02, 7: 0.9})]
    assert disturbed(readings, LIFE.bursts[0], {99})
    assert not disturbed(readings, LIFE.bursts[1], {99})
    assert not disturbed(readings, LIFE.bursts[0], {7})


WINDOW = (30 * S, 40_500_000_000)


def test_energy_of_an_inference() -> None:
    found = sustained(line(30, 40.5, power_w=500.0, sm_mhz=1700.0, throttle=0x4), WINDOW, 2100, ())
    assert found["inference_ns"] == pytest.approx(5e6)
    assert found["power_w"] == pytest.approx(500)
    assert found["energy_j"] == pytest.approx(500 * 0.005)
    assert (found["source"], found["sm_mhz"], found["throttled"]) == ("counter", 1700, 1)
    assert found["doubts"] == []


def test_a_first_reading_long_after_the_begin_changes_nothing() -> None:
    whole = sustained(line(30, 40.5, power_w=400.0), WINDOW, 1000, ())
    later = sustained(line(30.8, 40.2, power_w=400.0), WINDOW, 1000, ())
    assert later["energy_j"] == pytest.approx(whole["energy_j"])


def test_without_a_counter_the_power_is_integrated() -> None:
    readings = [replace(one, energy_j=None) for one in line(30, 40.5, power_w=300.0)]
    found = sustained(readings, WINDOW, 1050, ())
    assert found["source"] == "power"
    assert found["energy_j"] == pytest.approx(300 * 10.5 / 1050)
    assert found["doubts"] == []


def test_integration_goes_by_the_time_between_readings() -> None:
    powers = [(30.0, 100.0), (31.0, 100.0), (31.5, 300.0), (32.0, 300.0)]
    readings = [Reading(round(at * S), power_w=watts) for at, watts in powers]
    found = sustained(readings, (30 * S, 32 * S), 10, ())
    assert found["power_w"] == pytest.approx((100 + 100 + 150) / 2)


@pytest.mark.parametrize(
    ("readings", "span", "says"),
    [
        (line(30, 39.9), (30 * S, 39_900_000_000), "lasted 9.9 s; it takes 10"),
        ([*line(30, 33), *line(34.5, 40.5)], WINDOW, "1.5 s of it went by without a reading"),
        ([replace(one, energy_j=1e6 + one.at_ns // (3 * S)) for one in line(30, 40.5)], WINDOW, "moved"),
        ([*line(30, 35, power_w=300.0), *line(35.1, 40.5, power_w=500.0)], WINDOW, "the power still changed"),
        (line(30, 40.5, busy={99: 0.5}), WINDOW, "1 other process computed on the GPU"),
        (line(30, 40.5, power_w=None), WINDOW, "neither energy nor power"),
        ([], WINDOW, "10.5 s of it went by without a reading"),
    ],
)
def test_what_speaks_against_an_energy(readings: list[Reading], span: tuple[int, int], says: str) -> None:
    found = sustained(readings, span, 1000, {99})
    assert any(says in doubt for doubt in found["doubts"]), found["doubts"]
    assert found["inference_ns"] == pytest.approx((span[1] - span[0]) / 1000)


def test_a_block_keeps_it_all() -> None:
    readings = [*line(9, 26, processes={7: GB}), *line(30, 40.5)]
    found = block_figures(readings, LIFE, {99, 98}, (WINDOW, 2100))
    assert found["others"] == 2
    assert found["memory_bytes"] == GB
    assert found["sustained"]["count"] == 2100
