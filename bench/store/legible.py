"""What a store holds and this bakeoff cannot read: told in a sentence."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import fields
from pathlib import Path
from typing import Any

from bench.interfaces.errors import StoreError


class _Unknown(Exception):
    """Facts that a record of this bakeoff has no place for."""


@contextmanager
def legible(path: Path, run_id: str = "") -> Iterator[None]:
    """Around the reading of rows. Raises StoreError: a part is lost, or this bakeoff is too old for it.

    Args:
        run_id: the run that the rows belong to; the other runs of the store can be read then.
    """
    where = f"{path}, run {run_id}" if run_id else str(path)
    try:
        yield
    except _Unknown as error:
        raise StoreError(
            f"{where} was written by a newer bakeoff: this one does not know {error}",
            hint="upgrade bakeoff, or keep a store of its own: --store results/other.sqlite",
        ) from error
    except (AttributeError, KeyError, TypeError, ValueError, RecursionError) as error:
        raise StoreError(
            f"{where} is damaged: {error!s:.100}",
            hint=f"its other runs can be read: bakeoff list runs --store {path}"
            if run_id
            else "name another store: --store PATH",
        ) from error


def known(record: type, facts: Mapping[str, Any]) -> Mapping[str, Any]:
    """The facts of a record (a dataclass), read within `legible`, which refuses what it has no field for.

    What a store of before does not say is at its default.
    """
    if unknown := sorted(facts.keys() - {one.name for one in fields(record)}):
        raise _Unknown(", ".join(map(repr, unknown)))
    return facts
