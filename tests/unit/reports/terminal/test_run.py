"""The table for a terminal."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest

from bench.compare.results import Results
from reports.terminal import run
from tests.helpers import fake_results as fake

MAKERS = [
    fake.realistic,
    fake.twelve,
    fake.nasty,
    fake.single,
    fake.empty,
    fake.judgements,
    fake.settled,
]


@pytest.mark.parametrize("width", [80, run.WIDTH])
@pytest.mark.parametrize("make", MAKERS)
def test_fits_the_width_and_carries_no_control_characters(make: Callable[[], Results], width: int) -> None:
    shown = run.plain(make(), width)
    assert max(map(len, shown.splitlines())) <= width
    assert all(character.isprintable() or character == "\n" for character in shown)
    heads = [line for line in shown.splitlines() if line.split()[:1] == ["case"]]
    assert all("latency" in head and "ratio" in head and "verdict" in head for head in heads)
    assert len(heads) == len(make().groups)


@pytest.mark.parametrize("width", [80, run.WIDTH])
def test_a_row_is_a_line(width: int) -> None:
    """Nothing wraps inside the table: latency, ratio and verdict stand beside the name."""
    lines = run.plain(fake.judgements(), width).splitlines()
    for row in fake.judgements().rows:
        (line,) = [one for one in lines if re.match(rf"  {row.case.backend} fp\d\d +\d", one)]
        assert re.search(r"\d×.*(baseline|faster|slower|equivalent|inconclusive|not comparable)", line)


def test_what_is_open_and_what_disturbed() -> None:
    flat = " ".join(run.plain(fake.judgements()).split())
    assert "tvm fp32 (inconclusive): from -3.3 % to +9.0 % is possible; a difference of 9.2 % would" in flat
    assert "Without them the ratio of openvino fp32 is 0.914× ±1.1 % (faster)." in flat
    assert "What may settle the inconclusive: bakeoff ab torch tvm --workload minilm-l6" in flat
    assert flat.index("Look at this") > flat.index("tvm fp32 (inconclusive)"), "after the tables"
    assert "in doubt: Others disturbed 53 % of the bursts of 1 case" in flat
    assert "look: see what runs here" in flat
    assert "Measuring ended" not in flat, "all replicates, as planned"


def test_one_line_for_all_with_the_same_reason() -> None:
    asks = [fake.Ask("torch", 0.02), fake.Ask("jax", 0.02), fake.Ask("mnn", 0.03)]
    shown = run.plain(fake.judged(fake.make("resnet50", asks, replicates=1)))
    assert "jax and mnn (inconclusive): 1 replicate: no interval yet" in shown


def test_why_measuring_ended() -> None:
    flat = " ".join(run.plain(fake.settled()).split())
    assert "Measuring ended: onnxruntime, settled at the look after 6 replicates; openvino," in flat


def test_many_findings_of_one_rule_are_cut() -> None:
    made = fake.make("resnet50", [fake.Ask(f"b{i}", 0.02) for i in range(6)], seed=8)
    for one in made:
        one.blocks[0].host_ns[3] = 0
    shown = run.plain(fake.judged(made))
    assert shown.count("of 0 ns or less") == 3
    assert "cannot be: and 3 more like this." in shown


def test_says_what_matters() -> None:
    results = fake.realistic()
    shown = run.plain(results)
    flat = " ".join(shown.split())
    for group in results.groups:
        assert " ".join(group.answer.split()) in flat
    assert "asked for precision fp16, ran fp32" in flat
    assert "SIGSEGV" in flat
    assert "unsupported" in flat
    lines = [line for line in shown.splitlines() if "fp32" in line and "%" in line]
    assert len(lines) >= 6


def test_a_reason_cannot_steer_the_terminal_nor_be_markup() -> None:
    results = fake.judged(
        fake.make("resnet50", [fake.Ask("torch", status="failed", reason="\x1b[2J[bold]boo[/bold]\r\nx")])
    )
    shown = run.plain(results)
    assert "\x1b" not in shown
    assert "[bold]boo[/bold]" in shown
