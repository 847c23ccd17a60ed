"""The table for a terminal."""

from __future__ import annotations

import pytest

from reports import text
from tests.unit import fake_results as fake


@pytest.mark.parametrize("make", [fake.realistic, fake.twelve, fake.nasty, fake.single, fake.empty])
def test_fits_the_width_and_carries_no_control_characters(make: object) -> None:
    assert callable(make)
    shown = text.plain(make())
    assert max(map(len, shown.splitlines())) <= text.WIDTH
    assert all(character.isprintable() or character == "\n" for character in shown)


def test_says_what_matters() -> None:
    results = fake.realistic()
    shown = text.plain(results)
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
    shown = text.plain(results)
    assert "\x1b" not in shown
    assert "[bold]boo[/bold]" in shown
