"""The options of a backend as data: what each means, and which values it takes. Checked while planning."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from bench.interfaces.errors import did_you_mean

Kind = Literal["truth", "whole", "number", "text"]
TYPES: Mapping[Kind, tuple[type, ...]] = {
    "truth": (bool,),
    "whole": (int,),
    "number": (int, float),
    "text": (str,),
}
WORDS: Mapping[Kind, str] = {
    "truth": "true or false",
    "whole": "a whole number",
    "number": "a number",
    "text": "a text",
}


@dataclass(frozen=True, slots=True)
class Option:
    """One option.

    Attributes:
        text: what it does, in a few words.
        kind: what its values are; a truth may be written as 0 or 1, too.
        least, most: bounds of a number, both allowed.
        choices: the texts or whole numbers that it takes; () for any.
        variants, devices: the variants of the backend, and the kinds of device, that have it; () for all.
    """

    text: str
    kind: Kind = "truth"
    least: float | None = None
    most: float | None = None
    choices: tuple[str | int, ...] = ()
    variants: tuple[str, ...] = ()
    devices: tuple[str, ...] = ()

    @property
    def values(self) -> str:
        """`true or false`, `a whole number from 1 to 8`, `one of a, b`."""
        if self.choices:
            return f"one of {', '.join(map(str, self.choices))}"
        bounds = [("from", self.least), ("to", self.most)]
        return " ".join([WORDS[self.kind], *(f"{w} {v:g}" for w, v in bounds if v is not None)])

    def takes(self, value: object) -> bool:
        """Whether it is such a value."""
        if self.choices:
            return value in self.choices and not isinstance(value, bool)
        if self.kind == "truth":
            return value in (True, False, "0", "1")
        if self.kind == "whole" and isinstance(value, str) and value.isdecimal():
            value = int(value)  # as runtimes that keep their settings as texts write it
        if isinstance(value, bool) or not isinstance(value, TYPES[self.kind]):
            return False
        if not isinstance(value, int | float):
            return True
        return (self.least is None or value >= self.least) and (self.most is None or value <= self.most)


Options = Mapping[str, Option]


def options_of(backend: object) -> Options | None:
    """A backend's; None where only its runtime knows them, or it was written before there were any."""
    return getattr(backend, "options", None)


def of(options: Options, variant: str, device: str = "") -> dict[str, Option]:
    """Those that a variant has on a kind of device; on any kind where none is said."""
    return {
        name: one
        for name, one in options.items()
        if (not one.variants or variant in one.variants)
        and (not device or not one.devices or device in one.devices)
    }


def mistakes(name: str, known: Options, given: Mapping[str, Any]) -> Iterator[str]:
    """What is wrong with options: a sentence for each that is unknown, or has no such value.

    Args:
        name: the backend, as it is typed.
    """
    for option, value in given.items():
        if option not in known:
            near = did_you_mean(option, known)
            yield f"{name} takes no option {option!r}" + (f"; {near}" if near else "")
        elif not known[option].takes(value):
            yield f"{name}: option {option} is {known[option].values}, not {value!r:.60}"
