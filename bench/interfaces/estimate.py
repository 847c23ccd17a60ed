"""What was estimated, with its interval: data that statistics make and everything else shows."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Estimate:
    """A value with its 95 % interval over `n` independent units; None where it cannot be told."""

    value: float | None
    low: float | None
    high: float | None
    n: int

    @property
    def half_width(self) -> float | None:
        """Half the interval relative to the value, as a fraction."""
        if self.value is None or self.low is None or self.high is None or self.value == 0:
            return None
        return (self.high - self.low) / 2 / self.value


UNKNOWN = Estimate(None, None, None, 0)
