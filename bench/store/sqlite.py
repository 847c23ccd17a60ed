"""The store: runs, cases, blocks, rounds and estimates in one SQLite file. Written by the parent alone.

Facts that are read whole are JSON columns (`bench.text.strict_json`: infinities come back as they were),
samples are little-endian int64 blobs. All blocks of a part go in by one transaction, so a killed sweep
leaves whole parts or none.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType

from bench.files import heads, regular
from bench.interfaces.block import MEASURED, Block
from bench.interfaces.errors import StoreError, UsageError, did_you_mean
from bench.store import rows
from bench.store.legible import legible
from bench.store.records import CaseRecord, EstimateRecord, RoundRecord, RunRecord
from bench.store.schema import SCHEMA_VERSION, migrate
from bench.text import strict_json

MAGIC = b"SQLite format 3\x00"
DEFAULT_PATH = Path("results") / "bakeoff.sqlite"


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
                migrate(db, path)
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

    def adopt_run(self, record: RunRecord, run_id: str, store: Store) -> str:
        """Keeps the run `run_id` of another store, with all it holds, as `record`, in one transaction; its id
        as in `create_run`."""
        cases, blocks = store.cases(run_id), store.blocks(run_id)
        rounds, estimates = store.rounds(run_id), store.estimates(run_id)
        with _explained(self.path), self._transaction():
            self._insert_run(record)
            self._insert_cases(record.id, cases)
            self._insert_blocks(record.id, blocks)
            self._insert_rounds(record.id, rounds)
            self._insert_estimates(record.id, estimates)
        return record.id

    def _insert_run(self, record: RunRecord) -> None:
        taken = {row[0] for row in self._db.execute("SELECT id FROM runs")}
        base, n = record.id, 2
        while record.id in taken:
            record.id, n = f"{base}-{n}", n + 1
        self._db.execute("INSERT INTO runs VALUES (?, ?, ?, ?, ?, ?)", rows.run_row(record))

    def update_run(self, record: RunRecord) -> None:
        with _explained(self.path), self._transaction():
            run_id, *rest = rows.run_row(record)
            sql = "UPDATE runs SET name = ?, state = ?, started = ?, finished = ?, facts = ? WHERE id = ?"
            self._db.execute(sql, (*rest, run_id))

    def runs(self) -> list[RunRecord]:
        """All runs, oldest first."""
        with _explained(self.path):
            found = self._db.execute("SELECT * FROM runs ORDER BY started, rowid").fetchall()
        with legible(self.path):
            return [rows.read_run(row) for row in found]

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
            sql = (
                "INSERT INTO cases VALUES (?, ?, ?, ?) ON CONFLICT (run_id, case_id)"
                " DO UPDATE SET position = excluded.position, facts = excluded.facts"
            )
            self._db.execute(sql, rows.case_row(run_id, position, record))

    def cases(self, run_id: str) -> list[CaseRecord]:
        with _explained(self.path):
            sql = "SELECT facts FROM cases WHERE run_id = ? ORDER BY position"
            found = self._db.execute(sql, (run_id,)).fetchall()
        with legible(self.path, run_id):
            return [rows.read_case(strict_json.loads(facts)) for (facts,) in found]

    # blocks

    def next_part(self, run_id: str) -> int:
        with _explained(self.path):
            sql = "SELECT coalesce(max(part) + 1, 0) FROM blocks WHERE run_id = ?"
            (part,) = self._db.execute(sql, (run_id,)).fetchone()
        return int(part)

    def add_blocks(
        self,
        run_id: str,
        blocks: Sequence[Block],
        rounds: Sequence[RoundRecord] = (),
        *,
        replaces: Sequence[str] = (),
    ) -> None:
        """Keeps the blocks and rounds of one part in one transaction.

        Args:
            replaces: cases whose blocks that did not end `ok` are dropped in the same transaction: a
                repeated case has its new blocks and no leftovers.
        """
        with _explained(self.path), self._transaction():
            for case_id in replaces:
                measured = ", ".join("?" * len(MEASURED))
                sql = f"DELETE FROM blocks WHERE run_id = ? AND case_id = ? AND status NOT IN ({measured})"
                self._db.execute(sql, (run_id, case_id, *MEASURED))
            self._insert_blocks(run_id, blocks)
            self._insert_rounds(run_id, rounds)
            self._drop_orphans(run_id)

    def _insert_blocks(self, run_id: str, blocks: Sequence[Block]) -> None:
        sql = "INSERT INTO blocks VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
        self._db.executemany(sql, (rows.block_row(run_id, block) for block in blocks))

    def drop_blocks(self, run_id: str, case_ids: Sequence[str]) -> None:
        """Forgets all blocks of the cases: `--rerun always`."""
        with _explained(self.path), self._transaction():
            for case_id in case_ids:
                for table in ("blocks", "estimates"):
                    self._db.execute(
                        f"DELETE FROM {table} WHERE run_id = ? AND case_id = ?", (run_id, case_id)
                    )
            self._drop_orphans(run_id)

    def _drop_orphans(self, run_id: str) -> None:
        """Rounds of parts of which no block is left."""
        sql = "DELETE FROM rounds WHERE run_id = ? AND part NOT IN (SELECT part FROM blocks WHERE run_id = ?)"
        self._db.execute(sql, (run_id, run_id))

    def blocks(self, run_id: str) -> list[Block]:
        """All blocks of a run in the order of their parts."""
        sql = (
            f"SELECT {', '.join(rows.BLOCK_COLUMNS)}, facts FROM blocks WHERE run_id = ? ORDER BY part, rowid"
        )
        with _explained(self.path):
            found = self._db.execute(sql, (run_id,)).fetchall()
        with legible(self.path, run_id):
            return [rows.read_block(row) for row in found]

    # rounds and estimates

    def _insert_rounds(self, run_id: str, records: Sequence[RoundRecord]) -> None:
        sql = "INSERT OR REPLACE INTO rounds VALUES (?, ?, ?, ?)"  # a part's number may be given again
        self._db.executemany(sql, (rows.round_row(run_id, record) for record in records))

    def rounds(self, run_id: str) -> list[RoundRecord]:
        """All rounds of a run in the order of their parts; none of a store of before schema 3."""
        sql = "SELECT part, round, facts FROM rounds WHERE run_id = ? ORDER BY part, round"
        with _explained(self.path):
            found = self._db.execute(sql, (run_id,)).fetchall()
        with legible(self.path, run_id):
            return [rows.read_round(row) for row in found]

    def keep_estimates(self, run_id: str, records: Sequence[EstimateRecord]) -> None:
        """Keeps what was estimated of a run, in the place of what was before."""
        with _explained(self.path), self._transaction():
            self._db.execute("DELETE FROM estimates WHERE run_id = ?", (run_id,))
            self._insert_estimates(run_id, records)

    def _insert_estimates(self, run_id: str, records: Sequence[EstimateRecord]) -> None:
        sql = "INSERT INTO estimates VALUES (?, ?, ?, ?, ?)"
        self._db.executemany(sql, (rows.estimate_row(run_id, record) for record in records))

    def estimates(self, run_id: str) -> list[EstimateRecord]:
        """What was estimated when the run ended, in the order of its cases."""
        sql = (
            "SELECT case_id, against, kind, e.facts FROM estimates e JOIN cases USING (run_id, case_id)"
            " WHERE run_id = ? ORDER BY position, kind"
        )
        with _explained(self.path):
            found = self._db.execute(sql, (run_id,)).fetchall()
        with legible(self.path, run_id):
            return [rows.read_estimate(row) for row in found]

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
