"""Brings the stores of several machines into one, each run with the label of its machine. Sources are only
read.
"""

from __future__ import annotations

import os
import sqlite3
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from bench.interfaces.block import Block
from bench.interfaces.errors import StoreError, UsageError
from bench.machine.label import LABEL, LABEL_FROM, described, identity, label
from bench.store.records import RunRecord
from bench.store.sqlite import Store, require_store

WHOLE = "see whether it is a store that came whole"


@dataclass(frozen=True, slots=True)
class Source:
    """A store to read, and the label of its machine, '' for what its runs say of it."""

    path: Path
    label: str = ""


@dataclass(frozen=True, slots=True)
class Merged:
    """A run that is now in the store: under which id, of which machine, and whether it was there before."""

    source: Path
    id: str
    label: str
    known: bool


def parse_source(text: str) -> Source:
    """`STORE` or `LABEL=STORE`; a path that exists is a path, whatever it holds."""
    name, found, path = text.partition("=")
    if not found or os.path.exists(text):  # not Path's, which raises for a name that is too long
        return Source(Path(text))
    if not name.strip() or not path.strip():
        raise UsageError(f"{text!r} is no LABEL=STORE", hint="bakeoff merge gpu-box=gpu.sqlite cpu.sqlite")
    return Source(Path(path.strip()), name.strip())


def merge(sources: Sequence[Source], into: Path) -> list[Merged]:
    """Copies every run of the sources that `into` does not hold yet; each goes in whole or not at all.

    Raises:
        StoreError: a store cannot be read whole, or holds no run (nothing is merged then); or `into` cannot
            be written.
        UsageError: one label for machines that are not the same.
    """
    if os.path.exists(into) and any(one.path.resolve() == into.resolve() for one in sources):
        raise UsageError(f"{into} is among the stores to read", hint="name another one: --into PATH")
    for source in sources:
        _require_whole(source.path)
    done: list[Merged] = []
    with Store.open(into, create=True) as target:
        machines = {label(run): identity(run.machine) for run in target.runs()}
        for source in sources:
            with _opened(source.path) as opened:
                done += [_adopt(run, source, opened, target, machines) for run in opened.runs()]
    return done


def _require_whole(path: Path) -> None:
    """Reads all of a store. Raises StoreError before anything of the others is merged."""
    with _opened(path) as opened:
        runs = opened.runs()
        for run in runs:
            for read in (opened.cases, opened.blocks, opened.rounds, opened.estimates):
                read(run.id)
    if not runs:
        raise StoreError(
            f"{path} holds no run; nothing was merged",
            hint="leave it out; copied while bakeoff wrote to it, it lacks its -wal file",
        )


@contextmanager
def _opened(path: Path) -> Iterator[Store]:
    """A copy of a store, for as long as it is read; an error of the copy is told of the store."""
    with tempfile.TemporaryDirectory(prefix="bakeoff-merge-") as folder:
        copy = _copied(path, Path(folder))
        try:
            with Store.open(copy) as opened:
                yield opened
        except StoreError as error:
            if str(copy) not in error.message:
                raise
            raise StoreError(error.message.replace(str(copy), str(path)), hint=WHOLE) from error


def _copied(path: Path, folder: Path) -> Path:
    """A store as it is now, with what lies in its log: opening one may bring it up to date, and this one is
    somebody else's."""
    require_store(path)
    copy = folder / "copy.sqlite"
    try:
        source, made = sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True), sqlite3.connect(copy)
        with closing(source), closing(made):
            source.backup(made)
    except sqlite3.Error as error:
        raise StoreError(f"store {path}: {error}", hint=WHOLE) from error
    return copy


def _adopt(run: RunRecord, source: Source, opened: Store, target: Store, machines: dict[str, str]) -> Merged:
    named, known_from = _named(run, source, machines)
    if machines.setdefault(named, identity(run.machine)) != identity(run.machine):
        raise UsageError(
            f"{source.path}: run {run.id} was measured on another machine than the one called {named!r}",
            hint=f"give it a label of its own: bakeoff merge OTHER={source.path}",
        )
    blocks = opened.blocks(run.id)
    for one in target.runs():
        if _same(one, run, named) and _measured_alike(target.blocks(one.id), blocks):
            return Merged(source.path, one.id, named, known=True)
    made = replace(run, machine={**run.machine, LABEL: named, LABEL_FROM: known_from})
    target.adopt_run(made, run.id, opened)
    return Merged(source.path, made.id, named, known=False)


def _named(run: RunRecord, source: Source, machines: dict[str, str]) -> tuple[str, str]:
    """The label of a run's machine, and where it came from: a person, or the machine's facts; '' where an
    earlier merge has left that open."""
    if source.label:
        return source.label, "given"
    if held := str(run.machine.get(LABEL) or ""):
        return held, str(run.machine.get(LABEL_FROM) or "")
    return _free(described(run.machine), run, machines), "described"


def _free(name: str, run: RunRecord, machines: dict[str, str]) -> str:
    """The description, with a number where another machine is described alike."""
    tried, number = name, 2
    while machines.get(tried, identity(run.machine)) != identity(run.machine):
        tried, number = f"{name} ({number})", number + 1
    return tried


def _measured_alike(there: Sequence[Block], here: Sequence[Block]) -> bool:
    """Whether one side has measured all that the other has, to the nanosecond.

    Two runs of one command may start in one second, and a run may have gone on since it was copied.
    """
    held, own = (
        {(block.case_id, block.part, block.host_ns.tobytes()) for block in blocks if block.host_ns.size}
        for blocks in (there, here)
    )
    return held <= own or own <= held


def _same(one: RunRecord, other: RunRecord, named: str) -> bool:
    """Whether it may be the same run, which may have got another id when it was copied."""
    return (one.started, one.name, one.command, label(one)) == (
        other.started,
        other.name,
        other.command,
        named,
    )
