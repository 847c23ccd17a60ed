"""How much memory converters may take: rules on plain data."""

from __future__ import annotations

import pytest

from bench.prepare.memory import LEAST, Rations, likely, ration

GB = 10**9


@pytest.mark.parametrize(
    ("need", "given", "slots", "found"),
    [
        (GB, [], 2, 5 * GB),
        (GB, [5 * GB], 2, 5 * GB),
        (GB, [5 * GB], 3, 10 * GB // 3),
        (GB, [5 * GB, 5 * GB], 3, None),  # nothing is left
        (5 * GB, [], 2, 5 * GB),
        (5 * GB + 1, [], 2, 10 * GB),  # more than a share: alone, with everything
        (5 * GB + 1, [5 * GB], 2, None),
        (GB, [10 * GB], 2, None),  # beside one that has everything
        (50 * GB, [], 2, 10 * GB),  # tried, as the need is but a guess
        (GB, [], 1, 10 * GB),
        (GB, [5 * GB], 1, None),
    ],
)
def test_a_ration(need: int, given: list[int], slots: int, found: int | None) -> None:
    assert ration(need, 10 * GB, given, slots) == found


def test_shares_that_are_too_small_are_not_made() -> None:
    assert ration(0, 2 * LEAST, [], 2) == LEAST
    assert ration(0, 2 * LEAST - 1, [], 2) == 2 * LEAST - 1
    assert ration(0, 2 * LEAST - 1, [LEAST], 2) is None


def test_need_follows_the_files() -> None:
    assert likely([]) == 0
    assert likely([100, 20]) == 120 * likely([1])
    assert likely([1]) > 1


def test_together_they_never_exceed_what_there_was() -> None:
    """Whatever they ask for, and though less is free once they have begun."""
    free = [10 * GB]
    rations = Rations(lambda: free[0], 2)
    given = {name: rations.ask(name, need) for name, need in (("a", GB), ("b", GB), ("c", GB), ("d", 9 * GB))}
    assert given == {"a": 5 * GB, "b": 5 * GB, "c": None, "d": None}
    free[0] = 4 * GB
    assert rations.waits("c")
    assert rations.give_back("a") == 5 * GB
    assert not rations.waits("c")
    assert rations.ask("d", 9 * GB) is None
    assert rations.waits("d")
    assert rations.ask("c", GB) == 5 * GB
    rations.give_back("b")
    rations.give_back("c")
    assert rations.ask("d", 9 * GB) == 4 * GB  # asked anew when none runs


def test_who_ran_out_of_a_share_runs_alone() -> None:
    rations = Rations(lambda: 10 * GB, 2)
    for name in "ab":
        rations.ask(name, 0)
    assert rations.alone_next("a", rations.give_back("a"))
    assert rations.ask("a", 0) is None
    rations.give_back("b")
    assert rations.ask("a", 0) == 10 * GB
    assert rations.ask("b", 0) is None
    assert not rations.alone_next("a", rations.give_back("a"))  # it had everything
    assert rations.give_back("never asked") == 0
