"""How thoroughly to measure: the numbers of DESIGN.md's table of statistics, as data."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Profile:
    """A name for an effort.

    Attributes:
        generations: fresh sets of workers, at most.
        looks: after how many generations the intervals are looked at; the last is `generations`.
        rounds: bursts of each worker in a generation, before a pilot says better.
        warmup_most_s: warm-up ends here at the latest, and is marked.
        warmup_least_s: warm-up takes at least this.
        burst_s: length of a burst, at least.
    """

    name: str
    generations: int
    looks: tuple[int, ...]
    rounds: int
    warmup_most_s: float
    warmup_least_s: float = 0.3
    burst_s: float = 0.15


ROUNDS = (10, 40)  # the pilot's choice stays within
PROFILES = {
    profile.name: profile
    for profile in (
        Profile("quick", generations=3, looks=(3,), rounds=10, warmup_most_s=3.0),
        Profile("standard", generations=6, looks=(6,), rounds=20, warmup_most_s=10.0),
        Profile("publish", generations=24, looks=(6, 12, 24), rounds=20, warmup_most_s=30.0),
    )
}
