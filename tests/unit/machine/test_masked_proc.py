"""Containers and sandboxes hide parts of /sys and /proc: what is left is used, and what is not known is
named."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Any

import psutil
import pytest

from bench import doctor
from bench.machine import budget as machine_budget
from bench.machine import checks, cpuinfo, fingerprint, lock, topology
from bench.machine import topology as machine_topology
from bench.machine.cgroups import cpu_quota, memory_limit
from bench.worker import disturbance
from tests.helpers.made_machines import fake, write

V2_MOUNT = "31 23 0:28 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n"


def entries(*cores: tuple[int, int]) -> str:
    """/proc/cpuinfo of an x86: package and core of each CPU."""
    entry = "processor\t: {}\nmodel name\t: Xeon Z\nphysical id\t: {}\ncore id\t\t: {}\nflags\t\t: avx2\n"
    return "\n".join(entry.format(cpu, *core) for cpu, core in enumerate(cores))


def test_without_sys_the_budget_is_the_affinity(tmp_path: Path) -> None:
    budget = machine_budget.core_budget(tmp_path, {1})
    assert budget.cpus == (1,)
    assert budget.pinned
    assert budget.why == (
        "each logical CPU, though some may be siblings on one core (/sys cannot be read), "
        "within the affinity 1"
    )
    facts = fingerprint.fingerprint(tmp_path, {1, 3})
    assert facts["budget"]["cpus"] == [1, 3]
    assert facts["packages"] is None
    assert (facts["cores"], facts["smt"], facts["nodes"], facts["allowed_cpus"]) == (None, None, None, 2)
    assert facts["pinned"] is True


def test_without_sys_a_quota_holds_all_the_same(tmp_path: Path) -> None:
    mount = V2_MOUNT.replace("/sys/fs/cgroup", "/cgroup")
    write(
        tmp_path,
        {
            "proc/self/cgroup": "0::/",
            "proc/self/mountinfo": mount,
            "cgroup/cpu.max": "150000 100000",
            "cgroup/memory.max": "4096",
        },
    )
    budget = machine_budget.core_budget(tmp_path, {1, 3})
    assert budget.cpus == (1,)
    assert "quota of 1.5 CPUs" in budget.why
    assert budget.memory_bytes == 4096


def test_without_affinity_a_quota_holds_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(
        tmp_path,
        {
            "proc/self/cgroup": "0::/",
            "proc/self/mountinfo": V2_MOUNT,
            "sys/fs/cgroup/cpu.max": "200000 100000",
        },
    )
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    monkeypatch.setattr(psutil, "cpu_count", lambda logical: 6)
    assert machine_budget.core_budget(tmp_path).cpus == (0, 1)


def test_without_sys_proc_tells_who_shares_a_core(tmp_path: Path) -> None:
    write(tmp_path, {"proc/cpuinfo": entries((0, 0), (0, 1), (1, 0), (0, 0), (0, 1), (1, 0))})
    budget = machine_budget.core_budget(tmp_path, range(6))
    assert budget.cpus == (0, 1, 2)
    assert budget.why == "one logical CPU per physical core"
    assert topology.siblings(tmp_path, 4) == (1, 4)
    facts = fingerprint.fingerprint(tmp_path, {1, 4, 5})
    assert (facts["packages"], facts["cores"], facts["threads"], facts["smt"]) == (2, 3, 6, True)
    assert facts["budget"]["cpus"] == [1, 5]


def test_arms_proc_tells_no_cores(tmp_path: Path) -> None:
    write(tmp_path, {"proc/cpuinfo": "processor : 0\nCPU part : 0xd40\n\nprocessor : 1\nCPU part : 0xd40"})
    budget = machine_budget.core_budget(tmp_path, {0, 1})
    assert budget.cpus == (0, 1)
    assert "some may be siblings" in budget.why


def test_a_sys_without_the_list_of_online_cpus(tmp_path: Path) -> None:
    root = fake(tmp_path, [(0, 2), (1, 3), (4,)], ["0-4"], "")
    write(root, {"sys/devices/system/cpu/cpu4/online": "0", "sys/devices/system/cpu/cpu3/online": "1"})
    assert [cpu.number for cpu in topology.topology(root)] == [0, 1, 2, 3]
    assert machine_budget.core_budget(root, range(5)).cpus == (0, 1)


def test_a_sys_without_topology_or_nodes(tmp_path: Path) -> None:
    write(tmp_path, {"sys/devices/system/cpu/online": "0-3"})
    budget = machine_budget.core_budget(tmp_path, range(4))
    assert budget.cpus == (0, 1, 2, 3)
    assert "may be siblings on one core (/sys does not tell)" in budget.why
    assert "NUMA" not in budget.why
    assert fingerprint.smt(tmp_path) is None
    write(tmp_path, {"proc/cpuinfo": entries((0, 0), (0, 0), (0, 1), (0, 1))})
    assert machine_budget.core_budget(tmp_path, range(4)).cpus == (0, 2)


def test_a_sys_that_shows_other_cpus_than_the_affinity(tmp_path: Path) -> None:
    """LXCFS numbers a container's CPUs from 0; the kernel's affinity has the machine's numbers."""
    root = fake(tmp_path, [(0,), (1,)], ["0-1"], "0-1")
    budget = machine_budget.core_budget(root, {5, 7})
    assert budget.cpus == (5, 7)
    assert "may be siblings" in budget.why
    assert "within the affinity 5,7" in budget.why


@pytest.mark.parametrize("missing", ["mountinfo", "cgroup"])
def test_limits_where_half_of_their_description_is_masked(tmp_path: Path, missing: str) -> None:
    """They are then looked for where every distribution mounts them."""
    files = {
        "proc/self/cgroup": "0::/",
        "proc/self/mountinfo": V2_MOUNT,
        "sys/fs/cgroup/cpu.max": "150000 100000",
        "sys/fs/cgroup/memory.max": "4096",
    }
    write(tmp_path, {name: text for name, text in files.items() if not name.endswith(missing)})
    assert cpu_quota(tmp_path) == 1.5
    assert memory_limit(tmp_path) == 4096


def test_limits_of_version_one_where_proc_is_masked(tmp_path: Path) -> None:
    write(
        tmp_path,
        {
            "sys/fs/cgroup/cpu/cpu.cfs_quota_us": "50000",
            "sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000",
            "sys/fs/cgroup/memory/memory.limit_in_bytes": "5000",
        },
    )
    assert cpu_quota(tmp_path) == 0.5
    assert memory_limit(tmp_path) == 5000


def gone(*arguments: Any, **named: Any) -> Any:
    raise FileNotFoundError(2, "No such file or directory: '/proc/…'")


@pytest.fixture
def no_proc(monkeypatch: pytest.MonkeyPatch) -> None:
    """What psutil and the C library do where /proc is masked."""
    for name in ("virtual_memory", "swap_memory", "cpu_times"):
        monkeypatch.setattr(psutil, name, gone)
    monkeypatch.setattr(psutil, "process_iter", lambda attrs: [][0])  # its IndexError, of an empty /proc
    monkeypatch.setattr(psutil, "cpu_count", lambda logical=True: 4 if logical else gone())
    monkeypatch.setattr(os, "getloadavg", gone)


@pytest.mark.usefixtures("no_proc")
def test_memory_where_proc_is_masked(tmp_path: Path) -> None:
    installed = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    assert machine_budget.core_budget(tmp_path, {0}).memory_bytes == installed
    facts = fingerprint.fingerprint(tmp_path, {0})
    assert facts["memory_bytes"] == installed
    assert facts["flags"] is None, "not known, which is not none"
    assert facts["virtualised"] is None
    assert "cores unknown" in doctor.machine_line(facts)


@pytest.mark.usefixtures("no_proc")
def test_the_doctor_where_proc_is_masked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checks, "SAMPLE_S", 0.0)
    seen = checks.sample(0.0)
    assert seen == checks.Sample(None, None, None)
    found = {
        one.name: one for one in checks.checks(machine_budget.core_budget(tmp_path, {0}), seen, tmp_path)
    }
    for name in ("SMT siblings", "load", "other processes", "spinning", "steal", "memory", "swap"):
        assert (found[name].state, "does not say" in found[name].fact) == ("warn", True), found[name]
    assert found["cores"].state == "warn"
    assert "some may be siblings" in found["cores"].fact


def test_what_this_process_may_use_is_not_what_the_machine_has(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "cpu_count", lambda: 64)
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {3}, raising=False)
    assert topology.usable_cpus() == 1
    assert machine_topology.usable_cpus() == 1
    figures = {"wall_ns": 100e6, "cpu_ns": 0.0, "others_ns": 40e6}
    assert disturbance.disturbed(figures, ()), "one jiffy for each of 64 CPUs would hide it"
    monkeypatch.delattr(os, "sched_getaffinity")
    assert topology.usable_cpus() == 64
    assert machine_topology.usable_cpus() == 64


def test_converters_at_once_are_as_many_as_the_affinity_holds(monkeypatch: pytest.MonkeyPatch) -> None:
    from bench.prepare import scheduler

    monkeypatch.setattr(os, "cpu_count", lambda: 64)
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {3}, raising=False)
    assert scheduler.slots() == 1
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {3, 4}, raising=False)
    assert scheduler.slots() == 2


def test_the_lock_without_tmp_is_still_everybodys(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """$TMPDIR is one user's: two of them would measure at once."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    usable = {"/tmp", "/var/tmp", "/dev/shm"}
    monkeypatch.setattr(os, "access", lambda path, mode: str(path) in usable)
    assert lock.lock_path() == Path("/tmp") / lock.NAME
    usable.remove("/tmp")
    assert lock.lock_path() == Path("/var/tmp") / lock.NAME
    usable.remove("/var/tmp")
    assert lock.lock_path() == Path("/dev/shm") / lock.NAME
    usable.clear()
    assert lock.lock_path() == tmp_path / lock.NAME


def test_the_entry_of_a_cpu_that_is_not_listed_is_the_first(tmp_path: Path) -> None:
    write(tmp_path, {"proc/cpuinfo": entries((0, 0))})
    assert cpuinfo.model(tmp_path, 9) == "Xeon Z"
    assert cpuinfo.cpuinfo(tmp_path / "nowhere", 9) == {}
