"""The store keeps what it is given, in whole parts, and explains what it cannot do."""

import os
import sqlite3
from pathlib import Path

import numpy as np
import pytest

from bench.interfaces.backend import Target
from bench.interfaces.block import Block, Burst
from bench.interfaces.case import Case
from bench.interfaces.errors import StoreError, UsageError
from bench.interfaces.estimate import Estimate
from bench.store.merge import Source, merge
from bench.store.records import CaseRecord, EstimateRecord, RoundRecord, RunRecord
from bench.store.schema import MIGRATIONS, SCHEMA_VERSION, migrate
from bench.store.sqlite import Store


def stored(path: Path) -> Path:
    with Store.open(path, create=True) as store:
        store.create_run(run())
    return path


def test_what_is_no_store_is_named(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "dangling").symlink_to("gone.sqlite")
    forms = {
        "page.sqlite": (b"<html>Log in", "an HTML page: a log-in .*, not a store"),
        "pointer.sqlite": (b"version https://git-lfs.github.com/spec/v1\n", "a Git LFS pointer"),
        "runs.zip": (b"PK\x03\x04" + bytes(60), "a zip archive, not a store"),
        "rows.csv": (b"workload,batch\n", "a text file, not a store"),
        "noise": (bytes(range(255, 60, -1)), "no SQLite file"),
    }
    for name, (content, _) in forms.items():
        (tmp_path / name).write_bytes(content)
    wanted = {
        **{tmp_path / name: what for name, (_, what) in forms.items()},
        tmp_path / "fifo": r"a named pipe \(FIFO\), not a file",
        tmp_path / "dangling": "a link to gone.sqlite, which is not there",
        tmp_path: "a folder, not a file",
        Path("/dev/zero"): "a character device, not a file",
    }
    for path, what in wanted.items():
        with pytest.raises(StoreError, match=what) as caught:
            Store.open(path)
        assert str(path) in caught.value.message
        with pytest.raises(StoreError, match=what):
            merge([Source(path)], tmp_path / "into.sqlite")


def test_a_view_in_the_place_of_a_table_is_refused(tmp_path: Path) -> None:
    """It may run for ever."""
    path = stored(tmp_path / "s.sqlite")
    with sqlite3.connect(path) as db:
        db.execute("ALTER TABLE runs RENAME TO kept")
        db.execute(
            "CREATE VIEW runs AS WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n)"
            " SELECT i AS id, '' AS name, '' AS state, '' AS started, '' AS finished, '{}' AS facts FROM n"
        )
    db.close()
    with pytest.raises(StoreError, match="holds the view 'runs'"):
        Store.open(path)


@pytest.mark.parametrize("facts", ["[]", "3", "nonsense", '{"machine": []}', '{"odd": 1}', "[" * 100_000])
def test_facts_that_no_bakeoff_wrote(tmp_path: Path, facts: str) -> None:
    path = stored(tmp_path / "s.sqlite")
    with sqlite3.connect(path) as db:
        db.execute("UPDATE runs SET facts = ?", (facts,))
        db.execute("INSERT INTO cases VALUES ('20260101-000000', 'c', 0, ?)", (facts,))
        blob = b"1"  # samples are eight bytes each
        row = ("20260101-000000", "c", 0, 0, "ok", facts, "[]", blob, blob, blob)
        db.execute("INSERT INTO blocks VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", row)
    db.close()
    with Store.open(path) as store:
        for read in (
            store.runs,
            lambda: store.cases("20260101-000000"),
            lambda: store.blocks("20260101-000000"),
        ):
            with pytest.raises(StoreError, match=r"is damaged|was written by a newer bakeoff"):
                read()


def case(backend: str = "onnxruntime", **changes: object) -> Case:
    facts = {"workload": "resnet50", "content": "c0", "batch": 1, "sequence": None, **changes}
    return Case(backend=backend, target=Target(threads=2, options={"a": 1}), **facts)


def block(case_id: str, replicate: int = 0, part: int = 0, status: str = "ok") -> Block:
    return Block(
        case_id,
        replicate,
        part,
        status,
        reason="because",
        figures={"load_ns": 5.0},
        verification={"before": {"error": float("inf")}},
        faithful={"static": {"value": 0.4, "low": 0.3, "high": 0.5, "n": 9, "limit": 1.0}},
        quality={"perplexity": {"value": 9.1, "low": 9.0, "high": 9.2, "n": 80, "better": "lower"}},
        bursts=[Burst(0, 1, 0, 3, 0, 2, {"steal_ns": 2.0}, True)],
        host_ns=np.array([3, 1, 2**40], dtype=np.int64),
        device_ns=np.array([2, 1], dtype=np.int64),
        own_ns=np.array([1, 1], dtype=np.int64),
    )


def run(run_id: str = "20260101-000000") -> RunRecord:
    return RunRecord(run_id, "quick", "running", "2026-01-01T00:00:00+00:00", machine={"cpu": "x"})


@pytest.fixture
def store(tmp_path: Path):
    with Store.open(tmp_path / "deep" / "s.sqlite", create=True) as opened:
        yield opened


def test_what_goes_in_comes_out(store: Store) -> None:
    record = run()
    run_id = store.create_run(record)
    kept = CaseRecord(case(), True, "image", {"flops": 4}, {"high": 1e-5}, {"format": "onnx"})
    kept.origin = {"door": "built-in", "digest": "c0", "plan": {"inputs": ["x"]}}
    kept.reference = {"source": "torch-fp64", "sha256": "00"}
    store.add_cases(run_id, [kept])
    given = block(kept.case.id)
    store.add_blocks(run_id, [given])
    assert store.run() == record
    assert store.cases(run_id) == [kept]
    (found,) = store.blocks(run_id)
    assert np.array_equal(found.host_ns, given.host_ns)
    assert np.array_equal(found.device_ns, given.device_ns)
    assert np.array_equal(found.own_ns, given.own_ns)
    for name in (
        "status",
        "reason",
        "figures",
        "bursts",
        "verification",
        "faithful",
        "quality",
        "replicate",
        "part",
    ):
        assert getattr(found, name) == getattr(given, name)


def test_rounds_and_estimates_come_out_as_they_went_in(store: Store) -> None:
    run_id = store.create_run(run())
    one, other = case("onnxruntime"), case("openvino")
    store.add_cases(run_id, [CaseRecord(one), CaseRecord(other)])
    rounds = [
        RoundRecord(0, 0, 0, 150, [3, 4], 0.25, "slow"),
        RoundRecord(0, 1, 160, 140),
    ]
    store.add_blocks(run_id, [block(one.id), block(other.id)], rounds)
    assert store.rounds(run_id) == rounds
    kept = [
        EstimateRecord(other.id, one.id, "as-seen", "faster", Estimate(0.8, 0.7, 0.9, 3), "0.1.0"),
        EstimateRecord(other.id, one.id, "fast-state", "faster", Estimate(0.8, None, None, 3), "0.1.0"),
    ]
    store.keep_estimates(run_id, kept[::-1])
    store.keep_estimates(run_id, kept)
    assert store.estimates(run_id) == kept


def test_rounds_go_with_the_last_block_of_their_part(store: Store) -> None:
    run_id = store.create_run(run())
    store.add_cases(run_id, [CaseRecord(case()), CaseRecord(case("openvino"))])
    one, other = case().id, case("openvino").id
    store.add_blocks(run_id, [block(one, 0, 0, "crashed")], [RoundRecord(0, 0, 0, 1)])
    store.add_blocks(run_id, [block(other, 0, 1)], [RoundRecord(1, 0, 0, 2)])
    store.keep_estimates(run_id, [EstimateRecord(other, one, "as-seen", "x", Estimate(1, 1, 1, 3), "")])
    store.add_blocks(run_id, [block(one, 0, 2)], [RoundRecord(2, 0, 0, 3)], replaces=[one])
    assert [(found.part, found.took_ns) for found in store.rounds(run_id)] == [(1, 2), (2, 3)]
    store.drop_blocks(run_id, [other])
    assert [found.part for found in store.rounds(run_id)] == [2]
    assert store.estimates(run_id) == []


def test_what_a_repeated_case_keeps(store: Store) -> None:
    """Blocks with figures stay, however their outputs were."""
    run_id = store.create_run(run())
    store.add_cases(run_id, [CaseRecord(case())])
    for part, status in enumerate(("ok", "unverified", "wrong-output", "timeout")):
        store.add_blocks(run_id, [block(case().id, part, part, status)])
    store.add_blocks(run_id, [], replaces=[case().id])
    assert [found.status for found in store.blocks(run_id)] == ["ok", "unverified", "wrong-output"]


def test_a_part_is_kept_whole_or_not_at_all(store: Store) -> None:
    run_id = store.create_run(run())
    store.add_cases(run_id, [CaseRecord(case())])
    good = block(case().id)
    with pytest.raises(StoreError):
        store.add_blocks(run_id, [good, good])  # the second breaks the key
    assert store.blocks(run_id) == []


def test_a_repeated_case_leaves_no_failed_block(store: Store) -> None:
    run_id = store.create_run(run())
    store.add_cases(run_id, [CaseRecord(case())])
    one = case().id
    store.add_blocks(run_id, [block(one, 0, 0)])
    store.add_blocks(run_id, [block(one, 1, 1, "crashed")])
    store.add_blocks(run_id, [block(one, 1, 2)], replaces=[one])
    assert [(b.replicate, b.status) for b in store.blocks(run_id)] == [(0, "ok"), (1, "ok")]


def test_runs_are_found_by_the_beginning_of_their_id(store: Store) -> None:
    first = store.create_run(run("20260101-000000"))
    second = store.create_run(run("20260101-000000"))
    assert second == "20260101-000000-2"
    assert store.run(first).id == first
    assert store.run(second).id == second
    with pytest.raises(UsageError, match="could be any of"):
        store.run("2026")
    with pytest.raises(UsageError, match="no run"):
        store.run("1999")


def test_an_absent_store_names_the_command_that_makes_one(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="bakeoff run quick"):
        Store.open(tmp_path / "none.sqlite")


def test_a_store_of_the_first_version_is_brought_up_to_date(tmp_path: Path) -> None:
    path = tmp_path / "s.sqlite"
    with sqlite3.connect(path) as db:
        db.executescript(f"{MIGRATIONS[0]} PRAGMA user_version = 1;")
        db.execute("INSERT INTO runs VALUES ('r', 'quick', 'finished', '2026', NULL, '{}')")
        db.execute("INSERT INTO cases VALUES ('r', 'c', 0, '{}')")
        db.execute("INSERT INTO blocks VALUES ('r', 'c', 0, 0, 'ok', '{}', '[]', x'', x'')")
    with Store.open(path) as store:
        (found,) = store.blocks("r")
        assert found.own_ns.size == 0
        store.add_cases("r", [CaseRecord(case())])
        store.add_blocks("r", [block(case().id)])
        assert store.blocks("r")[-1].own_ns.tolist() == [1, 1]


def test_a_newer_store_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "s.sqlite"
    with sqlite3.connect(path) as db:
        db.execute(f"PRAGMA user_version = {SCHEMA_VERSION + 1}")
    with pytest.raises(StoreError, match="newer bakeoff"):
        Store.open(path)


def test_a_file_that_is_no_store(tmp_path: Path) -> None:
    path = tmp_path / "s.sqlite"
    path.write_text("hello " * 500)
    with pytest.raises(StoreError, match="--store"):
        Store.open(path)
    other = tmp_path / "o.sqlite"
    with sqlite3.connect(other) as db:
        db.execute("CREATE TABLE birds (name)")
    with pytest.raises(StoreError, match="not a bakeoff store"):
        Store.open(other)


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("")
    with pytest.raises(StoreError, match="--store"):
        Store.open(blocked / "s.sqlite", create=True)


def test_a_full_disk_keeps_what_was_stored(tmp_path: Path) -> None:
    with Store.open(tmp_path / "s.sqlite", create=True) as store:
        run_id = store.create_run(run())
        store.add_cases(run_id, [CaseRecord(case())])
        store.add_blocks(run_id, [block(case().id)])
        pages = store._db.execute("PRAGMA page_count").fetchone()[0]
        store._db.execute(f"PRAGMA max_page_count = {pages}")  # SQLite then answers as on a full disk
        large = block(case().id, 1, 1)
        large.host_ns = np.zeros(200_000, dtype=np.int64)
        with pytest.raises(StoreError, match="free some disk space"):
            store.add_blocks(run_id, [large])
        assert len(store.blocks(run_id)) == 1


def test_every_migration_runs_from_an_empty_file(tmp_path: Path) -> None:
    assert len(MIGRATIONS) == SCHEMA_VERSION
    path = tmp_path / "s.sqlite"
    Store.open(path, create=True).close()
    with sqlite3.connect(path) as db:
        assert db.execute("PRAGMA user_version").fetchone() == (SCHEMA_VERSION,)
        assert db.execute("PRAGMA journal_mode").fetchone() == ("wal",)


@pytest.mark.parametrize("look", ["PRAGMA user_version", "SELECT count(*) FROM sqlite_master"])
def test_two_processes_make_a_store_at_once(look: str, tmp_path: Path) -> None:
    """The other comes between the first look and what is done about it."""
    path = tmp_path / "new.sqlite"

    class Raced(sqlite3.Connection):
        raced = False

        def execute(self, sql: str, *rest: object) -> sqlite3.Cursor:  # type: ignore[override]
            if sql == look and not self.raced:
                self.raced = True
                found = super().execute(sql).fetchall()
                Store.open(path, create=True).close()
                return super().execute("SELECT ?", found[0])
            return super().execute(sql, *rest)  # type: ignore[arg-type]

    db = sqlite3.connect(path, isolation_level=None, factory=Raced)
    migrate(db, path)
    assert db.execute("PRAGMA user_version").fetchone() == (SCHEMA_VERSION,)
    db.close()
