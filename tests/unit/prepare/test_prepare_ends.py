"""Preparing that does not end well: over its time, over its memory, interrupted, killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import bench
from bench.api import open_run
from bench.interfaces.backend import Target
from bench.interfaces.case import Case
from bench.plan.refusals import NothingMeasurable
from bench.plugins import workload_registry
from bench.prepare import scheduler
from bench.prepare.graph import content_for
from bench.prepare.launch import Making
from tests.helpers.tiny_cases import PLUGIN, case, own_cache, recorded
from tests.helpers.waiting import PATIENCE_S, until


@pytest.fixture(scope="module", autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    with own_cache(tmp_path_factory.mktemp("cache")) as folder:
        yield folder


def test_a_converter_that_takes_too_long(cache: Path) -> None:
    one = case(batch=11)
    ready = recorded(one, limit_s=0.2)[0][one.id]
    assert ready.status == "failed"
    assert "took over 0.2 s and was ended" in ready.error
    assert "limits: {prepare: 2h}" in ready.error
    assert not list(cache.glob("*/.*"))


HUNGRY = """
import os
import numpy as np
from bench.interfaces.workload import TIMED_SEED
from workloads.cnn import ResNet
from bakeoff_tiny import ARCHITECTURE

class Hungry(ResNet):
    def inputs(self, batch, sequence, seed):
        if batch == 1 and seed == TIMED_SEED:
            os.kill(os.getpid(), 9)  # as the kernel's killer would
        held = np.zeros(batch << 30, np.uint8) if seed == TIMED_SEED else None  # as many GiB, never touched
        return super().inputs(batch, sequence, seed)

HUNGRY = (Hungry("hungry-cnn", "takes too much", ARCHITECTURE),)
"""


@pytest.fixture
def hungry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[int], Case]]:
    """A case whose timed input takes so many GiB to make, where 3.6 GB are a share and 7.2 GB are all."""
    about = tmp_path / "bakeoff_hungry-0.1.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: bakeoff-hungry\nVersion: 0.1\n")
    (about / "entry_points.txt").write_text("[bakeoff.workloads]\nhungry = bakeoff_hungry:HUNGRY\n")
    (tmp_path / "bakeoff_hungry.py").write_text(HUNGRY)
    monkeypatch.setenv("PYTHONPATH", f"{PLUGIN}{os.pathsep}{tmp_path}")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(scheduler, "_available_memory", lambda: 8 * 10**9)
    monkeypatch.setattr(os, "cpu_count", lambda: 2)
    workload_registry._found.cache_clear()

    def asked(gib: int) -> Case:
        return Case("hungry-cnn", content_for("hungry-cnn"), gib, None, "torch", Target())

    yield asked
    workload_registry._found.cache_clear()


def test_a_converter_over_its_bound_fails_and_the_others_go_on(hungry: Callable[[int], Case]) -> None:
    bad, good = hungry(9), case(batch=14)
    prepared, events = recorded(bad, good)
    ready = prepared[bad.id]
    assert ready.status == "failed"
    assert "hungry-cnn inputs" in ready.error
    assert "out of memory: it needs more than the 7.20 GB that it may take here" in ready.error
    assert "Unable to allocate 9.00 GiB" in ready.error
    assert "free memory (end other programs" in ready.error
    assert prepared[good.id].error == ""
    failed = [facts["artefact"] for kind, facts in events if facts.get("state") == "failed"]
    assert failed == ["hungry-cnn inputs · batch 9"]


def test_a_converter_that_the_kernel_kills_is_tried_alone_once(hungry: Callable[[int], Case]) -> None:
    one = hungry(1)
    prepared, events = recorded(one)
    assert "was killed by signal 9, as the kernel does when memory runs out" in prepared[one.id].error
    assert "its own bound is 7.20 GB" in prepared[one.id].error
    begun = [facts for _, facts in events if facts.get("state") == "making" and "inputs" in facts["artefact"]]
    assert len(begun) == 2


def test_a_converter_that_its_share_is_too_small_for_runs_alone(hungry: Callable[[int], Case]) -> None:
    one = hungry(5)
    prepared, events = recorded(one)
    assert prepared[one.id].error == ""
    (text,) = (facts["text"] for kind, facts in events if kind == "note")
    assert text.startswith("hungry-cnn inputs · batch 5 needs more memory than its share")
    told = [facts for kind, facts in events if kind == "prepare"]
    again = max(
        i for i, facts in enumerate(told) if facts["state"] == "making" and "inputs" in facts["artefact"]
    )
    running = {facts["artefact"] for facts in told[:again] if facts["state"] == "making"}
    settled = {facts["artefact"] for facts in told[:again] if facts["state"] in ("made", "failed")}
    assert running - settled == {"hungry-cnn inputs · batch 5"}  # none but itself, begun before


def test_a_converter_without_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """So little that it does not get through its imports, which end it in many ways."""
    monkeypatch.setattr(scheduler, "_available_memory", lambda: 200 * 2**20)
    one = case(batch=12)
    ready = recorded(one)[0][one.id]
    assert ready.status == "failed"
    assert "out of memory: it needs more than the 189 MB" in ready.error


INTERRUPTED = """
import signal
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background job starts with it ignored
from tests.helpers.tiny_cases import case
from bench.prepare.prepare import prepare
from bench.processes.process import guard
with guard():  # as `bench.run` does
    prepare([case(batch=13)], lambda kind, facts: print(facts.get("state"), flush=True))
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_an_interrupt_ends_converters(cache: Path, number: int) -> None:
    root = PLUGIN.parent.parent
    variables = {**os.environ, "PYTHONPATH": f"{PLUGIN}{os.pathsep}{root}"}
    command = [sys.executable, "-c", INTERRUPTED]
    pipe = subprocess.PIPE
    before = set(cache.glob("*/.*"))  # of what other tests killed
    parent = subprocess.Popen(command, env=variables, stdout=pipe, stderr=pipe, text=True)
    assert parent.stdout is not None
    while parent.stdout.readline().strip() != "making":
        assert parent.poll() is None
    until(lambda: converting(cache), "a converter's start")
    parent.send_signal(number)
    parent.communicate(timeout=PATIENCE_S)
    until(lambda: converting(cache) == [], "the converters' end")
    if number == signal.SIGINT:
        assert not set(cache.glob("*/.*")) - before


@pytest.mark.usefixtures("interruptible")
def test_an_interrupt_between_a_start_and_its_note(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The process that was just started is ended like those that are known."""
    begun: list[Making] = []
    before = set(cache.glob("*/.*"))  # of what other tests killed

    def interrupted(*arguments: Any, start: Callable[..., Any] = scheduler._find_or_start) -> Any:
        found = start(*arguments)
        if isinstance(found, Making):
            begun.append(found)
            signal.raise_signal(signal.SIGINT)
        return found

    monkeypatch.setattr(scheduler, "_find_or_start", interrupted)
    with pytest.raises(KeyboardInterrupt):
        recorded(case(batch=15))
    assert begun
    assert not any(making.running for making in begun)
    assert not set(cache.glob("*/.*")) - before


def test_a_killed_prepare_goes_on(cache: Path, tmp_path: Path) -> None:
    """What was made before the kill is whole and is taken; the rest is made."""
    root = PLUGIN.parent.parent
    variables = {**os.environ, "PYTHONPATH": f"{PLUGIN}{os.pathsep}{root}", "BAKEOFF_CACHE": str(tmp_path)}
    command = [sys.executable, "-c", INTERRUPTED]
    parent = subprocess.Popen(command, env=variables, stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    states = []
    while "made" not in states:
        states.append(parent.stdout.readline().strip())
        assert parent.poll() is None
    parent.kill()
    parent.communicate(timeout=PATIENCE_S)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BAKEOFF_CACHE", str(tmp_path))
        whole = {folder.parent.name for folder in tmp_path.glob("*/[0-9a-f]*")}
        assert whole
        one = case(batch=13)
        prepared, events = recorded(one)
    assert prepared[one.id].error == ""
    kinds = {"origin", "exported", "torch-graph", "reference", "inputs"}
    cached = {facts["artefact"].split()[1] for _, facts in events if facts.get("state") == "cached"}
    made = {facts["artefact"].split()[1] for _, facts in events if facts.get("state") == "made"}
    assert (cached, made) == (whole, kinds - whole)
    assert made


def converting(cache: Path) -> list[int]:
    """Converter processes of this module's cache."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                line = (entry / "cmdline").read_bytes()
            except OSError:
                continue
            if b"bench.prepare" in line and str(cache).encode() in line:
                found.append(int(entry.name))
    return found


def test_a_suites_limit_reaches_what_prepares(tmp_path: Path, cache: Path) -> None:
    suite = tmp_path / "short.yaml"
    suite.write_text(
        "name: short\nworkloads: [tiny-cnn]\nbackends: [torch]\nbatches: [13]\nlimits: {prepare: 0.2}\n"
        'anchor: false\n"null": false\n'
    )
    store = tmp_path / "short.sqlite"
    with pytest.raises(NothingMeasurable, match=r"took over 0\.2 s"):
        bench.run(suite, store=store)
    table = open_run(store=store).table()
    assert list(table["status"]) == ["failed"]
    assert "took over 0.2 s" in table["reason"][0]
