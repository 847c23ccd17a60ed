"""The tables of a store, and the steps that bring an older one up to date."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from bench.interfaces.errors import StoreError

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
    """
    ALTER TABLE blocks RENAME COLUMN generation TO replicate;
    CREATE TABLE rounds (
        run_id TEXT NOT NULL REFERENCES runs(id) ON DELETE CASCADE, part INTEGER NOT NULL,
        round INTEGER NOT NULL, facts TEXT NOT NULL, PRIMARY KEY (run_id, part, round)
    ) STRICT;
    CREATE TABLE estimates (
        run_id TEXT NOT NULL, case_id TEXT NOT NULL, against TEXT NOT NULL, kind TEXT NOT NULL,
        facts TEXT NOT NULL, PRIMARY KEY (run_id, case_id, against, kind),
        FOREIGN KEY (run_id, case_id) REFERENCES cases(run_id, case_id) ON DELETE CASCADE
    ) STRICT;
    """,
)
SCHEMA_VERSION = len(MIGRATIONS)


def migrate(db: sqlite3.Connection, path: Path) -> None:
    """Brings an open store up to date. Raises StoreError for what is no store, or is a newer one."""
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
