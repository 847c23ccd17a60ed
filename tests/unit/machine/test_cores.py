"""Kinds of cores: which there are, which one the budget takes, and where that is said."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from bench.interfaces.backend import Target
from bench.interfaces.case import Case
from bench.machine import budget as machine_budget
from bench.machine import checks, cpuinfo, fingerprint
from bench.machine.cores import core_kinds
from bench.machine.topology import topology
from bench.plan.plan import _threads
from tests.helpers.made_machines import capacities, fake, frequencies, hybrid, write


def names(root: Path) -> dict[str, tuple[int, ...]]:
    return {kind.name: kind.cpus for kind in core_kinds(root, topology(root))}


def test_intels_fast_and_slow_cores(tmp_path: Path) -> None:
    root = hybrid(tmp_path)
    assert names(root) == {"cpu_core": tuple(range(12)), "cpu_atom": tuple(range(12, 20))}
    budget = machine_budget.core_budget(root, range(20))
    assert budget.cpus == (0, 2, 4, 6, 8, 10)
    assert budget.kind == "cpu_core"
    assert budget.why == (
        "one logical CPU per physical core of NUMA node 0, "
        "of the fastest kind alone: 6 cores of cpu_core, without 8 of cpu_atom"
    )


def test_threads_for_both_kinds_are_refused_in_a_sentence_that_says_why(tmp_path: Path) -> None:
    budget = machine_budget.core_budget(hybrid(tmp_path), range(20))
    case = Case("w", "c", 1, None, "torch", Target(threads=14))
    assert _threads(case, budget) == f"14 threads asked for, the budget is 6: {budget.why}"
    assert _threads(replace(case, target=Target(threads=6)), budget) == ""


def test_intels_kinds_where_only_the_bus_shows_them(tmp_path: Path) -> None:
    root = fake(tmp_path, [(0,), (1,), (2,), (3,), (4,)], ["0-4"], "0-4")
    folder = "sys/bus/event_source/devices/"
    write(
        root,
        {
            f"{folder}cpu_lowpower/cpus": "4",
            f"{folder}cpu_atom/cpus": "2-3",
            f"{folder}cpu_core/cpus": "0-1",
        },
    )
    assert names(root) == {"cpu_core": (0, 1), "cpu_atom": (2, 3), "cpu_lowpower": (4,)}


def test_slow_cores_of_two_tiers_under_one_name(tmp_path: Path) -> None:
    """Meteor Lake: the kernel calls both cpu_atom, and their clocks tell."""
    root = frequencies(tmp_path, 4800, 4700, 3800, 3800, 2500, 2500)
    write(root, {"sys/devices/cpu_core/cpus": "0-1", "sys/devices/cpu_atom/cpus": "2-5"})
    assert names(root) == {
        "cpu_core": (0, 1),
        "cpu_atom, up to 3800 MHz": (2, 3),
        "cpu_atom, up to 2500 MHz": (4, 5),
    }


def test_big_and_little(tmp_path: Path) -> None:
    root = capacities(tmp_path, 446, 446, 446, 446, 1024, 1024, 1024, 1024)
    budget = machine_budget.core_budget(root, range(8))
    assert budget.cpus == (4, 5, 6, 7)
    assert budget.kind == "capacity 1024"
    assert "without 4 of capacity 446" in budget.why


def test_three_tiers(tmp_path: Path) -> None:
    root = capacities(tmp_path, 280, 280, 280, 280, 871, 871, 871, 1024)
    assert names(root) == {
        "capacity 1024": (7,),
        "capacity 871": (4, 5, 6),
        "capacity 280": (0, 1, 2, 3),
    }
    budget = machine_budget.core_budget(root, range(8))
    assert budget.cpus == (7,)
    assert budget.why.endswith("1 core of capacity 1024, without 3 of capacity 871 and 4 of capacity 280")


def test_clusters_that_differ_by_the_silicon_are_of_one_kind(tmp_path: Path) -> None:
    """RK3588: two pairs of the same core, binned to clocks that differ by 2 %."""
    root = capacities(tmp_path, 530, 530, 1024, 1024, 1003, 1003)
    assert names(root) == {"capacity 1024": (2, 3, 4, 5), "capacity 530": (0, 1)}


def test_favoured_cores_are_no_kind_of_their_own(tmp_path: Path) -> None:
    """The best cores of a chip may go a few percent higher, step by step: alike all the same."""
    root = frequencies(tmp_path, 5881, 5800, 5660, 5500, 5350, 5200, 5050, 4900)
    assert names(root) == {}
    budget = machine_budget.core_budget(root, range(8))
    assert len(budget.cpus) == 8
    assert budget.kind == ""
    assert "kind" not in budget.why


def test_clocks_tell_kinds_where_nothing_else_does(tmp_path: Path) -> None:
    """Zen 5 beside Zen 5c."""
    root = frequencies(tmp_path, 5100, 5090, 3300, 3300, 3300)
    assert names(root) == {"up to 5100 MHz": (0, 1), "up to 3300 MHz": (2, 3, 4)}


def test_capacities_go_before_clocks(tmp_path: Path) -> None:
    root = frequencies(tmp_path, 2000, 3000)
    write(root, {f"sys/devices/system/cpu/cpu{cpu}/cpu_capacity": "1024" for cpu in (0, 1)})
    assert names(root) == {}


def test_a_figure_that_some_cpus_lack_tells_nothing(tmp_path: Path) -> None:
    root = frequencies(tmp_path, 5100, 3300)
    (root / "sys/devices/system/cpu/cpu1/cpufreq/cpuinfo_max_freq").unlink()
    assert names(root) == {}


def test_offline_cpus_are_of_no_kind(tmp_path: Path) -> None:
    root = capacities(tmp_path, 446, 446, 1024, 1024, online="0-1,3")
    budget = machine_budget.core_budget(root, range(4))
    assert budget.cpus == (3,)
    assert "1 core of capacity 1024" in budget.why
    root = capacities(tmp_path, 446, 446, 1024, 1024, online="0-1")
    assert names(root) == {}, "all that is online is alike"
    assert machine_budget.core_budget(root, range(4)).cpus == (0, 1)


def test_slow_cores_are_taken_where_no_other_is_allowed_and_named(tmp_path: Path) -> None:
    root = hybrid(tmp_path)
    budget = machine_budget.core_budget(root, range(12, 20))
    assert budget.cpus == tuple(range(12, 20))
    assert budget.kind == "cpu_atom"
    assert "8 cores of cpu_atom, a slower kind: 6 of cpu_core are outside the affinity" in budget.why


def test_an_affinity_of_both_takes_the_fast_ones_of_it(tmp_path: Path) -> None:
    budget = machine_budget.core_budget(hybrid(tmp_path), {1, 2, 3, 12, 13, 14})
    assert budget.cpus == (1, 2)
    assert "2 cores of cpu_core, without 3 of cpu_atom" in budget.why


def test_a_quota_takes_from_one_kind(tmp_path: Path) -> None:
    root = hybrid(tmp_path)
    mount = "31 23 0:28 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n"
    write(
        root,
        {"proc/self/cgroup": "0::/", "proc/self/mountinfo": mount, "sys/fs/cgroup/cpu.max": "800000 100000"},
    )
    assert len(machine_budget.core_budget(root, range(20)).cpus) == 6, "8 CPUs of quota are no reason to mix"


def test_the_node_is_that_with_most_cores_of_the_kind(tmp_path: Path) -> None:
    root = fake(tmp_path, [(cpu,) for cpu in range(6)], ["0-3", "4-5"], "0-5")
    write(root, {"sys/devices/cpu_core/cpus": "0,4-5", "sys/devices/cpu_atom/cpus": "1-3"})
    budget = machine_budget.core_budget(root, range(6))
    assert (budget.node, budget.cpus) == (1, (4, 5))


def test_the_fingerprint_holds_the_kinds_and_the_budgets_own(tmp_path: Path) -> None:
    facts = fingerprint.fingerprint(hybrid(tmp_path), range(20))
    assert facts["core_kinds"] == {"cpu_core": 6, "cpu_atom": 8}
    assert facts["budget"]["kind"] == "cpu_core"
    alike = fingerprint.fingerprint(fake(tmp_path / "other", [(0,), (1,)], ["0-1"], "0-1"), range(2))
    assert alike["core_kinds"] is None
    assert alike["budget"]["kind"] is None


ARM = "processor : {}\nFeatures : fp asimd {}\nCPU implementer : 0x41\nCPU part : {}\n\n"


def test_the_cpu_that_is_named_is_the_budgets(tmp_path: Path) -> None:
    """The first entry of /proc/cpuinfo and the caches of CPU 0 are a slow core's."""
    root = capacities(tmp_path, 446, 446, 1024, 1024)
    little, big = ("asimddp", "0xd05"), ("asimddp i8mm", "0xd41")
    entries = [ARM.format(cpu, *(little if cpu < 2 else big)) for cpu in range(4)]
    write(root, {"proc/cpuinfo": "".join(entries)})
    for cpu, size in ((0, "128K"), (2, "512K")):
        folder = f"sys/devices/system/cpu/cpu{cpu}/cache/index2"
        write(root, {f"{folder}/level": "2", f"{folder}/size": size, f"{folder}/type": "Unified"})
    facts = fingerprint.fingerprint(root, range(4))
    assert facts["cpu"] == "Cortex-A78"
    assert facts["flags"] == ["asimd", "asimddp", "i8mm"]
    assert [cache["bytes"] for cache in facts["caches"]] == [512 * 1024]
    assert cpuinfo.model(root) == "Cortex-A55", "the first where none is asked for"
    assert cpuinfo.model(root, 7) == "Cortex-A55", "or where it is not listed"


@pytest.mark.parametrize(
    ("affinity", "state", "words"),
    [
        (range(20), "ok", "2 kinds (6 of cpu_core, 8 of cpu_atom); the budget is of cpu_core"),
        (range(12, 20), "warn", "the budget is of cpu_atom, and faster ones are not allowed"),
    ],
)
def test_the_doctor_names_them(tmp_path: Path, affinity: range, state: str, words: str) -> None:
    root = hybrid(tmp_path)
    check = checks.core_kinds(machine_budget.core_budget(root, affinity), core_kinds(root, topology(root)))
    assert (check.name, check.state) == ("kinds of cores", state)
    assert words in check.fact
    assert ("taskset -c 0-11" in check.mend) == (state == "warn")


def test_the_doctor_where_all_are_alike(tmp_path: Path) -> None:
    root = fake(tmp_path, [(0,), (1,)], ["0-1"], "0-1")
    check = checks.core_kinds(machine_budget.core_budget(root, range(2)), core_kinds(root, topology(root)))
    assert (check.state, check.fact) == ("ok", "the system tells no kinds apart")
