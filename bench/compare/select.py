"""What BASE and NEW of `bakeoff compare` name: runs of a store, or a configuration within one run."""

from __future__ import annotations

import os
import re
import shlex
from dataclasses import dataclass
from pathlib import Path

from bench.files import regular
from bench.interfaces.errors import UsageError, did_you_mean
from bench.store.records import RunRecord
from bench.store.sqlite import Store
from bench.suite.configuration import Side, parse_side

LATEST = re.compile(r"latest(?:~(\d+))?", re.ASCII)
SEPARATOR = "::"
ENDINGS = (".sqlite", ".db")


@dataclass(frozen=True, slots=True)
class Runs:
    """Runs of one store, in the order named."""

    store: Path
    ids: tuple[str, ...]


def named(text: str, store: Path) -> Runs | Side:
    """What one side means, in this order.

    1. A store file: `PATH.sqlite` (its latest finished run), `PATH::RUN`, `PATH::RUN1,RUN2`, `PATH::*` (all
       finished ones).
    2. Runs of `store`: an id or its unique beginning, `latest`, `latest~1` (of the finished), or several with
       commas.
    3. A configuration, as `bench.suite.configuration.parse_side` reads it.

    Raises:
        UsageError: it is none of these, or could be several runs.
        StoreError: the store cannot be read.
    """
    path, found, words = text.partition(SEPARATOR)
    if found and not words.strip():
        raise UsageError(f"{text!r} names no run after {SEPARATOR}", hint=f"bakeoff list runs --store {path}")
    if found or text.endswith(ENDINGS) or regular.there(text):
        return _of_store(Path(path), words or "latest")
    first = text.split(",")[0].strip()
    known = [run.id for run in _runs(store)] if os.path.exists(store) else []
    if LATEST.fullmatch(first) or any(run.startswith(first) for run in known):
        return _of_store(store, text)
    try:
        return parse_side(text)
    except UsageError as error:
        hint = did_you_mean(text, known) if known else error.hint
        raise UsageError(
            f"{text!r} is no store file, no run of {store} and no configuration ({error.message})",
            hint=f"{error.hint or hint}; runs: bakeoff list runs --store {shlex.quote(str(store))}",
        ) from None


def both(base: str, new: str, store: Path) -> tuple[Runs, Runs] | tuple[Side, Side]:
    """What both sides mean: of one kind, and no run on both."""
    one, other = named(base, store), named(new, store)
    if isinstance(one, Side) and isinstance(other, Side):
        return one, other
    if isinstance(one, Runs) and isinstance(other, Runs):
        if shared := _identity(one) & _identity(other):
            twice = ", ".join(sorted(run for _, run in shared))
            raise UsageError(f"run {twice} is on both sides", hint=f"bakeoff list runs --store {one.store}")
        return one, other
    words = [f"{text!r} is {_kind(side)}" for text, side in ((base, one), (new, other))]
    raise UsageError(
        f"{' and '.join(words)}: they cannot be compared",
        hint="name two runs, or two configurations and `--run RUN`",
    )


def one_run(word: str, store: Path) -> str:
    """The id of the one run that `--run` names."""
    with Store.open(store) as opened:
        return _pick(opened, word)


def _kind(side: Runs | Side) -> str:
    return "a configuration" if isinstance(side, Side) else f"a run of {side.store}"


def _identity(runs: Runs) -> set[tuple[Path, str]]:
    return {(runs.store.resolve(), run) for run in runs.ids}


def _runs(store: Path) -> list[RunRecord]:
    with Store.open(store) as opened:
        return opened.runs()


def _of_store(path: Path, words: str) -> Runs:
    with Store.open(path) as opened:
        if words.strip() == "*":
            ids = [run.id for run in _finished(opened)]
        else:
            ids = [_pick(opened, word.strip()) for word in words.split(",") if word.strip()]
    if len(set(ids)) < len(ids):
        raise UsageError(f"{words!r} names a run twice", hint=f"bakeoff list runs --store {path}")
    return Runs(path, tuple(ids))


def _pick(store: Store, word: str) -> str:
    latest = LATEST.fullmatch(word)
    if latest is None:
        return store.run(word).id
    finished, back = _finished(store), int(latest[1] or 0)
    if back >= len(finished):
        raise UsageError(
            f"{store.path} has {len(finished)} finished runs, so there is no {word!r}",
            hint=f"bakeoff list runs --store {store.path}",
        )
    return finished[-1 - back].id


def _finished(store: Store) -> list[RunRecord]:
    found = [run for run in store.runs() if run.state == "finished"]
    if not found:
        raise UsageError(
            f"{store.path} holds no finished run; one that is not must be named",
            hint=f"bakeoff list runs --store {store.path}",
        )
    return found
