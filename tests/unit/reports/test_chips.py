"""How words look."""

from __future__ import annotations

import pytest

from reports.chips import chip


@pytest.mark.parametrize("words", [("faster", "slower", "equivalent", "inconclusive", "not comparable")])
def test_chips_are_told_apart_without_colour(words: tuple[str, ...]) -> None:
    assert len({chip(one).shape for one in words}) == len(words)
    assert chip("crashed").kind == "failed"
    assert chip("unsupported").kind == "refused"
    assert chip("unverified").kind == "open"  # it was measured, and nothing is known to be wrong
