"""How thoroughly to measure: the numbers of DESIGN.md's table of statistics, as data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Profile:
    """A name for an effort.

    Attributes:
        replicates: fresh sets of workers, at most.
        looks: after how many replicates the intervals are looked at, each with its share of α; the last is
            `replicates`.
        rounds: bursts of each worker in a replicate of the pilot.
        pilot: replicates after which the rounds of those to come are chosen from the noise; None for never.
        narrow_from: from so many replicates on only the wide cases go on; None where only looks stop them.
        warmup_most_s: warm-up ends here at the latest, and is marked.
        warmup_least_s: warm-up takes at least this.
        burst_s: length of a burst, at least.
        device_every: after every so many bursts the `device` boundary is measured too, for a third as long; 0
            for never.
    """

    name: str
    replicates: int
    looks: tuple[int, ...]
    rounds: int
    warmup_most_s: float
    pilot: int | None = None
    narrow_from: int | None = None
    warmup_least_s: float = 0.3
    burst_s: float = 0.15
    device_every: int = 1


ROUNDS = (10, 40)  # the pilot's choice stays within
LOOKS = (6, 12, 24)
PROFILES = {
    profile.name: profile
    for profile in (
        Profile("quick", replicates=3, looks=(3,), rounds=10, warmup_most_s=3.0, device_every=3),
        Profile(
            "standard",
            replicates=6,
            looks=(6,),
            rounds=20,
            warmup_most_s=10.0,
            pilot=3,
            narrow_from=4,
        ),
        Profile("publish", replicates=24, looks=LOOKS, rounds=20, warmup_most_s=30.0, pilot=3),
        Profile("ab", replicates=24, looks=LOOKS, rounds=10, warmup_most_s=10.0, pilot=3, device_every=0),
        Profile("aa", replicates=200, looks=(200,), rounds=20, warmup_most_s=10.0, device_every=0),
    )
}


def profile_of(suite: Mapping[str, Any]) -> Profile:
    """The profile of a suite that was kept as plain data."""
    return PROFILES[suite.get("profile", "quick")]
