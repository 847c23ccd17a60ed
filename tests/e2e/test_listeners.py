"""A run that is shown to somebody who cannot read it, or who leaves: it is measured to its end."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from bench.store.sqlite import Store

SWEEP = ("--workload", "tiny-cnn", "--threads", "1", "--backend", "onnxruntime", "--precision", "fp32")

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("how", ["ascii", "gone", "gone --json"])
def test_it_is_measured_whoever_listens(how: str, environment: dict[str, str], tmp_path: Path) -> None:
    reading, writing = os.pipe()
    if how.startswith("gone"):
        os.close(reading)
    out = subprocess.PIPE if how == "ascii" else writing
    variables = {"PYTHONIOENCODING": "ascii"} if how == "ascii" else {}
    done = subprocess.run(
        [sys.executable, "-m", "bench", "run", *SWEEP, *(["--json"] if "--json" in how else [])],
        cwd=tmp_path,
        env={**environment, **variables},
        stdout=out,
        stderr=subprocess.PIPE,
        timeout=300,
    )
    os.close(writing)
    assert (done.returncode, done.stderr) == (0, b"")
    with Store.open(tmp_path / "results" / "bakeoff.sqlite") as store:
        run = store.run()
        blocks = store.blocks(run.id)
    assert (run.state, run.notes) == ("finished", [])
    assert len(blocks) >= 9  # three cases, three replicates
    if how == "ascii":
        os.close(reading)
        assert b"tiny-cnn b1 | onnxruntime | fp32 | cpu | 1 thread" in done.stdout
