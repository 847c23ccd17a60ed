"""Where `bakeoff export` writes what nobody named a place for: nothing is written over something else."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.cli import main
from tests.helpers.fake_results import Ask
from tests.helpers.fake_runs import write_run

RUN = "20261101-000000"


@pytest.fixture(autouse=True)
def stores(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Three stores with a run of one id: two machines started in the same second."""
    monkeypatch.chdir(tmp_path)
    for number, path in enumerate(("results/bakeoff.sqlite", "results/gpu.sqlite", "results/cpu.sqlite")):
        write_run(Path(path), RUN, [Ask("torch", 0.1 * (number + 1))], seed=number)


def test_rows_and_samples_and_stores_have_files_of_their_own() -> None:
    for store in ("bakeoff", "gpu", "cpu"):
        for samples in ([], ["--samples"]):
            assert main(["export", "--format", "csv", "--store", f"results/{store}.sqlite", *samples]) == 0
    found = {path.name: path.read_bytes() for path in Path("results").glob("*.csv")}
    expected = {f"{store}{RUN}{kind}.csv" for store in ("", "gpu-", "cpu-") for kind in ("", "-samples")}
    assert found.keys() == expected
    assert len(set(found.values())) == len(expected)


def test_what_is_named_is_taken() -> None:
    assert main(["export", "--format", "json", "--store", "results/gpu.sqlite", "-o", "here.json"]) == 0
    assert Path("here.json").is_file()
