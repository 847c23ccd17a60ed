"""Topology, limits and the core budget, on machines built in a folder."""

from __future__ import annotations

import json
import os
import re
import sys
from pathlib import Path

import pytest

from bench.interfaces.errors import BakeoffError
from bench.machine import budget as machine_budget
from bench.machine import cpuinfo, fingerprint
from bench.machine.cgroups import cpu_quota, memory_limit, quota_folders
from bench.machine.topology import allowed_cpus, caches, cpu_list, topology
from tests.helpers.made_machines import fake, write

V2_MOUNT = "31 23 0:28 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n"
V1_MOUNTS = (
    "32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct\n"
    "33 31 0:30 / /sys/fs/cgroup/cpuset rw - cgroup cgroup rw,cpuset\n"
    "35 31 0:32 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n"
    "38 31 0:34 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n"
)


@pytest.fixture
def smt(tmp_path: Path) -> Path:
    """Four cores of two threads on two nodes: siblings are n and n + 4."""
    return fake(tmp_path, [(0, 4), (1, 5), (2, 6), (3, 7)], ["0-1,4-5", "2-3,6-7"], "0-7")


def test_cpu_list() -> None:
    assert cpu_list("0-2,8") == (0, 1, 2, 8)
    assert cpu_list("") == ()
    assert cpu_list("nonsense") == ()


def test_topology_tells_core_package_and_node(smt: Path) -> None:
    cpus = topology(smt)
    assert [cpu.number for cpu in cpus] == list(range(8))
    assert [cpu.core for cpu in cpus] == [0, 1, 2, 3, 0, 1, 2, 3]
    assert [cpu.package for cpu in cpus] == [0, 0, 1, 1, 0, 0, 1, 1]
    assert [cpu.node for cpu in cpus] == [0, 0, 1, 1, 0, 0, 1, 1]


def test_budget_is_one_cpu_a_core_of_one_node(smt: Path) -> None:
    budget = machine_budget.core_budget(smt, range(8))
    assert budget.cpus == (0, 1)
    assert budget.memory_bytes == 4_000_000 * 1024  # the node's, not the machine's
    assert "NUMA node 0 (2 of 4 allowed cores)" in budget.why


def test_budget_takes_the_node_with_most_allowed_cores(smt: Path) -> None:
    # Node 0 has two allowed CPUs but one core; node 1 has two cores.
    budget = machine_budget.core_budget(smt, {0, 4, 6, 3})
    assert budget.node == 1
    assert budget.cpus == (3, 6)
    assert "affinity 0,3-4,6" in budget.why


def test_budget_leaves_out_offline_cpus(tmp_path: Path) -> None:
    root = fake(tmp_path, [(0,), (1,), (2,), (3,)], ["0-3"], "0,2-3")
    assert machine_budget.core_budget(root, range(4)).cpus == (0, 2, 3)


def test_one_node_has_the_memory_of_the_machine(tmp_path: Path) -> None:
    root = fake(tmp_path, [(0,)], ["0"], "0")
    write(root, {"sys/devices/system/node/node0/meminfo": "Node 0 MemTotal: 1 kB"})  # plugged in later
    assert machine_budget.core_budget(root, {0}).memory_bytes == 8_000_000 * 1024


@pytest.mark.parametrize(
    ("limit", "cpus"), [("150000 100000", 1), ("50000 100000", 1), ("200000 100000", 2), ("max 100000", 2)]
)
def test_budget_within_a_quota(smt: Path, limit: str, cpus: int) -> None:
    write(
        smt,
        {"proc/self/cgroup": "0::/a/b", "proc/self/mountinfo": V2_MOUNT, "sys/fs/cgroup/a/b/cpu.max": limit},
    )
    budget = machine_budget.core_budget(smt, range(8))
    assert len(budget.cpus) == cpus
    assert ("quota" in budget.why) == (cpus == 1)


def test_v2_limits_are_the_least_on_the_way_up(tmp_path: Path) -> None:
    root = write(
        tmp_path,
        {
            "proc/self/cgroup": "0::/user.slice/job",
            "proc/self/mountinfo": V2_MOUNT,
            "sys/fs/cgroup/user.slice/job/cpu.max": "400000 100000",
            "sys/fs/cgroup/user.slice/job/memory.max": "max",
            "sys/fs/cgroup/user.slice/cpu.max": "150000 100000",
            "sys/fs/cgroup/user.slice/memory.max": "3000",
            "sys/fs/cgroup/neighbour/cpu.max": "1000 100000",
        },
    )
    assert cpu_quota(root) == 1.5
    assert memory_limit(root) == 3000
    assert len(quota_folders(root)) == 2


def test_v1_limits(tmp_path: Path) -> None:
    root = write(
        tmp_path,
        {
            "proc/self/cgroup": "5:memory:/job\n4:cpu,cpuacct:/job\n3:cpuset:/\n0::/",
            "proc/self/mountinfo": V1_MOUNTS,
            "sys/fs/cgroup/cpu,cpuacct/job/cpu.cfs_quota_us": "150000",
            "sys/fs/cgroup/cpu,cpuacct/job/cpu.cfs_period_us": "50000",
            "sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us": "-1",
            "sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us": "100000",
            "sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712",
            "sys/fs/cgroup/memory/job/memory.limit_in_bytes": "5000",
        },
    )
    assert cpu_quota(root) == 3.0
    assert memory_limit(root) == 5000


def test_a_container_sees_its_own_group_as_the_mount(tmp_path: Path) -> None:
    mount = "31 23 0:28 /docker/ab\\040c /sys/fs/cgroup/cpu ro - cgroup cgroup rw,cpu\n"
    root = write(
        tmp_path,
        {
            "proc/self/cgroup": "4:cpu:/docker/ab c/inner",
            "proc/self/mountinfo": mount,
            "sys/fs/cgroup/cpu/cpu.cfs_quota_us": "250000",
            "sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000",
            "sys/fs/cgroup/cpu/inner/cpu.cfs_quota_us": "100000",
            "sys/fs/cgroup/cpu/inner/cpu.cfs_period_us": "100000",
        },
    )
    assert cpu_quota(root) == 1.0
    write(root, {"proc/self/cgroup": "4:cpu:/somewhere/else"})  # outside of what is mounted
    assert cpu_quota(root) == 2.5


def test_memory_within_the_group(smt: Path) -> None:
    write(
        smt, {"proc/self/cgroup": "0::/", "proc/self/mountinfo": V2_MOUNT, "sys/fs/cgroup/memory.max": "4096"}
    )
    assert machine_budget.core_budget(smt, range(8)).memory_bytes == 4096


def test_where_the_system_has_no_affinity_nothing_is_pinned(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """macOS."""
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    budget = machine_budget.core_budget(tmp_path)
    assert not budget.pinned
    assert budget.cpus == tuple(range(len(budget.cpus)))
    assert budget.memory_bytes > 0
    assert "does not pin processes" in budget.why
    assert fingerprint.smt(tmp_path) is None
    assert fingerprint.fingerprint(tmp_path)["pinned"] is False


X86 = (
    "processor : 0\nmodel name : Xeon Z\ncpu family : 6\nmodel : 207\n"
    "flags : fpu avx2 avx512f amx_tile amx_bf16 hypervisor"
)
ARM = "processor : 0\nFeatures : fp asimd sve bf16 i8mm\nCPU implementer : 0x41\nCPU part : 0xd40"


def test_fingerprint_of_x86(smt: Path) -> None:
    write(
        smt,
        {
            "proc/cpuinfo": f"{X86}\n\nprocessor : 1\nmodel name : other\nflags : fpu",
            "sys/devices/system/cpu/cpu0/cpufreq/scaling_governor": "powersave",
            "sys/devices/system/cpu/intel_pstate/no_turbo": "0",
            "sys/devices/system/cpu/cpu0/cache/index3/level": "3",
            "sys/devices/system/cpu/cpu0/cache/index3/size": "32M",
            "sys/devices/system/cpu/cpu0/cache/index3/type": "Unified",
            "sys/devices/system/cpu/cpu0/cache/index3/shared_cpu_list": "0-1,4-5",
        },
    )
    facts = fingerprint.fingerprint(smt, range(8))
    assert facts["cpu"] == "Xeon Z"
    assert facts["cpu_id"] == "family 6 model 207"
    assert facts["flags"] == ["avx2", "avx512f", "amx_tile", "amx_bf16"]
    assert (facts["cores"], facts["threads"], facts["packages"], facts["nodes"]) == (4, 8, 2, 2)
    assert (facts["smt"], facts["governor"], facts["turbo"], facts["virtualised"]) == (
        True,
        "powersave",
        True,
        True,
    )
    assert facts["caches"] == [{"level": 3, "type": "unified", "bytes": 32 * 1024**2, "shared_by": 4}]
    assert facts["budget"]["cpus"] == [0, 1]
    assert json.loads(json.dumps(facts)) == facts


def test_fingerprint_of_aarch64(tmp_path: Path) -> None:
    root = write(tmp_path, {"proc/cpuinfo": ARM})
    assert cpuinfo.model(root) == "Neoverse-V1"
    assert cpuinfo.flags(root) == ("asimd", "bf16", "i8mm", "sve")
    assert not cpuinfo.virtualised(root)
    write(root, {"proc/cpuinfo": ARM.replace("0xd40", "0xfff")})
    assert cpuinfo.model(root) == "implementer 0x41 part 0xfff"


def test_turbo_by_boost(tmp_path: Path) -> None:
    assert fingerprint.turbo(tmp_path) is None
    assert fingerprint.turbo(write(tmp_path, {"sys/devices/system/cpu/cpufreq/boost": "1"})) is True


def test_no_names_and_no_paths_in_the_real_fingerprint() -> None:
    text = json.dumps(fingerprint.fingerprint())
    assert not re.search(r"/(home|root|usr|work|tmp)\b", text)
    assert os.uname().nodename not in re.findall(r"[\w.-]+", text)


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc and /sys")
def test_the_budget_of_this_machine_is_within_its_affinity() -> None:
    budget = machine_budget.core_budget()
    assert budget.pinned
    assert set(budget.cpus) <= set(allowed_cpus())
    assert 0 < budget.memory_bytes <= os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    assert caches() == sorted(caches(), key=lambda cache: cache["level"])


def test_windows_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    fingerprint.require_supported_platform()
    monkeypatch.setattr(sys, "platform", "win32")
    with pytest.raises(BakeoffError, match="Windows is not supported"):
        fingerprint.require_supported_platform()
