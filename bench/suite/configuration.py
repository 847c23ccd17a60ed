"""How one side of a comparison is written: `NAME[:VARIANT][==VERSION][@KEY=VALUE,…]`.

Keys are `precision`, `device`, `threads` and `preset`; any other is an option of the backend's own.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import yaml

from bench.interfaces.axes import AXES
from bench.interfaces.case import Case
from bench.interfaces.errors import UsageError

WRITTEN = "NAME[:VARIANT][==VERSION][@KEY=VALUE,…]"
_OPENS = "=[{,: "  # what a quote stands behind that begins a text
_ALONE = ("option", "twin")  # written otherwise
FACTS = tuple(axis.flag for axis in AXES if "backends" in axis.entries and axis.flag not in _ALONE)
"""The axes of a target that a side may say."""
TWIN = "2"  # of the second of two like sides


@dataclass(frozen=True, slots=True)
class Side:
    """A configuration: a backend, and what is said of its target. `facts` holds keys of `FACTS` alone."""

    backend: str
    facts: Mapping[str, str | int] = field(default_factory=dict)
    options: Mapping[str, Any] = field(default_factory=dict)

    def matches(self, case: Case) -> bool:
        """Whether a case is of this configuration, as far as that goes."""
        facts = all(str(getattr(case.target, key)) == str(value) for key, value in self.facts.items())
        options = all(case.target.options.get(key) == value for key, value in self.options.items())
        return case.backend_spec == self.backend and facts and options


def parse_side(text: str) -> Side:
    """Raises UsageError for an unknown backend or variant, and for what cannot be read."""
    from bench.plugins.backend_registry import parse

    backend, _, rest = text.partition("@")
    parse(backend)
    facts: dict[str, str | int] = {}
    options: dict[str, Any] = {}
    for word in filter(None, _split(rest)):
        key, found, value = (part.strip() for part in word.partition("="))
        if not key or not found or not value:
            raise UsageError(f"{text!r}: {word!r} is no KEY=VALUE", hint=f"write {WRITTEN}")
        if key in FACTS:
            facts[key] = int(value) if key == "threads" and value.isdigit() else value
        else:
            options[key] = _plain(text, value, WRITTEN)
    return Side(backend, facts, options)


def parse_option(text: str) -> tuple[str, Any]:
    """`extra=5` → ('extra', 5). Raises UsageError for what cannot be read."""
    key, found, value = (part.strip() for part in text.partition("="))
    if not key or not found or not value:
        raise UsageError(f"--option: {text!r} is no NAME=VALUE", hint="bakeoff run --help")
    return key, _plain(text, value, "NAME=VALUE, the value as in a suite file")


def _split(text: str) -> list[str]:
    """At commas, but at none within brackets or quotes."""
    words, depth, quote = [""], 0, ""
    for sign in text:
        before = words[-1][-1:]
        if quote:
            quote = "" if sign == quote and (before != "\\" or quote == "'") else quote
        elif sign in "'\"" and before and before in _OPENS:
            quote = sign
        elif sign in "[]{}":
            depth += 1 if sign in "[{" else -1
        if sign == "," and depth <= 0 and not quote:
            words.append("")
        else:
            words[-1] += sign
    return words


def _plain(text: str, value: str, how: str) -> Any:
    """`4` is a number, `true` a truth, anything else a word: as in a suite file."""
    try:
        return yaml.safe_load(value)
    except yaml.YAMLError:
        raise UsageError(f"{text!r}: {value!r} cannot be read", hint=f"write {how}") from None
