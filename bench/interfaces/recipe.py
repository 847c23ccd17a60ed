"""What of a model a quantiser rounds, as data: a converter sets its quantiser by it, and the band of what it
makes comes from a run that rounds by the same. Standard library alone."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

Besides = Literal["sums", "outputs", "nothing"]


@dataclass(frozen=True, slots=True)
class Recipe:
    """Which tensors are rounded. How finely is the precision's (`bench.interfaces.precision.Scheme`).

    As it comes: the weights of products, and what is multiplied with them where the precision says so.

    Attributes:
        besides: what of the activations is rounded besides: `sums`, what additions take, and with it what
            products give them; `outputs`, what products with weights give; or `nothing`.
        attention: both sides of products of two activations.
        symmetric: an activation's range reaches as far below zero as above it.
        convolutions: whether products with windows are rounded; the limits below are of those that are.
        groups: whether convolutions in groups are.
        most_window: the largest window, in weights of a pair of channels; 0 for any.
        least_side: the fewest channels that a side of the weights may have.
        multiple: what both sides of the weights must be multiples of.
    """

    besides: Besides = "nothing"
    attention: bool = False
    symmetric: bool = False
    convolutions: bool = True
    groups: bool = True
    most_window: int = 0
    least_side: int = 1
    multiple: int = 1

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Recipe:
        return cls(**data)

    def takes(self, shape: Sequence[int], groups: int = 1) -> bool:
        """Whether a product with weights of that shape ([out, in, window …], or [in, out]) is rounded."""
        sides, window = shape[:2], math.prod(shape[2:])
        return (
            (self.convolutions or len(shape) == 2)
            and (self.groups or groups == 1)
            and (not self.most_window or window <= self.most_window)
            and all(side >= self.least_side and side % self.multiple == 0 for side in sides)
        )

    def __str__(self) -> str:
        """What it rounds besides products with weights: `of sums, attention`."""
        rounded = [*([] if self.besides == "nothing" else [self.besides]), *["attention"] * self.attention]
        return f"of {', '.join(rounded) or 'products'}"
