"""What a checkpoint holds, as plain data: names, shapes and dtypes, no values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

SHOWN = 3  # names in a message
LONGEST = 100  # letters of a name in a message


@dataclass(frozen=True, slots=True)
class Tensor:
    """A tensor's dtype as NumPy or PyTorch spells it (`float32`, `bfloat16`, `qint8`), and its shape."""

    dtype: str
    shape: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Other:
    """What is no tensor and no dictionary: `int`, `list`, or the class of an object, which is never made."""

    what: str


Tree: TypeAlias = Mapping[str, "Tensor | Other | Tree"]


def shown(name: str) -> str:
    """A name from a file as a message may show it: bounded, and no control characters."""
    clean = name if name.isprintable() else ascii(name)[1:-1]
    return clean if len(clean) <= LONGEST else f"{clean[:LONGEST]}…"


def listed(names: list[str]) -> str:
    """The first few, and how many more there are."""
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(shown(name) for name in names[:SHOWN]) + more
