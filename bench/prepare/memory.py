"""How much memory a converter may take, and whether it may run beside another.

What all may take together is shared out, so that two at once cannot exceed the machine. Most get by with a
share. One that starts from large files, or that ran out of its share, runs alone and may take everything.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Sequence

# A converter's memory over the bytes that it starts from: torch's ONNX export of MiniLM-L6 took 5 times its
# 91 MB besides what its imports take, the other converters less.
GROWTH = 6
LEAST = 2 << 30  # bytes under which a share is none: frameworks and their threads' stacks take most of it


def likely(sizes: Iterable[int]) -> int:
    """Bytes that a converter needs that starts from files of these sizes."""
    return GROWTH * sum(sizes)


def ration(need: int, whole: int, given: Sequence[int], slots: int) -> int | None:
    """Bytes that the next converter may take; None where it waits until another has ended.

    Args:
        need: bytes that it is likely to need.
        whole: bytes that all of them together may take.
        given: what those that run now may take.
        slots: how many may run at once; 1 for one that is to run alone.
    """
    share = whole // slots
    if share < max(need, LEAST):
        return None if given else whole
    return share if sum(given) + share <= whole else None


class Rations:
    """What converters have been given, by name.

    Args:
        available: bytes that all may take together; asked for whenever none runs.
        slots: how many may run at once.
    """

    def __init__(self, available: Callable[[], int], slots: int) -> None:
        self._available, self._slots = available, slots
        self._whole = 0
        self._given: dict[Hashable, int] = {}
        self._waiting: set[Hashable] = set()
        self._alone: set[Hashable] = set()

    def ask(self, who: Hashable, need: int) -> int | None:
        """A ration, or None: then it waits until another has given back its own."""
        if not self._given:
            self._whole = self._available()
        slots = 1 if who in self._alone else self._slots
        found = ration(need, self._whole, list(self._given.values()), slots)
        if found is None:
            self._waiting.add(who)
        else:
            self._given[who] = found
        return found

    def waits(self, who: Hashable) -> bool:
        """Whether it asked in vain, and nothing has been given back since."""
        return who in self._waiting

    def give_back(self, who: Hashable) -> int:
        """What it had, 0 where it had nothing."""
        self._waiting.clear()
        return self._given.pop(who, 0)

    def alone_next(self, who: Hashable, had: int) -> bool:
        """Whether there is more than it `had`: it is to run alone when it asks again."""
        self._alone.add(who)
        return had < self._whole
