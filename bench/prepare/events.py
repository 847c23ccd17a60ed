"""What `prepare` tells its listener: artefacts as they begin and end, seconds between, the sum."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

from bench.cache import artefacts, inventory

Listener = Callable[[str, Mapping[str, Any]], None]
TICK_S = 1.0
STATES = ("made", "cached", "failed", "unsupported", "missing")


class Telling:
    """Counts artefacts as they settle; `total` are needed. The events are described in `bench.progress`."""

    def __init__(self, listener: Listener, total: int) -> None:
        self._listener = listener
        self._total = total
        self._settled: Counter[str] = Counter()
        self._begun = self._ticked = time.monotonic()

    def begun(self, label: str) -> None:
        """Its converter has been started."""
        self._tell(label, "making", 0.0)

    def settled(self, label: str, state: str, seconds: float, artefact: artefacts.Artefact | None) -> None:
        """It is `cached`, `made`, `failed`, `unsupported` or `missing` (what would make it is)."""
        self._settled[state] += 1
        self._tell(label, state, seconds, **({"bytes": artefact.size} if artefact else {}))

    def tick(self, seconds: Mapping[str, float]) -> None:
        """Label → seconds so far of what is being made; told once a second."""
        if seconds and time.monotonic() - self._ticked >= TICK_S:
            self._ticked = time.monotonic()
            self._listener("making", {"artefacts": dict(seconds), **self._progress()})

    def ended(self) -> None:
        """Says how many were made, how long it took, and how large the cache is now."""
        if self._total:
            counts = {state: self._settled[state] for state in STATES}
            seconds = time.monotonic() - self._begun
            self._listener("prepared", {**counts, "seconds": seconds, "cache_bytes": inventory.total_bytes()})

    def _progress(self) -> dict[str, int]:
        return {"done": self._settled.total(), "of": self._total}

    def _tell(self, label: str, state: str, seconds: float, **more: Any) -> None:
        facts = {"artefact": label, "state": state, "seconds": seconds, **self._progress(), **more}
        self._listener("prepare", facts)
