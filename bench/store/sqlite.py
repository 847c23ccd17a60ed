"""The store: runs, cases and blocks in one SQLite file. Written by the parent alone.

Facts that are read whole are JSON columns (`bench.text.strict_json`: infinities come back as they were),
samples are little-endian int64 blobs. All blocks of a part go in by one transaction, so a killed sweep
leaves whole parts or none.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np

from bench.files import heads, regular
from bench.interfaces.backend import Target
from bench.interfaces.block import MEASURED, Block, Burst
from bench.interfaces.case import Case
from bench.interfaces.errors import StoreError, UsageError, did_you_mean
from bench.interfaces.plain import as_dict
from bench.store.legible import known, legible
from bench.store.records import CaseRecord, RunRecord
from bench.text import strict_json

MAGIC = b"SQLite format 3\x00"
DEFAULT_PATH = Path("results") / "bakeoff.sqlite"

# Step n takes a store from version n to n + 1. Never edit a step that has shipped: append one.
MIGRATIONS: tuple[str, ...] = (
    """
    CREATE TABLE runs (
        id TEXT PRIMARY KEY, name TEXT NOT NULL, state TEXT NOT NULL, started TEXT NOT NULL,
        finished TEXT, facts TEXT NOT NULL
    ) STRICT;
    CREATE TABLE cases (
        run_id TEXT NOT NULL REFERENCES runs(id) ON DELETE CASCADE, case_id TEXT NOT NULL,
        position INTEGER NOT NULL, facts TEXT NOT NULL, PRIMARY KEY (run_id, case_id)
    ) STRICT;
    CREATE TABLE blocks (
        run_id TEXT NOT NULL, case_id TEXT NOT NULL, generation INTEGER NOT NULL, part INTEGER NOT NULL,
        status TEXT NOT NULL, facts TEXT NOT NULL, bursts TEXT NOT NULL,
        host_ns BLOB NOT NULL, device_ns BLOB NOT NULL,
        PRIMARY KEY (run_id, part, case_id),
        FOREIGN KEY (run_id, case_id) REFERENCES cases(run_id, case_id) ON DELETE CASCADE
    ) STRICT;
    """,
    "ALTER TABLE blocks ADD COLUMN own_ns BLOB NOT NULL DEFAULT x'';",
)
SCHEMA_VERSION = len(MIGRATIONS)

_SAMPLES = np.dtype("<i8")
_SAMPLED = ("host_ns", "device_ns", "own_ns")
_COLUMNS = ("case_id", "generation", "part", "status", "bursts", *_SAMPLED)


class Store:
    """An open store. A context manager."""

    def __init__(self, connection: sqlite3.Connection, path: Path) -> None:
        self._db = connection
        self.path = path

    @classmethod
    def open(cls, path: Path, *, create: bool = False) -> Store:
        """Opens a store, migrating an older one. Raises StoreError with the next step."""
        if not create or os.path.exists(path):  # not Path's, which raises for a name that is too long
            require_store(path)
        with _explained(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            db = sqlite3.connect(path, timeout=30, isolation_level=None)
            try:
                _migrate(db, path)
            except BaseException:
                db.close()
                raise
        return cls(db, path)

    def __enter__(self) -> Store:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        self._db.close()

    def require_writable(self) -> None:
        """Raises StoreError, with the next step, where nothing can be written to it now."""
        with _explained(self.path), self._transaction():
            self._db.execute(
                f"PRAGMA user_version = {SCHEMA_VERSION}"
            )  # as it is; beginning alone tells nothing

    # runs

    def create_run(self, record: RunRecord) -> str:
        """Keeps a new run; its id gets a suffix where two start in one second."""
        with _explained(self.path), self._transaction():
            self._insert_run(record)
        return record.id

    def adopt_run(self, record: RunRecord, cases: Sequence[CaseRecord], blocks: Sequence[Block]) -> str:
        """Keeps a run of another store with all it holds, in one transaction; its id as in `create_run`."""
        with _explained(self.path), self._transaction():
            self._insert_run(record)
            self._insert_cases(record.id, cases)
            self._insert_blocks(record.id, blocks)
        return record.id

    def _insert_run(self, record: RunRecord) -> None:
        taken = {row[0] for row in self._db.execute("SELECT id FROM runs")}
        base, n = record.id, 2
        while record.id in taken:
            record.id, n = f"{base}-{n}", n + 1
        self._db.execute("INSERT INTO runs VALUES (?, ?, ?, ?, ?, ?)", _run_row(record))

    def update_run(self, record: RunRecord) -> None:
        with _explained(self.path), self._transaction():
            run_id, *rest = _run_row(record)
            sql = "UPDATE runs SET name = ?, state = ?, started = ?, finished = ?, facts = ? WHERE id = ?"
            self._db.execute(sql, (*rest, run_id))

    def runs(self) -> list[RunRecord]:
        """All runs, oldest first."""
        with _explained(self.path):
            rows = self._db.execute("SELECT * FROM runs ORDER BY started, rowid").fetchall()
        with legible(self.path):
            return [_read_run(row) for row in rows]

    def run(self, run_id: str = "latest") -> RunRecord:
        """A run by id, by a beginning that only one has, or the latest."""
        runs = self.runs()
        if not runs:
            raise StoreError(f"{self.path} holds no run", hint="bakeoff run quick")
        if run_id == "latest":
            return runs[-1]
        exact = [run for run in runs if run.id == run_id]
        found = exact or [run for run in runs if run.id.startswith(run_id)]
        if len(found) == 1:
            return found[0]
        if found:
            raise UsageError(f"run {run_id!r} could be any of {', '.join(r.id for r in found)}")
        raise UsageError(f"no run {run_id!r} in {self.path}", hint=did_you_mean(run_id, [r.id for r in runs]))

    # cases

    def add_cases(self, run_id: str, records: Sequence[CaseRecord]) -> None:
        """Keeps the cases of a run in the order given; one that is there already is replaced."""
        with _explained(self.path), self._transaction():
            self._insert_cases(run_id, records)

    def _insert_cases(self, run_id: str, records: Sequence[CaseRecord]) -> None:
        for position, record in enumerate(records):
            facts = {**as_dict(asdict(record)), "case": as_dict(record.case)}
            sql = (
                "INSERT INTO cases VALUES (?, ?, ?, ?) ON CONFLICT (run_id, case_id)"
                " DO UPDATE SET position = excluded.position, facts = excluded.facts"
            )
            self._db.execute(sql, (run_id, record.case.id, position, strict_json.dumps(facts)))

    def cases(self, run_id: str) -> list[CaseRecord]:
        with _explained(self.path):
            sql = "SELECT facts FROM cases WHERE run_id = ? ORDER BY position"
            rows = self._db.execute(sql, (run_id,)).fetchall()
        with legible(self.path, run_id):
            return [_read_case(strict_json.loads(facts)) for (facts,) in rows]

    # blocks

    def next_part(self, run_id: str) -> int:
        with _explained(self.path):
            sql = "SELECT coalesce(max(part) + 1, 0) FROM blocks WHERE run_id = ?"
            (part,) = self._db.execute(sql, (run_id,)).fetchone()
        return int(part)

    def add_blocks(self, run_id: str, blocks: Sequence[Block], *, replaces: Sequence[str] = ()) -> None:
        """Keeps the blocks of one part in one transaction.

        Args:
            replaces: cases whose blocks that did not end `ok` are dropped in the same transaction: a
                repeated case has its new blocks and no leftovers.
        """
        with _explained(self.path), self._transaction():
            for case_id in replaces:
                sql = "DELETE FROM blocks WHERE run_id = ? AND case_id = ? AND status NOT IN (?, ?)"
                self._db.execute(sql, (run_id, case_id, *MEASURED))
            self._insert_blocks(run_id, blocks)

    def _insert_blocks(self, run_id: str, blocks: Sequence[Block]) -> None:
        sql = "INSERT INTO blocks VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
        self._db.executemany(sql, (_block_row(run_id, block) for block in blocks))

    def drop_blocks(self, run_id: str, case_ids: Sequence[str]) -> None:
        """Forgets all blocks of the cases: `--rerun always`."""
        with _explained(self.path), self._transaction():
            for case_id in case_ids:
                self._db.execute("DELETE FROM blocks WHERE run_id = ? AND case_id = ?", (run_id, case_id))

    def blocks(self, run_id: str) -> list[Block]:
        """All blocks of a run in the order of their parts."""
        sql = f"SELECT {', '.join(_COLUMNS)}, facts FROM blocks WHERE run_id = ? ORDER BY part, rowid"
        with _explained(self.path):
            rows = self._db.execute(sql, (run_id,)).fetchall()
        with legible(self.path, run_id):
            return [_read_block(row) for row in rows]

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
            raise
        self._db.execute("COMMIT")


def require_store(path: Path) -> None:
    """Raises StoreError for what is no SQLite file, before SQLite waits for it or says something else."""
    try:
        size = regular.status(path).st_size
        with regular.opened(path) as file:
            head = file.read(heads.HEAD)
    except FileNotFoundError as error:
        what = f": {error.strerror}" if path.is_symlink() else ""
        raise StoreError(f"no store at {path}{what}", hint="bakeoff run quick   (makes one)") from None
    except OSError as error:
        folder = isinstance(error, IsADirectoryError)
        hint = f"--store {path / DEFAULT_PATH.name}" if folder else "name another store: --store PATH"
        raise StoreError(f"store {path}: {error.strerror}", hint=hint) from error
    if head and not head.startswith(MAGIC):
        found = heads.kind(head, size)
        what = "no SQLite file" if found == heads.UNKNOWN else f"{found.name}, not a store"
        hint = found.instead if found in heads.INSTEAD_OF_TEXT else "name another store: --store PATH"
        raise StoreError(f"store {path}: {what}", hint=hint)


def _migrate(db: sqlite3.Connection, path: Path) -> None:
    # Tables before version: another process may make them between the two looks.
    (tables,) = db.execute("SELECT count(*) FROM sqlite_master").fetchone()
    version = _version(db)
    if version > SCHEMA_VERSION:
        raise StoreError(
            f"{path} was written by a newer bakeoff (store version {version}, this one: {SCHEMA_VERSION})",
            hint="upgrade bakeoff, or keep a store of its own: --store results/other.sqlite",
        )
    if version == 0 and tables:
        raise StoreError(f"{path} is an SQLite file but not a bakeoff store", hint="--store ANOTHER.sqlite")
    sql = "SELECT type, name FROM sqlite_master WHERE type IN ('view', 'trigger') LIMIT 1"
    if strange := db.execute(sql).fetchone():
        raise StoreError(  # a view may run for ever, a trigger may do anything: no store has either
            f"{path} holds the {strange[0]} {strange[1]!r:.60}; bakeoff never makes one",
            hint="name another store: --store PATH",
        )
    db.execute("PRAGMA foreign_keys = ON")
    if version < SCHEMA_VERSION:
        db.execute("PRAGMA journal_mode = WAL")
        for step in range(version, SCHEMA_VERSION):
            _take_step(db, step)


def _version(db: sqlite3.Connection) -> int:
    (version,) = db.execute("PRAGMA user_version").fetchone()
    return int(version)


def _take_step(db: sqlite3.Connection, step: int) -> None:
    """In one transaction, and not again where another process has taken it meanwhile."""
    db.execute("BEGIN IMMEDIATE")
    try:
        if _version(db) == step:
            for statement in filter(str.strip, MIGRATIONS[step].split(";")):
                db.execute(statement)
            db.execute(f"PRAGMA user_version = {step + 1}")
    except BaseException:
        db.execute("ROLLBACK")
        raise
    db.execute("COMMIT")


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    """SQLite's and the file system's errors as a StoreError that says what to do."""
    try:
        yield
    except (sqlite3.Error, OSError) as error:
        text = str(error).lower()
        if "full" in text or getattr(error, "errno", None) == 28:
            hint = "free some disk space, then: bakeoff run --resume   (what was stored is kept)"
        elif "readonly" in text or "read-only" in text or "unable to open" in text or "denied" in text:
            hint = "make the folder writable, or name another store: --store PATH"
        elif "locked" in text:
            hint = "another bakeoff writes to it: wait for it, or name another store: --store PATH"
        elif "not a database" in text or "malformed" in text:
            hint = "it is not a store, or damaged: name another one: --store PATH"
        else:
            hint = "name another store: --store PATH"
        raise StoreError(f"store {path}: {error}", hint=hint) from error


_RUN_COLUMNS = ("id", "name", "state", "started", "finished")


def _run_row(record: RunRecord) -> tuple[Any, ...]:
    facts = {key: value for key, value in asdict(record).items() if key not in _RUN_COLUMNS}
    return (*(getattr(record, name) for name in _RUN_COLUMNS), strict_json.dumps(facts))


def _read_run(row: Sequence[Any]) -> RunRecord:
    *columns, facts = row
    told = known(RunRecord, strict_json.loads(facts))
    record = RunRecord(**{**told, **dict(zip(_RUN_COLUMNS, columns, strict=True))})
    for name in ("suite", "machine", "versions", "command", "seconds", "notes"):
        wanted = list if name in ("command", "notes") else dict
        if not isinstance(value := getattr(record, name), wanted):
            raise TypeError(f"{name} is {type(value).__name__}, not {wanted.__name__}")
    return record


def _read_case(facts: Mapping[str, Any]) -> CaseRecord:
    case = known(Case, facts["case"])
    known(Target, case["target"])
    return CaseRecord(**{**known(CaseRecord, facts), "case": Case.from_dict(case)})


def _block_row(run_id: str, block: Block) -> tuple[Any, ...]:
    facts = {name: getattr(block, name) for name in Block.__dataclass_fields__ if name not in _COLUMNS}
    bursts = strict_json.dumps(block.bursts)
    samples = (np.asarray(s, dtype=_SAMPLES).tobytes() for s in (getattr(block, name) for name in _SAMPLED))
    head = (run_id, block.case_id, block.generation, block.part, block.status)
    return (*head, strict_json.dumps(facts), bursts, *samples)


def _read_block(row: Sequence[Any]) -> Block:
    *columns, facts = row
    values = dict(zip(_COLUMNS, columns, strict=True))
    values["bursts"] = [Burst(**burst) for burst in strict_json.loads(values["bursts"])]
    for name in _SAMPLED:
        values[name] = np.frombuffer(values[name], dtype=_SAMPLES).astype(np.int64)
    return Block(**{**known(Block, strict_json.loads(facts)), **values})
