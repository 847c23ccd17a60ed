"""Stores that came in part, or of another bakeoff: a sentence, and the other runs can be read."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from bench.cli import main
from bench.compare.select import named
from bench.store.sqlite import Store
from bench.suite.configuration import Side
from tests.helpers.fake_results import Ask
from tests.helpers.fake_runs import write_run

Said = Callable[..., tuple[int, str]]
OLD, NEW = "20261101-000000", "20261102-000000"
LONG = "x" * 299


@pytest.fixture
def store(tmp_path: Path) -> Path:
    path = tmp_path / "store.sqlite"
    for number, run in enumerate((OLD, NEW)):
        write_run(path, run, [Ask("torch", 0.1), Ask("jax", 0.02)], seed=number)
    return path


@pytest.fixture
def said(capsys: pytest.CaptureFixture[str]) -> Said:
    def call(*arguments: object) -> tuple[int, str]:
        code = main([str(one) for one in arguments])
        return code, capsys.readouterr().err

    return call


def change(path: Path, table: str, column: str, to: Callable[[str], object], run: str = NEW) -> None:
    """The first row of a run in a table."""
    key = "id" if table == "runs" else "run_id"
    with closing(sqlite3.connect(path)) as db, db:
        where = f"FROM {table} WHERE {key} = ? ORDER BY rowid LIMIT 1"
        number, value = db.execute(f"SELECT rowid, {column} {where}", (run,)).fetchone()
        db.execute(f"UPDATE {table} SET {column} = ? WHERE rowid = ?", (to(value), number))


def with_news(text: str) -> str:
    return json.dumps({**json.loads(text), "novel": 1})


def with_news_in(*keys: str) -> Callable[[str], str]:
    def changed(text: str) -> str:
        facts = inner = json.loads(text)
        for key in keys:
            inner = inner[key]
        inner["novel"] = 1
        return json.dumps(facts)

    return changed


@pytest.mark.parametrize(
    ("table", "to"),
    [
        ("runs", with_news),
        ("cases", with_news),
        ("cases", with_news_in("case")),
        ("cases", with_news_in("case", "target")),
        ("blocks", with_news),
    ],
)
def test_facts_of_a_newer_bakeoff(table: str, to: Callable[[str], str], store: Path, said: Said) -> None:
    change(store, table, "facts", to)
    code, text = said("show", "--store", store)
    assert code == 4
    assert "was written by a newer bakeoff: this one does not know 'novel'" in text
    assert "upgrade bakeoff" in text


@pytest.mark.parametrize(
    ("table", "column", "to"),
    [
        ("cases", "facts", lambda text: text[:100]),
        ("cases", "facts", lambda text: "[]"),
        ("blocks", "facts", lambda text: text[:-1]),
        ("blocks", "bursts", lambda text: text[1:]),
        ("blocks", "host_ns", lambda data: data[:13]),
    ],
)
def test_a_damaged_row_costs_its_own_run_alone(
    table: str, column: str, to: Callable[[str], object], store: Path, said: Said
) -> None:
    change(store, table, column, to)
    code, text = said("show", "--store", store)
    assert code == 4
    assert f"{store}, run {NEW} is damaged: " in text
    assert f"bakeoff list runs --store {store}" in text
    assert said("show", OLD, "--store", store) == (0, "")
    assert said("list", "runs", "--store", store) == (0, "")


def test_facts_that_a_store_of_before_has_not_are_at_their_default(store: Path) -> None:
    change(store, "runs", "facts", lambda text: "{}")
    change(store, "blocks", "facts", lambda text: "{}")
    with Store.open(store) as opened:
        assert opened.run(NEW).relevant == 0.02
        assert opened.blocks(NEW)[0].figures == {}


def test_a_folder_is_no_store(tmp_path: Path, said: Said) -> None:
    code, text = said("show", "--store", tmp_path)
    assert code == 4
    assert f"{tmp_path}: a folder, not a file\n  --store {tmp_path / 'bakeoff.sqlite'}" in text


@pytest.mark.parametrize(
    "command",
    [
        ["show", "--store", LONG],
        ["compare", f"{LONG}::a", f"{LONG}::b"],
        ["merge", LONG],
        ["merge", "--into", LONG, "store.sqlite"],
    ],
    ids=lambda command: command[0],
)
def test_a_name_that_the_system_does_not_take(
    command: list[str], store: Path, said: Said, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(store.parent)
    code, text = said(*command)
    assert code == 4
    assert "defect" not in text
    assert LONG in text


def test_words_that_are_no_path_are_something_else(tmp_path: Path) -> None:
    options = ",".join(f"option{number}=1" for number in range(40))
    assert isinstance(named(f"torch@{options}", tmp_path / "no.sqlite"), Side)


def test_a_store_and_no_run(store: Path, said: Said) -> None:
    """`STORE::$RUN` with an unset variable is not the latest."""
    code, text = said("compare", f"{store}::", f"{store}::{OLD}")
    assert code == 2
    assert "names no run after ::" in text
