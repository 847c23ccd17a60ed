"""What of the cache is to go, and its deletion."""

from __future__ import annotations

import shutil
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.cache import artefacts
from bench.cache.inventory import Holding, drafts
from bench.files import paths
from bench.files.paths import folder_bytes

GRACE_S = 1.0  # a draft is locked the moment it exists; nobody makes any while the cache is pruned


@dataclass(frozen=True, slots=True)
class Choice:
    """What was asked to go: whatever all that is said here is true of.

    Attributes:
        stale: only what is stale.
        unused_s: only what no run has asked for since so many seconds; None for any.
        workloads: only of these; of any where empty.
        everything: all there is, whatever the rest says.
    """

    stale: bool = True
    unused_s: float | None = None
    workloads: tuple[str, ...] = ()
    everything: bool = False

    def means(self, one: Holding, now: float) -> bool:
        """`now` in seconds since the epoch."""
        return self.everything or (
            (one.state == "stale" or not self.stale)
            and (self.unused_s is None or now - one.used >= self.unused_s)
            and (not self.workloads or one.workload in self.workloads)
        )


def choose(found: Sequence[Holding], choice: Choice, now: float) -> tuple[list[Holding], list[Holding]]:
    """What goes, and what was meant to but stays since something that stays was made from it."""
    meant = [one for one in found if choice.means(one, now)]
    folders = {one.folder for one in meant}
    needed = _ancestry(found, [one for one in found if one.folder not in folders and one.state != "stale"])
    goes = [one for one in meant if one.folder not in needed]
    return goes, [one for one in meant if one.folder in needed]


def dead_drafts() -> list[tuple[Path, int]]:
    """Drafts whose maker was killed, with their bytes."""
    homes = {folder.parent for folder in drafts()}
    dead = [folder for home in sorted(homes) for folder in artefacts.dead_drafts(home, GRACE_S)]
    return [(folder, folder_bytes(folder)) for folder in dead]


def delete(goes: Sequence[Holding], leftover: Sequence[tuple[Path, int]]) -> None:
    """Deletes folder by folder, each gone at once. The caller holds `bench.cache.lock.alone`.

    Raises:
        PrepareError: the cache cannot be written.
    """
    for one in goes:
        artefacts.remove(one.folder)
    for folder, _ in leftover:
        with paths.writing():
            shutil.rmtree(folder)


def _ancestry(found: Sequence[Holding], of: Collection[Holding]) -> set[Path]:
    """Folders that these were made from, the stale ones left out."""
    needed: set[Path] = set()
    wanted = set().union(*(one.parents for one in of))
    while wanted:
        made = [one for one in found if (one.kind, one.sha256) in wanted and one.state != "stale"]
        new = [one for one in made if one.folder not in needed]
        needed |= {one.folder for one in new}
        wanted = set().union(*(one.parents for one in new))
    return needed
