"""Which facts of machine and budget leave nothing proven across runs, and that they are named."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bench.compare.across_machines import compare_machines
from bench.compare.across_runs import compare_runs
from bench.compare.comparability import CAPS, gone_on, unlike
from bench.compare.comparison import Compared, gates
from bench.compare.environment_diff import differences
from bench.compare.results import Results
from bench.machine.label import machines_of
from reports.html import method
from reports.terminal import comparison as shown
from tests.helpers import fake_results as fake
from tests.helpers.fake_results import GPU_MACHINE, H200, MACHINE, Ask
from tests.unit.compare.test_across_runs import ORT, days, ort
from tests.unit.compare.test_environment_diff import run

BUDGET = MACHINE["budget"]
CACHES = MACHINE["caches"]


Sides = tuple[list[Results], list[Results]]


@pytest.fixture(scope="module")
def sides(tmp_path_factory: pytest.TempPathFactory) -> Sides:
    """Three runs against three, ONNX Runtime 30 % slower: proven, unless something caps it."""
    folder = tmp_path_factory.mktemp("stores")
    return days(folder, "a", 3, seed=3), days(folder, "b", 3, times=1.3, seed=4)


def on(machine: dict[str, Any], side: list[Results]) -> list[Results]:
    return [replace(one, run=replace(one.run, machine={**MACHINE, **machine})) for one in side]


def compared(sides: Sides, base: dict[str, Any], new: dict[str, Any]) -> Compared:
    return compare_runs(on(base, sides[0]), on(new, sides[1]))


@pytest.mark.parametrize(
    ("new", "named"),
    [
        ({"cpu": "Xeon"}, "CPU (AMD EPYC 7B13 against Xeon)"),
        ({"cpu_id": "family 25 model 17 stepping 1"}, "CPU identity"),
        ({"architecture": "aarch64"}, "architecture (x86_64 against aarch64)"),
        ({"flags": [*MACHINE["flags"], "avx512f"]}, "instruction sets (none more against avx512f)"),
        ({"cores": 8, "threads": 8}, "cores (2 against 8), hardware threads (2 against 8)"),
        ({"packages": 2}, "CPU packages (1 against 2)"),
        ({"nodes": 2}, "NUMA nodes (1 against 2)"),
        ({"smt": True}, "SMT (no against yes)"),
        ({"caches": [*CACHES[:2], {**CACHES[2], "bytes": 2**20}]}, "L3 cache (32 MiB against 1 MiB)"),
        ({"budget": {**BUDGET, "cpus": [0]}}, "cores of the budget (2 against 1)"),
        ({"cpu_quota": 1.5}, "CPU quota (none against 1.5)"),
        ({"pinned": False}, "pinned to CPUs (yes against no)"),
        ({"virtualised": False}, "virtual machine (yes against no)"),
    ],
)
def test_what_caps_is_named_in_the_verdict_and_in_the_gate(
    sides: Sides, new: dict[str, Any], named: str
) -> None:
    found = compared(sides, {}, new)
    verdict = ort(found).verdict
    assert verdict.word == "suspect"
    assert re.match(r"slower by 3\d %, but machine or budget differ: ", verdict.reason)
    assert named in verdict.reason
    told = gates(found, 0.05)
    assert {one.word for one in told} == {"cannot tell"}
    assert all(named in one.reason for one in told), [one.reason for one in told]
    assert named in found.notes[0]
    assert "software's share only" in found.notes[0]
    assert max(map(len, shown.plain(found).splitlines())) <= shown.WIDTH


@pytest.mark.parametrize(
    ("base", "new"),
    [
        ({"governor": "performance"}, {"governor": "powersave"}),
        ({"turbo": True}, {"turbo": False}),
        ({"core_kinds": {"cpu_core": 6, "cpu_atom": 8}}, {"core_kinds": {"cpu_core": 6, "cpu_atom": 4}}),
        ({"budget": {**BUDGET, "kind": "cpu_core"}}, {"budget": {**BUDGET, "kind": "cpu_atom"}}),
        ({"cpu_quota": 2.0}, {"cpu_quota": 2.5}),
    ],
)
def test_what_caps_where_both_sides_know_it(sides: Sides, base: dict[str, Any], new: dict[str, Any]) -> None:
    assert ort(compared(sides, base, new)).verdict.word == "suspect"
    assert ort(compared(sides, new, new)).verdict.word == "slower"


@pytest.mark.parametrize(
    "new",
    [
        {"kernel": "6.2"},
        {"libc": "glibc 2.40"},
        {"python": "CPython 3.13.1"},
        {"gpu_driver": "999"},
        {"memory_bytes": 2**33},
        {"memory_limit_bytes": 2**33},
        {"allowed_cpus": 8},
        {"budget": {**BUDGET, "cpus": [2, 3], "why": "of an affinity"}},
        {"cpu_quota": 3.0},  # the budget of two cores is not held back by it
        # Not known on one side, as in a store of an older version:
        {"governor": "performance"},
        {"turbo": True},
        {"core_kinds": {"cpu_core": 6, "cpu_atom": 8}},
        {"flags": None},
        {"flags": []},
        {"caches": []},
        {"cores": None},
        {"virtualised": None},
        {"budget": {**BUDGET, "kind": "cpu_core"}},
        {"budget": {}},
        {"budget": None},
    ],
)
def test_what_is_listed_alone_or_unknown_caps_nothing(sides: Sides, new: dict[str, Any]) -> None:
    found = compared(sides, {}, new)
    assert ort(found).verdict.word == "slower"
    assert [one.word for one in gates(found, 0.05)] == ["pass", "regression"]
    assert found.notes == ()


def test_versions_under_comparison_cap_nothing(sides: Sides) -> None:
    base, new = (
        [replace(one, run=replace(one.run, versions={ORT: ort_, "bakeoff": own})) for one in side]
        for side, ort_, own in zip(sides, ("1.30.0", "1.31.1"), ("0.1.0", "0.2.0"), strict=True)
    )
    found = compare_runs(base, new)
    assert ort(found).verdict.word == "slower"
    assert {one.what for one in found.differences} == {ORT, "bakeoff"}


@pytest.mark.parametrize("key", ["cpu", "cpu_quota", "pinned"])
def test_a_store_that_has_no_such_fact_caps_nothing(key: str) -> None:
    old = run({"cpu": "Xeon", "cpu_quota": 1.0, "pinned": False})
    assert {one.what for one in unlike([run()], [old])} == {"CPU", "CPU quota", "pinned to CPUs"}
    del old.machine[key]
    assert len(unlike([run()], [old])) == 2
    old.machine = {}
    assert unlike([run()], [old]) == ()


def test_runs_of_one_side_that_differ_among_themselves_cap_too(sides: Sides) -> None:
    mixed = [[*side[:2], *on({"cpu_quota": 1.0}, side[2:])] for side in sides]
    found = compare_runs(*mixed)
    assert ort(found).verdict.word == "suspect"
    assert "CPU quota (1, none against 1, none)" in ort(found).verdict.reason


def test_a_run_that_was_gone_on_with_elsewhere_is_of_both_machines() -> None:
    """A share on another machine: its groups are sound, and the run is not of one machine."""
    first, here = run(), {**MACHINE, "cores": 8, "kernel": "7"}
    assert gone_on(first, {**MACHINE, "kernel": "7", "flags": None}) is first.machine
    first.machine = gone_on(first, here)
    assert gone_on(first, here) is first.machine, "known already"
    first.machine = gone_on(first, {**MACHINE, "smt": True})
    assert [one["cores"] for one in machines_of(first)] == [2, 8, 2]
    assert {one.what for one in unlike([first], [first])} == {"cores", "SMT"}
    assert {one.what for one in unlike([run()], [first])} == {"cores", "SMT"}
    assert ("cores", "2", "2, 8") in [(d.what, d.base, d.new) for d in differences([run()], [first])]
    told = method.machine_table(first.machine)
    assert told[0] == ("also measured on", method.machine_line(here))
    assert "also" not in dict(told)
    bare = run()
    bare.machine = {}
    assert gone_on(bare, here) == {}


def on_gpu(tmp_path: Path, name: str, times: float, gpu: dict[str, Any]) -> list[Results]:
    cases = [Ask("torch", 0.0893)]
    found = days(tmp_path, name, 3, seed=ord(name), cases=cases, machine={**GPU_MACHINE, "gpus": [gpu]})
    made = []
    for one in found:
        ask = [Ask("torch", 0.0893), Ask(ORT, 0.004 * times, device="cuda:0", threads=1, drift=0.003)]
        asked = fake.make("resnet50", ask, seed=ord(name) + len(made)) + fake.harness()
        made.append(fake.judged(asked, machine=one.run.machine, id=one.run.id))
    return made


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"name": "NVIDIA H100"}, "GPUs (NVIDIA H200 against NVIDIA H100)"),
        ({"power_limit_w": 350.0}, "GPU power limit (700 W against 350 W)"),
        ({"instances": 2}, ""),  # not told of the other
        ({"ceilings": {"copy_bytes_per_s": 1.0}}, ""),  # measured, and never twice alike
    ],
)
def test_a_gpu_caps_what_ran_on_one(tmp_path: Path, changes: dict[str, Any], named: str) -> None:
    found = compare_runs(on_gpu(tmp_path, "a", 1.0, H200), on_gpu(tmp_path, "b", 1.3, {**H200, **changes}))
    on_cpu = next(one for one in found.comparisons if ORT not in one.name)
    assert "differ" not in on_cpu.verdict.reason
    assert on_cpu.judged
    assert (ort(found).verdict.word == "suspect") == bool(named)
    assert ort(found).judged == (not named)
    if named:
        assert named in ort(found).verdict.reason


def test_what_is_open_names_it_as_well(tmp_path: Path) -> None:
    """A gate's `cannot tell` would else give the width of the interval for a reason."""
    sides = [
        days(tmp_path, "a", 3, seed=5),
        days(tmp_path, "b", 3, times=1.02, seed=6, machine={**MACHINE, "cores": 8}),
    ]
    found = compare_runs(*sides)
    assert {one.verdict.word for one in found.comparisons} <= {"inconclusive", "suspect"}
    assert all("cores (2 against 8)" in one.reason for one in gates(found, 0.05))


def test_machines_that_are_compared_differ_and_runs_of_one_do_not() -> None:
    def box(**changes: Any) -> Results:
        asks = [Ask("torch", 0.0893 * changes.pop("times", 1.0), drift=0.002)]
        return fake.judged(fake.make("resnet50", asks, seed=3), machine={**MACHINE, **changes})

    def word(base: list[Results], new: list[Results]) -> tuple[str, str]:
        (one,) = compare_machines(base, new, (["a"], ["b"])).comparisons
        return one.verdict.word, one.verdict.reason

    base, new = [box() for _ in range(3)], [box(cpu="Xeon", cores=64, times=0.5) for _ in range(3)]
    assert word(base, new) == ("faster", "")
    new[1].run.machine["cpu_quota"] = 1.0
    told, reason = word(base, new)
    assert told == "suspect"
    assert "NEW's own runs differ: CPU quota (1, none)" in reason


def test_other_numbers_of_threads_are_named(sides: Sides) -> None:
    """`threads: auto` means the budget, and another budget other cases: none of them in common."""
    base = sides[0][:1]
    asks = [Ask(one.backend, one.seconds, threads=8) for one in (Ask("torch", 0.09), Ask(ORT, 0.04))]
    eight = {**MACHINE, "budget": {**BUDGET, "cpus": list(range(8))}}
    new = [fake.judged(fake.make("resnet50", asks, seed=4) + fake.harness(), machine=eight)]
    found = compare_runs(base, new)
    assert found.comparisons == ()
    assert (
        "2 cases are on both sides with other numbers of threads (2 in BASE, 8 in NEW) and are not compared: "
        "bakeoff run --threads 2 on both" in found.notes
    )
    assert not any("threads" in note for note in compare_runs(base, base).notes)


def test_every_fact_that_caps_is_one_of_a_fingerprint() -> None:
    from bench.machine import fingerprint

    facts = fingerprint.fingerprint()
    known = {*facts, *(f"budget {key}" for key in facts["budget"])}
    assert {key for key in CAPS if not key.startswith("gpu ") and key != "gpus"} <= known
