"""What a worker answers, and in which order."""

from __future__ import annotations

from typing import Any

import pytest

from bench.interfaces.backend import Target
from bench.interfaces.case import HARNESS, Case
from bench.interfaces.job import Job
from bench.interfaces.plain import as_dict
from bench.prepare.graph import HARNESS_IO
from bench.worker.worker import Loaded, Phase, Started, Warm, answer

CASE = Case(HARNESS, HARNESS, 1, None, "null", Target(), role="overhead")
JOB = Job(CASE, None, HARNESS_IO, warmup={"least_s": 0.0, "most_s": 0.01}, burst_ns=0, capacity=3)


def asked(phase: Phase | None, *commands: str, **more: Any) -> tuple[Phase | None, dict[str, Any]]:
    reply: dict[str, Any] = {}
    for command in commands:
        phase, reply = answer(phase, {"do": command, "job": as_dict(JOB), **more})
    return phase, reply


def test_each_phase_has_its_commands() -> None:
    started, reply = asked(None, "start")
    assert isinstance(started, Started)
    assert "numpy" in reply["versions"]
    loaded, _ = asked(started, "load")
    assert isinstance(loaded, Loaded)
    assert asked(loaded, "verify") == (loaded, {"verification": None})  # this job has no reference
    warm, reply = asked(loaded, "warm")
    assert isinstance(warm, Warm)
    assert set(reply["warmup"]) == {"count", "ns", "capped", "median_ns"}
    _, reply = asked(warm, "burst", device=False)
    assert [bool(blob) for blob in reply["blobs"]] == [True, False, False]
    _, reply = asked(warm, "burst")  # as often as the job says
    assert [bool(blob) for blob in reply["blobs"]] == [True, True, False]
    assert asked(warm, "finish", "verify")[0] is warm
    assert {"import_ns", "load_ns", "first_ns", "inner", "peak_bytes", "cpu_ns"} <= set(warm.figures)
    assert asked(warm, "actual")[1] == asked(loaded, "actual")[1]
    started.meter.close()


@pytest.mark.parametrize(
    "command", ["load", "verify", "warm", "burst", "sustain", "finish", "actual", "rest"]
)
def test_a_command_out_of_order_is_refused(command: str) -> None:
    with pytest.raises(ValueError, match=f"no command '{command}'"):
        asked(None, command)


def test_a_burst_needs_a_warm_session() -> None:
    loaded, _ = asked(None, "start", "load")
    assert isinstance(loaded, Loaded)
    with pytest.raises(ValueError, match="no command 'burst' for Loaded"):
        asked(loaded, "burst")
    loaded.started.meter.close()
