"""What is shown while a run goes on, from the same events in each of its three ways."""

import io
import json
import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from rich.console import Console

from bench.interfaces.backend import Target
from bench.interfaces.block import Block, Burst
from bench.interfaces.case import Case
from bench.progress.jsonl import JsonProgress
from bench.progress.live import LiveProgress, _name
from bench.progress.plain import PlainProgress
from bench.progress.state import State
from bench.stats.stopping import Step
from bench.store.records import RunRecord
from bench.suite.profiles import PROFILES

TORCH, ORT = (Case("resnet50", "c", 1, None, name, Target(threads=2)) for name in ("torch", "onnxruntime"))
HALF = Case("resnet50", "c", 1, None, "openvino", Target(precision="bf16"))
FIRST_BLOCK = 12  # index of the first event of a block
WHY = "openvino on cpu has no bf16 (a reason that is far too long for a column of a table in a terminal)"


def block(case: Case, milliseconds: float, status: str = "ok", reason: str = "") -> Block:
    samples = np.full(4, int(milliseconds * 1e6), dtype=np.int64)
    bursts = [Burst(0, 0, 0, 4, 0, 4)] if status == "ok" else []
    return Block(case.id, 0, 0, status, reason, bursts=bursts, host_ns=samples, device_ns=samples)


def preparing() -> list[tuple[str, dict[str, Any]]]:
    counts = {"made": 1, "cached": 1, "failed": 1, "unsupported": 0, "missing": 0}
    whole = {**counts, "seconds": 61.0, "cache_bytes": 1.09e9}

    def settled(kind: str, state: str, done: int, **facts: Any) -> tuple[str, dict[str, Any]]:
        common = {"artefact": f"resnet50 {kind}", "state": state, "seconds": 0.0, "done": done, "of": 3}
        return "prepare", common | facts

    return [
        settled("origin", "cached", 1, bytes=102e6),
        settled("onnx", "making", 1),
        ("making", {"artefacts": {"resnet50 onnx": 12.3}, "done": 1, "of": 3}),
        settled("onnx", "made", 2, seconds=20.0, bytes=90.3e6),
        settled("onnx-qdq", "failed", 3, seconds=4.0),
        ("prepared", whole),
    ]


def events() -> list[tuple[str, dict[str, Any]]]:
    run = RunRecord("20260101-000000", "quick", "running", "2026-01-01T00:00:00+00:00")
    plan = SimpleNamespace(
        cases=(TORCH, ORT),
        refused=((HALF, "unsupported", WHY),),
        baselines={TORCH.group: TORCH.id},
        profile=PROFILES["quick"],
    )
    load = [("case", {"case": case, "phase": "load", "replicate": 0}) for case in (TORCH, ORT)]
    return [
        ("run", {"run": run, "plan": plan, "store": Path("s.sqlite")}),
        *preparing(),
        ("wait", {"text": "waiting for another measurement"}),
        ("part", {"part": 0, "parts": 2, "replicate": 0}),
        *load,
        ("burst", {"case": ORT, "round": 4, "rounds": 10}),
        ("block", {"block": block(TORCH, 20.0)}),
        ("block", {"block": block(ORT, 10.0)}),
        ("replicate", {"step": Step(1, (ORT.id,), 24, "1 of 2 cases go on, 24 rounds each"), "parts": 2}),
        ("part", {"part": 1, "parts": 2, "replicate": 1}),
        ("block", {"block": block(ORT, 0.0, "crashed", "killed by SIGSEGV during load")}),
        ("done", {"run": run}),
    ]


def test_what_is_made_is_followed() -> None:
    state = State()
    for event, facts in preparing()[:3]:
        state.take(event, facts)
    assert state.making == {"resnet50 onnx": 12.3}
    assert state.done == pytest.approx(1 / 3)
    state.take(*preparing()[3])
    assert state.making == {}
    for event, facts in preparing()[4:]:
        state.take(event, facts)
    assert (state.making, state.done) == ({}, 1)


def test_the_state_follows() -> None:
    state = State()
    for event, facts in events()[:FIRST_BLOCK]:
        state.take(event, facts)
    assert state.current == ORT.id
    assert state.cases[HALF.id].reason == WHY
    assert state.left_s() is None
    before = state.share
    for event, facts in events()[FIRST_BLOCK:]:
        state.take(event, facts)
    assert 0 < before < 1
    assert state.cases[TORCH.id].latency == pytest.approx(0.02)
    assert state.ratio(ORT) == pytest.approx(0.5)
    assert state.ratio(TORCH) is None
    assert state.cases[ORT.id].status == "crashed"
    left = state.left_s()
    assert left is not None
    assert left >= 0


def test_plain_lines() -> None:
    out = io.StringIO()
    with PlainProgress(out) as show:
        for event, facts in events():
            show(event, facts)
    text = out.getvalue()
    for said in (
        "run 20260101-000000: 2 cases, 1 that cannot run here",
        f"unsupported: {HALF.label}: {WHY}",
        "prepare: resnet50 onnx made in 20.0 s, 90.3 MB (2 of 3)",
        "prepare: resnet50 onnx-qdq failed in 4.0 s (3 of 3)",
        "prepared in 61 s: 1 made, 1 cached, 1 failed; the cache holds 1.09 GB",
        "waiting for another measurement",
        "part 2 of 2 (replicate 2 of 3), at most",
        "replicate 2: 1 of 2 cases go on, 24 rounds each",
        f"{TORCH.label}  20.0 ms",
        f"crashed      {ORT.label}  10.0 ms: killed by SIGSEGV",
    ):
        assert said in text
    assert "making" not in text
    assert "origin" not in text
    assert text.count("prepare") == 3


def test_a_plan_that_grows_is_shown_as_such() -> None:
    """Not `replicate 4 of 3`."""
    out = io.StringIO()
    with PlainProgress(out) as show:
        for event, facts in events()[:FIRST_BLOCK]:
            show(event, facts)
        show("replicate", {"step": Step(3, (ORT.id,), 10, "1 replicate more than planned", 4), "parts": 1})
        show("part", {"part": 0, "parts": 1, "replicate": 3})
    text = out.getvalue()
    assert "replicate 4: 1 replicate more than planned" in text
    assert "part 1 of 1 (replicate 4 of 4)" in text
    assert "of 3" not in text.split("more than planned")[1]


@pytest.mark.parametrize(
    ("budget_s", "elapsed_s", "says"),
    [
        (None, 30.0, ", at most 30 s left"),
        (100.0, 30.0, ", at most 30 s left"),
        (40.0, 30.0, ", at most 10 s left"),
        (2.0, 26.0, ", 24 s over the budget, which ends with this part"),
        (26.0, 26.0, ""),
    ],
)
def test_what_is_left_is_told_or_by_how_much_the_budget_is_over(
    budget_s: float | None, elapsed_s: float, says: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    state = State(replicates=2, parts=1, replicate=1, budget_s=budget_s, measuring_since=1000.0)
    monkeypatch.setattr("bench.progress.state.time.monotonic", lambda: 1000.0 + elapsed_s)
    assert state.left_text() == says
    assert State().left_text() == ""


def test_json_lines() -> None:
    out = io.StringIO()
    with JsonProgress(out) as show:
        for event, facts in events():
            show(event, facts)
    lines = [json.loads(line) for line in out.getvalue().splitlines()]
    assert [line["event"] for line in lines] == [event for event, _ in events()]
    assert lines[0]["refused"] == [
        {"case": HALF.id, "label": HALF.label, "status": "unsupported", "reason": WHY}
    ]
    burst, block = lines[FIRST_BLOCK - 1 : FIRST_BLOCK + 1]
    assert burst == {"event": "burst", "case": ORT.id, "round": 4, "rounds": 10}
    assert block["block"]["samples"] == 4
    assert lines[3] == {"event": "making", "artefacts": {"resnet50 onnx": 12.3}, "done": 1, "of": 3}
    assert lines[4]["bytes"] == 90.3e6
    assert lines[-1]["state"] == "running"


def terminal(out: io.StringIO, width: int) -> Console:
    """One that can be redrawn, wherever the tests run: TERM=dumb says that it can't."""
    environ = {"TERM": "xterm"}
    return Console(file=out, force_terminal=True, width=width, height=30, color_system=None, _environ=environ)


@pytest.mark.parametrize("width", [60, 100])
def test_the_live_table_fits_and_names_what_goes_on(width: int) -> None:
    out = io.StringIO()
    console = terminal(out, width)
    with LiveProgress(console) as show:
        for event, facts in events():
            show(event, facts)
        console.print(show._render())
    last = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", out.getvalue()).splitlines()
    text = "\n".join(last)
    assert max(map(len, last)) <= width
    assert "resnet50 b1" in text
    assert "1 more cannot run here" in text
    if width == 100:
        assert "0.500×" in text
        assert "1 of 3" in text
        assert "crashed" in text


def test_the_live_display_shows_what_is_made_and_keeps_the_sum() -> None:
    out = io.StringIO()
    console = terminal(out, 100)
    with LiveProgress(console) as show:
        for event, facts in [events()[0], *preparing()[:3]]:
            show(event, facts)
        during = out.getvalue()
        for event, facts in preparing()[3:]:
            show(event, facts)
    assert "resnet50 onnx · 12 s" in during
    assert "prepared in" not in during
    left = re.split(r"\x1b\[2?K", out.getvalue())
    (line,) = {one.strip() for part in left for one in part.splitlines() if one.startswith("prepared in")}
    assert line == "prepared in 61 s: 1 made, 1 cached, 1 failed; the cache holds 1.09 GB"


def test_the_live_rows_of_one_backend_are_told_apart() -> None:
    """By preset, options, device and twin, which have no column."""
    targets = [
        Target(),
        Target(preset="expert"),
        Target(options={"mode": "fast"}),
        Target("cuda:0"),
    ]
    cases = [Case("resnet50", "c", 1, None, "torch", target) for target in targets]
    cases.append(Case("resnet50", "c", 1, None, "torch", Target(), twin="2"))
    assert [_name(case) for case in cases] == [
        "resnet50 b1 · torch",
        "resnet50 b1 · torch · expert",
        "resnet50 b1 · torch · mode=fast",
        "resnet50 b1 · torch · cuda:0",
        "resnet50 b1 · torch · twin 2",
    ]


def test_a_name_cannot_steer_the_terminal_that_follows_a_run() -> None:
    out = io.StringIO()
    with PlainProgress(out) as show:
        show("note", {"text": "evil\x1b[2J\u202ename"})
    assert out.getvalue().endswith("evilname\n")
