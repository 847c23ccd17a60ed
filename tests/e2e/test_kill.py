"""`kill -9` at random moments, of bakeoff and of its workers: nothing is lost, doubled, or left running."""

import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest

from bench.interfaces.errors import EXIT_FAILED, EXIT_NOTHING, EXIT_OK
from bench.processes import reaper
from bench.store.sqlite import Store
from tests.helpers.waiting import PATIENCE_S, until

KILLS = 20
RUN = ("run", "quick", "--workload", "tiny-cnn", "--backend", "onnxruntime", "--threads", "1")

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="processes are found through /proc"),
]


def ours(environment: dict[str, str]) -> list[int]:
    """Every living process that was started with this session's cache: bakeoff, workers, their children."""
    mark = f"BAKEOFF_CACHE={environment['BAKEOFF_CACHE']}".encode()
    return [pid for pid in reaper.marked(mark) if not reaper.is_zombie(pid)]


def workers(environment: dict[str, str]) -> list[int]:
    found = []
    for pid in ours(environment):
        try:
            with open(f"/proc/{pid}/environ", "rb") as file:
                if f"{reaper.WORKER_MARK}=".encode() in file.read():
                    found.append(pid)
        except OSError:
            continue
    return found


def start(environment: dict[str, str], folder: Path, *, resume: bool) -> subprocess.Popen[bytes]:
    arguments = ("run", "--resume") if resume else RUN
    with open(folder / "log", "ab") as log:
        return subprocess.Popen(
            [sys.executable, "-m", "bench", *arguments], cwd=folder, env=environment, stdout=log, stderr=log
        )


def finish(environment: dict[str, str], folder: Path) -> None:
    """Resumes until all is measured and holds what the store has against what it should have."""
    done = start(environment, folder, resume=True)
    assert done.wait(PATIENCE_S) == 0, (folder / "log").read_text()[-3000:]
    with Store.open(folder / "results" / "bakeoff.sqlite") as store:
        run = store.run()
        assert run.state == "finished"
        cases = [record.case for record in store.cases(run.id)]
        blocks = store.blocks(run.id)
    assert {case.backend for case in cases} == {"onnxruntime", "anchor", "null"}
    assert {block.status for block in blocks} == {"ok"}
    count = Counter((block.case_id, block.replicate) for block in blocks)
    for case in cases:
        for replicate in range(3):
            found = count[case.id, replicate]
            # The baseline and the anchor live in every part, so also beside a repeated case.
            assert found == 1 if case.backend == "null" else found >= 1, (case.label, replicate, found)
    parts = Counter((block.case_id, block.part) for block in blocks)
    assert set(parts.values()) == {1}


def test_bakeoff_killed_and_resumed(environment: dict[str, str], tmp_path: Path) -> None:
    rng = random.Random(7)
    kills, resume = 0, False
    while kills < KILLS:
        process = start(environment, tmp_path, resume=resume)
        try:
            process.wait(rng.uniform(0.05, 6.0))
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            process.wait()
            kills += 1
            until(lambda: ours(environment) == [], "the end of what bakeoff started")
        resume = any_run(tmp_path) and process.returncode != 0
    if not resume:
        start(environment, tmp_path, resume=False).wait(PATIENCE_S)
    finish(environment, tmp_path)


def test_children_of_workers_do_not_outlive_bakeoff(environment: dict[str, str], tmp_path: Path) -> None:
    fault = "{fault: fork, delay_us: 500}"
    suite = f"workloads: [tiny-cnn]\nbackends: [{{name: reference, options: {fault}}}]\nthreads: [1]\n"
    (tmp_path / "forking.yaml").write_text(suite)
    with open(tmp_path / "log", "wb") as log:
        command = [sys.executable, "-m", "bench", "run", "forking.yaml"]
        process = subprocess.Popen(command, cwd=tmp_path, env=environment, stdout=log, stderr=log)

    def born() -> bool:  # itself and its three children
        assert process.poll() is None, (tmp_path / "log").read_text()
        return len(workers(environment)) >= 4

    until(born, "the birth of a worker's children")
    process.send_signal(signal.SIGKILL)
    process.wait()
    until(lambda: ours(environment) == [], "the end of what bakeoff started")


def any_run(folder: Path) -> bool:
    path = folder / "results" / "bakeoff.sqlite"
    if not path.exists():
        return False
    with Store.open(path) as store:
        return bool(store.runs())


def test_workers_killed_and_resumed(environment: dict[str, str], tmp_path: Path) -> None:
    rng = random.Random(8)
    kills, resume = 0, False
    while kills < KILLS:
        process = start(environment, tmp_path, resume=resume)
        killed = 0
        while process.poll() is None:
            time.sleep(rng.uniform(0.05, 3.0))
            alive = workers(environment)
            if alive and killed < 4 and kills < KILLS:
                os.kill(rng.choice(alive), signal.SIGKILL)
                killed, kills = killed + 1, kills + 1
        assert process.returncode in (EXIT_OK, EXIT_FAILED, EXIT_NOTHING), (tmp_path / "log").read_text()[
            -3000:
        ]
        assert ours(environment) == []
        # A worker that was killed after its last answer has done its work: the run is then whole.
        resume = process.returncode != EXIT_OK
    if not resume:
        start(environment, tmp_path, resume=False).wait(PATIENCE_S)
    finish(environment, tmp_path)
