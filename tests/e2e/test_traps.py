"""Traps that real runtimes lay, measured by real workers, and what the linter says of them."""

from __future__ import annotations

import os
import random
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from bench.api import silent
from bench.compare.judge import results
from bench.compare.lint.rules import Finding, findings
from bench.compare.results import Results, Row
from bench.interfaces.backend import Target
from bench.interfaces.case import Case
from bench.interfaces.job import Job
from bench.measure.turns import Limits, Seat, measure_part
from bench.plugins import backend_registry
from bench.prepare.graph import content_for
from bench.prepare.prepare import prepare
from bench.processes.process import guard
from bench.store.records import CaseRecord, RunRecord
from bench.store.sqlite import Store
from bench.text.numbers import percent
from tests.e2e.conftest import PLUGIN

pytestmark = pytest.mark.slow
BATCH = 8  # all of verification in one inference


@pytest.fixture(scope="module", autouse=True)
def tiny(environment: dict[str, str]) -> Iterator[None]:
    """The plugin and the session's cache, for this process and what it starts."""
    from bench.plugins import workload_registry as workloads

    patch = pytest.MonkeyPatch()
    patch.syspath_prepend(str(PLUGIN))
    for name in ("PYTHONPATH", "BAKEOFF_CACHE"):
        patch.setenv(name, environment[name])
    workloads._found.cache_clear()
    with guard():
        yield
    patch.undo()
    workloads._found.cache_clear()


def seats(backend: str, targets: Sequence[Target], cpus: Sequence[int], folder: Path) -> list[Seat]:
    """Cases of the tiny CNN; all get the same CPUs, fewer threads the first of them."""
    plain = Case("tiny-cnn", content_for("tiny-cnn"), BATCH, None, backend, Target())
    cases = [replace(plain, target=target) for target in targets]
    prepared = prepare(cases, silent)
    made = []
    for case in cases:
        found, target = prepared[case.id], case.target
        assert not found.error, found.error
        assert found.band is not None
        job = Job(
            case,
            found.model,
            found.io,
            found.inputs,
            found.reference,
            band=(found.band.low, found.band.high),
            cpus=tuple(cpus[: target.threads]),
            burst_ns=10_000_000,
            warmup={"least_s": 0.02, "most_s": 0.2},
        )
        made.append(Seat(job, backend_registry.get(backend).environment(target)))
    return made


def measured(
    places: Sequence[Seat], replicates: int, folder: Path, least: int = 0, rule: str = ""
) -> Results:
    """A run of a group, kept and judged as `bakeoff run` does; from `least` replicates on it ends once the
    rule, if one is named, has found something."""
    with Store.open(folder / "s.sqlite", create=True) as store:
        run = store.create_run(RunRecord("r", "traps", "finished", "2026-01-01T00:00:00+00:00"))
        records = [CaseRecord(place.case, place is places[0], "image") for place in places]
        store.add_cases(run, records)
        order = random.Random(0)
        for replicate in range(replicates):
            blocks = measure_part(
                places,
                replicate=replicate,
                part=replicate,
                rounds=4,
                limits=Limits(),
                order=order,
                listener=silent,
            ).blocks
            assert [block.reason for block in blocks if block.status != "ok"] == []
            store.add_blocks(run, blocks)
            if rule and replicate + 1 >= least and _finds(rule, results(store, run)):
                break
        return results(store, run)


def _finds(rule: str, run: Results) -> bool:
    return any(one.rule == rule for one in findings(run))


@contextmanager
def busy(cpu: int) -> Iterator[None]:
    """A process that never leaves a CPU."""
    code = f"import os; os.sched_setaffinity(0, [{cpu}])\nprint('busy', flush=True)\nwhile True: pass"
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "busy\n"
        yield
        assert process.poll() is None
    finally:
        process.kill()
        process.wait()
        if process.stdout:
            process.stdout.close()


def the(rule: str, run: Results, rows: Sequence[Row]) -> Finding:
    (found,) = (one for one in findings(run) if one.rule == rule)
    assert set(found.case_ids) == {row.case.id for row in rows}
    return found


def executed(run: Results, row: Row) -> list[Mapping[str, float]]:
    """Of each block the operations that its profile has seen, with their share of the time."""
    proofs = [block.actual for block in run.blocks[row.case.id]]
    return [proof["settings"]["time_by_operation"] for proof in proofs if proof]


def factor(found: Finding) -> float:
    number = re.search(r"takes ([\d,.]+) times as long", found.text)
    assert number, found.text
    return float(number[1].replace(",", ""))


@pytest.mark.skipif(
    not hasattr(os, "sched_getaffinity") or len(os.sched_getaffinity(0)) < 2, reason="takes two CPUs"
)
def test_two_threads_beside_a_busy_neighbour_are_named(tmp_path: Path) -> None:
    """An OpenMP pool waits at each operation for the thread that shares its CPU with another process."""
    cpus = sorted(os.sched_getaffinity(0))[:2]
    places = seats("torch", [Target(threads=1), Target(threads=2)], cpus, tmp_path)
    with busy(cpus[1]):
        # Replicates differ by much here: after 10 of them it may still be from -1 % to +298 %.
        run = measured(places, 30, tmp_path, 10, "threads-slower")
    one, two = run.rows
    assert two.disturbed is not None
    assert two.disturbed > 0.9
    found = the("threads-slower", run, [one, two])
    assert factor(found) == pytest.approx(two.ratio.value, rel=0.01)
    assert factor(found) > 1.5
    assert f"others disturbed {percent(two.disturbed)} of its bursts" in found.text
    assert "ship 1 thread" in found.look
    assert two.case.id in next(f for f in findings(run) if f.rule == "mostly-disturbed").case_ids


def test_dynamic_int8_of_a_cnn_is_named(tmp_path: Path) -> None:
    targets = [Target(threads=1), Target(threads=1, precision="int8-dynamic")]
    cpus = sorted(os.sched_getaffinity(0))[:1] if hasattr(os, "sched_getaffinity") else ()
    run = measured(seats("onnxruntime", targets, cpus, tmp_path), 3, tmp_path)
    full, low = run.rows
    # Not the precision of most of the time: in a model of 1 ms that is whatever a neighbour interrupted.
    assert all("ConvInteger" in operations for operations in executed(run, low))
    assert not any("ConvInteger" in operations for operations in executed(run, full))
    assert low.precision_evidence == "executed"
    assert full.error is not None
    assert low.error is not None
    assert low.error > 100 * full.error
    found = the("precision-slower", run, [full, low])
    assert "int8-dynamic · cpu · 1 thread takes" in found.text
    assert factor(found) == pytest.approx(low.ratio.value, rel=0.01)
    assert factor(found) > 1.5
