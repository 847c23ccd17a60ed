"""Ages and sizes as people write and read them. The others are held where suites and gates are."""

from __future__ import annotations

import pytest

from bench.text.numbers import ago, file_size, memory_size
from bench.text.units import age, size


@pytest.mark.parametrize(("text", "hours"), [("12h", 12), ("30d", 720), ("6w", 1008), (" 1.5 d ", 36)])
def test_ages(text: str, hours: float) -> None:
    assert age(text) == hours * 3600


@pytest.mark.parametrize("text", ["30", "", "d", "0d", "-1d", "3m", "1h30m", "٣d"])
def test_what_is_no_age(text: str) -> None:
    with pytest.raises(ValueError, match="30d, 12h or 6w"):
        age(text)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1.00 kB"),
        (999_499, "999 kB"),
        (999_500, "1.00 MB"),
        (540e6, "540 MB"),
        (1.085e9, "1.08 GB"),
        (3.2e12, "3.20 TB"),
    ],
)
def test_sizes(value: float, text: str) -> None:
    assert file_size(value) == text
    assert value == 0 or size(text) == pytest.approx(value, rel=0.005)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0 B"),
        (1023, "1023 B"),
        (32 << 10, "32 KiB"),
        (2**30 - 1, "1 GiB"),
        (1010 * 2**20, "1010 MiB"),
        (23.54 * 2**30, "23.5 GiB"),
        (1.5 * 2**40, "1.5 TiB"),
    ],
)
def test_sizes_of_memory(value: float, text: str) -> None:
    assert memory_size(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [(-5, "just now"), (59, "just now"), (60, "1 min ago"), (3599, "59 min ago"), (90e3, "1 d ago")],
)
def test_how_long_ago(value: float, text: str) -> None:
    assert ago(value) == text
