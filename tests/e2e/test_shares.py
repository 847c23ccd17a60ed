"""A suite measured in shares, a call each with the store carried along; and stores of two machines."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bench.store.sqlite import Store

SWEEP = ("--workload", "tiny-cnn", "--threads", "1", "--backend", "onnxruntime", "--precision", "fp32")

pytestmark = pytest.mark.slow


def measured(store: Path) -> dict[int, int]:
    """Batch → replicates that are in the store."""
    with Store.open(store) as opened:
        run = opened.run()
        cases = {one.case.id: one.case for one in opened.cases(run.id) if one.case.workload == "tiny-cnn"}
        found = dict.fromkeys(sorted(case.batch for case in cases.values()), 0)
        for block in opened.blocks(run.id):
            if block.case_id in cases:
                found[cases[block.case_id].batch] += 1
    return found


def test_shares_make_one_run(bakeoff, tmp_path: Path) -> None:
    store = tmp_path / "results" / "bakeoff.sqlite"
    done = bakeoff("run", *SWEEP, "--batch", "1,2,3", "--share", "1/2")
    assert done.returncode == 0, done.stdout + done.stderr
    first = measured(store)
    assert [count > 0 for count in first.values()] == [True, True, False]
    assert "batch 3" not in done.stdout, "what the other share needs is not prepared"
    with Store.open(store) as opened:
        assert opened.run().state == "interrupted"
        assert opened.run().notes == ["1 of 5 cases are left to other shares of the run"]
        costs = [one.cost for one in opened.cases(opened.run().id)]
    done = bakeoff("run", "--resume", "--share", "2/2")
    assert done.returncode == 0, done.stdout + done.stderr
    assert measured(store)[3] >= 3
    assert {batch: count for batch, count in measured(store).items() if batch < 3} == {
        1: first[1],
        2: first[2],
    }
    with Store.open(store) as opened:
        assert (opened.run().state, opened.run().notes) == ("finished", [])
        kept = [one.cost for one in opened.cases(opened.run().id)]
        assert [cost for cost in costs if cost] == [cost for cost in kept if cost][
            : len([c for c in costs if c])
        ]
    rows = json.loads(bakeoff("show", "--json").stdout)["rows"]
    assert [row["status"] for row in rows if row["workload"] == "tiny-cnn"] == ["ok"] * 3
    assert bakeoff("run", "--resume", "--share", "5/2").returncode == 2


def test_two_stores_in_one_report(bakeoff, tmp_path: Path) -> None:
    for name in ("a", "b"):
        assert bakeoff("run", *SWEEP, "--store", f"{name}.sqlite").returncode == 0
    done = bakeoff("merge", "desk=a.sqlite", "rack=b.sqlite", "--into", "both.sqlite")
    assert done.returncode == 0, done.stderr
    assert bakeoff("report", "--store", "both.sqlite", "-o", "both.html").returncode == 0
    page = (tmp_path / "both.html").read_text()
    assert "Across machines" in page
    assert "desk" in page
    compared = bakeoff("compare", "--machines", "--json", "a.sqlite", "b.sqlite")
    (one,) = json.loads(compared.stdout)["comparisons"]
    assert one["name"] == "tiny-cnn b1 · onnxruntime · fp32 · cpu"
    assert 0.2 < one["verdict"]["ratio"]["value"] < 5
    assert one["verdict"]["word"] in ("suspect", "inconclusive")
