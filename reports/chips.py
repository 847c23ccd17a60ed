"""How the words of a row look: each with a shape, so that no meaning rests on colour alone."""

from __future__ import annotations

from typing import NamedTuple

from bench.text.numbers import UNTOLD


class Chip(NamedTuple):
    """A word with a shape and how loud it is, so that no meaning rests on colour alone."""

    text: str
    shape: str
    kind: str


# A triangle points to where the case lies in the plot of ratios: left of 1 is faster.
_CHIPS = {
    "faster": ("◂", "faster"),
    "slower": ("▸", "slower"),
    "equivalent": ("≈", "equivalent"),
    "inconclusive": ("?", "open"),
    "suspect": ("?", "open"),
    "unverified": ("?", "open"),
    "not comparable": ("≠", "refused"),
    "baseline": ("|", "plain"),
    UNTOLD: ("", "plain"),
    **dict.fromkeys(("not ranked", "pending", "unsupported", "missing"), ("–", "refused")),
}


def chip(text: str) -> Chip:
    """How a word is shown; what is not known is a failure."""
    return Chip(text, *_CHIPS.get(text, ("✕", "failed")))
