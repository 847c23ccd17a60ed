"""An error as the reason of a row."""

from __future__ import annotations

import pytest

from bench.interfaces.errors import PrepareError


@pytest.mark.parametrize(
    ("message", "hint", "reason"),
    [
        ("over its time", "", "over its time"),
        ("over its time", "limits: {prepare: 2h}", "over its time (limits: {prepare: 2h})"),
        ("over its time\n    step 7", "bakeoff doctor", "over its time (bakeoff doctor)\n    step 7"),
        ("over its time\n    step 7", "", "over its time\n    step 7"),
    ],
)
def test_the_hint_stands_in_brackets_before_the_log(message: str, hint: str, reason: str) -> None:
    assert PrepareError(message, hint=hint).reason == reason
