"""What the doctor finds, each check on plain values, and one real look around."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from bench.doctor import PACKAGES, Diagnosis, backend_state, diagnose, lines, own_names
from bench.interfaces.backend import Capabilities, Support
from bench.interfaces.errors import BackendUnavailable
from bench.interfaces.plain import as_dict
from bench.machine import checks
from bench.machine.budget import Budget
from bench.machine.checks import GIB, Check, Look, Sample
from bench.machine.lock import Holder
from bench.processes.process import ROOT
from tests.helpers.waiting import until

BUDGET = Budget((0, 1), "one CPU a core", 8 * GIB)
UNPINNED = Budget((0, 1), "2 physical cores", 8 * GIB, pinned=False)


@pytest.mark.parametrize(
    ("check", "state", "fact"),
    [
        (checks.cores(BUDGET), "ok", "2 CPUs"),
        (checks.cores(UNPINNED), "warn", "not pinned"),
        (checks.governor(()), "ok", "no frequency governor"),
        (checks.governor(["performance"]), "ok", "performance"),
        (checks.governor(["performance", "powersave"]), "warn", "powersave"),
        (checks.boost(None, False), "ok", "does not say"),
        (checks.boost(False, True), "ok", "off"),
        (checks.boost(True, True), "warn", "on"),
        (checks.smt(BUDGET, {}), "ok", "no CPU"),
        (checks.smt(BUDGET, {2: 0.04, 3: 0.0}), "ok", "2 share cores with the budget, all idle"),
        (checks.smt(BUDGET, {2: 0.06, 3: 0.5}), "warn", "2 of 2 busy on the budget's cores, CPU 3 at 50%"),
        (checks.load_average(0.49, 2), "ok", "0.49 over the last minute on 2 CPUs"),
        (checks.load_average(0.5, 2), "warn", "0.50"),
        (checks.neighbours([]), "ok", "none takes over 5%"),
        (checks.neighbours([("cc1", 0.2)]), "warn", "cc1 20% of a CPU"),
        (checks.neighbours([("cc1", 0.2), ("ld", 0.1)]), "bad", "cc1 20%, ld 10% of a CPU"),
        (checks.spinning(0.05, {}), "ok", "as they ship"),
        (checks.spinning(0.06, {}), "warn", "0.06 CPUs of the budget are busy"),
        (checks.spinning(0.0, {"OMP_WAIT_POLICY": "passive"}), "warn", "OMP_WAIT_POLICY=passive is set"),
        (checks.quota(None, BUDGET), "ok", "none"),
        (checks.quota(0.5, Budget((0,), "", 1)), "bad", "0.5 CPUs, the budget is 1: workers are held back"),
        (checks.quota(2.0, BUDGET), "warn", "2 CPUs, the budget is 2, which leaves nothing"),
        (checks.quota(2.5, BUDGET), "ok", "2.5 CPUs"),
        (checks.steal(0.01), "ok", "1.0% of the budget's worst CPU"),
        (checks.steal(0.011), "warn", "1.1%"),
        (checks.steal(0.11), "bad", "11.0%"),
        (checks.virtualised(False), "ok", "no hypervisor"),
        (checks.virtualised(True), "warn", "under a hypervisor"),
        (checks.available(4 * GIB, 8 * GIB), "ok", "4 GiB of 8 GiB"),
        (checks.available(4 * GIB - 1, 8 * GIB), "warn", "4 GiB of 8 GiB"),
        (checks.available(GIB - 1, 8 * GIB), "bad", "1 GiB of 8 GiB"),
        (checks.swapping(0), "ok", "not in use"),
        (checks.swapping(GIB), "warn", "1 GiB in use"),
        (checks.locked(None), "ok", "free"),
        (checks.locked(Holder(12, "now")), "warn", "process 12, since now"),
    ],
)
def test_checks(check: Check, state: str, fact: str) -> None:
    assert check.state == state
    assert fact in check.fact


def test_mends_are_commands_of_this_machine() -> None:
    assert checks.boost(True, True).mend == "echo 1 | sudo tee /sys/devices/system/cpu/intel_pstate/no_turbo"
    assert checks.boost(True, False).mend == "echo 0 | sudo tee /sys/devices/system/cpu/cpufreq/boost"
    assert checks.locked(Holder(12, "now")).mend == "ps -fp 12"
    assert checks.spinning(0, {"KMP_BLOCKTIME": "0"}).mend == "unset KMP_BLOCKTIME"


def test_a_busy_neighbour_is_sampled_by_name() -> None:
    command = [sys.executable, "-c", "print(flush=True)\nwhile True: pass"]
    neighbour = subprocess.Popen(command, stdout=subprocess.PIPE)
    try:
        assert neighbour.stdout is not None
        neighbour.stdout.readline()
        before = checks._process_times()
        until(lambda: used(neighbour.pid) > before[neighbour.pid][1], "the neighbour's first moment")
        seen = checks.sample(0.0)
    finally:
        neighbour.kill()
        neighbour.wait()
        if neighbour.stdout:
            neighbour.stdout.close()
    assert "python" in before[neighbour.pid][0]
    assert os.getpid() not in before
    assert seen.busy
    assert seen.busy.keys() == seen.steal.keys()
    assert all(0 <= share <= 1 for share in seen.busy.values())


def used(pid: int) -> float:
    """CPU seconds."""
    return checks._process_times()[pid][1]


def test_shares_are_of_the_time_watched() -> None:
    """A process that worked for long before, and one that has just begun."""
    before = Look(10.0, None, {1: ("old", 100.0)})
    after = Look(10.5, None, {1: ("old", 100.1), 2: ("new", 5.0)})
    assert checks.changes(before, after) == Sample(None, None, [("old", pytest.approx(0.2))])


def test_the_busiest_are_named_and_idle_cpus_are_not_busy() -> None:
    used = {1: 0.3, 2: 0.6, 3: 0.02, 4: 0.9, 5: 0.5}  # seconds of two
    before = Look(0.0, [(50.0, 1.0), (70.0, 0.0), (9.0, 9.0)], {pid: (f"p{pid}", 7.0) for pid in used})
    later = {pid: (f"p{pid}", 7.0 + seconds) for pid, seconds in used.items()}
    seen = checks.changes(before, Look(2.0, [(50.5, 1.5), (72.1, 0.0), (9.0, 8.0)], later))
    assert seen.busy == {0: pytest.approx(0.5), 1: 0.0, 2: 1.0}
    assert seen.steal == {0: pytest.approx(0.25), 1: 0.0, 2: 0.0}
    assert [name for name, _ in seen.processes] == ["p4", "p2", "p5"]
    assert seen.processes[0][1] == pytest.approx(0.45)


def test_process_names_are_made_printable() -> None:
    assert checks._printable("a\x1b[2Jb") == "a?[2Jb"


def test_siblings_outside_of_the_budget_are_looked_at(tmp_path: Path) -> None:
    for cpu, listed in {0: "0,2", 1: "1,3"}.items():
        folder = tmp_path / f"sys/devices/system/cpu/cpu{cpu}/topology"
        folder.mkdir(parents=True)
        (folder / "core_cpus_list").write_text(listed)
    seen = Sample({0: 0.0, 1: 0.0, 2: 0.9, 3: 0.0}, {}, [])
    found = {check.name: check for check in checks.checks(BUDGET, seen, tmp_path)}
    assert found["SMT siblings"].fact == "1 of 2 busy on the budget's cores, CPU 2 at 90%"
    assert found["spinning"].state == "ok" or any(name in os.environ for name in checks.SPIN_VARIABLES)


def test_package_names() -> None:
    home: dict[str, Path | None] = {name: ROOT / name for name in PACKAGES}
    assert own_names({"bench": ["bakeoff"], "numpy": ["numpy"]}, home).state == "ok"
    rival = own_names({"bench": ["bakeoff", "pybench"], "reports": ["pybench"]}, home)
    assert rival.state == "bad"
    assert rival.fact == "other distributions bring bench (pybench), reports (pybench) too"
    assert rival.mend.startswith("pip uninstall pybench")
    astray = own_names({}, {**home, "reports": ROOT.parent / "reports"})
    assert (astray.state, astray.fact) == ("bad", "reports would be imported from somewhere else")
    assert own_names().state == "ok"  # here and now


def test_backends_with_versions_or_reasons() -> None:
    table = {
        "cpu": {"fp32": Support("native"), "bf16": Support("emulated", "no AVX-512"), "fp16": Support("none")}
    }
    here = backend_state("torch", Capabilities("2.13", table))
    gone = backend_state("openvino", BackendUnavailable("openvino cannot be imported"))
    said = lines(Diagnosis((here, gone), (Check("load", "warn", "9.00", "top"),), facts()))
    assert said[:6] == [
        "Backends",
        "  torch         2.13",
        "                cpu: fp32",
        "                  bf16: only emulated (no AVX-512)",
        "                  fp16: no",
        "  openvino      not available: openvino cannot be imported",
    ]
    assert said[6].startswith("                mend: pip install")
    assert said[-2:] == ["  warn  load  9.00", "              mend: top"]


def facts() -> dict[str, object]:
    return {
        "cpu": "Z", "cores": 2, "threads": 4, "nodes": 1, "memory_bytes": 8 * GIB, "system": "Linux",
        "kernel": "6", "python": "CPython 3",
    }  # fmt: skip


def test_fit_is_nothing_bad() -> None:
    assert Diagnosis((), (Check("a", "ok", ""), Check("b", "warn", "")), {}).fit
    assert not Diagnosis((), (Check("a", "ok", ""), Check("b", "bad", "")), {}).fit


def test_the_real_thing() -> None:
    found = diagnose()
    states = {backend.name: backend for backend in found.backends}
    assert {"torch", "onnxruntime", "openvino", "null", "anchor"} <= states.keys()
    onnxruntime = states["onnxruntime"]
    assert onnxruntime.version
    assert onnxruntime.devices["cpu"]["fp32"].level == "native"
    names = [check.name for check in found.checks]
    assert len(set(names)) == len(names) >= 15
    assert "GPU" in names
    document = json.loads(json.dumps(as_dict(found)))
    assert document["machine"]["cores"] >= 1
    text = "\n".join(lines(found))
    assert all(check.fact in text for check in found.checks)
