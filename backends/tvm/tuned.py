"""TVM's variant `tuned`: kernels that MetaSchedule finds for products within a budget; the rest is scheduled.

1. Each product's scheduled kernel is timed; its share of the time, calls counted, is its share of the budget.
2. A search (see `_tvm_search`) tries that many candidates, or as many as its share of the time allows.
3. The best one is kept if its outputs are those of the scheduled kernel and it is quicker than that one in
   most of DUELS timings in turns.
4. The model with the kept kernels has to win against the scheduled model in the same way, or none is kept.

What was tried stands beside the library: MetaSchedule's database in `tuning/`, the outcome in `tuning.json`.
"""

from __future__ import annotations

import json
import logging
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

from backends.support import arrays as support_arrays
from backends.tvm import search
from backends.tvm.search import alone, compiled, tensors, values
from bench.interfaces.tensors import IOSpec

if TYPE_CHECKING:
    import tvm

BUDGET = {"trials": 400, "minutes": 8}  # where none is named
LEAST = 4  # trials that are worth a search
MOST = 64  # after which a task's search has seen its space
DUELS = 7
LOOK_S = 0.4  # for which the whole model is timed
REPORT, DATABASE = "tuning.json", "tuning"
PRODUCTS = ("conv2d", "matmul")  # in the names of kernels, joined from those of operations


@dataclass(frozen=True)
class Task:
    """A kernel: `function` has no schedule; `calls` of it take `seconds` each as scheduled."""

    calls: int
    function: tvm.tirx.PrimFunc
    scheduled: tvm.tirx.PrimFunc
    seconds: float


def allot(costs: Mapping[str, float], trials: int) -> dict[str, int]:
    """Task → its trials by its share of the cost, the dearest first. What is over MOST goes to the next; it
    ends where a share is not worth a search any more.

    >>> allot({"a": 2.0, "b": 8.0, "c": 0.001}, 20)
    {'b': 16, 'a': 4}
    """
    shares: dict[str, int] = {}
    cost_left, left = sum(costs.values()), trials
    for name, cost in sorted(costs.items(), key=lambda item: -item[1]):
        share = min(MOST, round(left * cost / cost_left))
        if share < LEAST and shares:
            break
        shares[name] = max(1, share)
        cost_left, left = cost_left - cost, left - share
    return shares


def told(folder: Path) -> dict[str, Any]:
    """What a tuned library's report says, for its proof; nothing of another library."""
    try:
        report = json.loads((folder / REPORT).read_text())
    except OSError:
        return {}
    kept = {entry["task"]: entry["gain"] for entry in report.pop("tasks") if entry["kept"]}
    return {"tuning": {**report, "gain_by_kernel": kept}}


def tuned(
    module: tvm.IRModule,
    schedule: Callable[[tvm.IRModule], tvm.IRModule],
    vectors: tuple[int, int],
    settings: Mapping[str, Any],
    io: IOSpec,
    folder: Path,
) -> tvm.IRModule:
    """The module with the kernels that were found, and our schedule for the rest.

    Args:
        module: operations joined, not yet scheduled.
        schedule: gives what has no schedule ours; may write into what it is given.
        vectors: floats of a vector register, and how many registers there are.
        settings: of them `trials` and `minutes`.
        folder: gets the database and the report.
    """
    import tvm

    logging.getLogger("tvm.s_tir.meta_schedule").setLevel(logging.WARNING)
    start, machine = time.monotonic(), tvm.target.Target.current()
    trials, minutes = settings["trials"], settings["minutes"]
    scheduled = schedule(module.clone())
    tasks = _tasks(module, scheduled, machine)
    report, kept = [], {}
    for name, found in _searched(tasks, trials, start + 60 * minutes, vectors, machine, folder):
        outcome = _judge(tasks[name], found, machine)
        if outcome["kept"]:
            kept[name] = found.best
        report.append({"task": name, "calls": tasks[name].calls, **found.told(), **outcome})
    whole, gain = _whole(module, scheduled, kept, schedule, machine, io)
    if whole is scheduled:
        report = [
            {**entry, "kept": False, "why": entry["why"] or "nor is the model quicker"} for entry in report
        ]
    summary = {
        "trials": trials,
        "minutes": minutes,
        "seconds": round(time.monotonic() - start, 1),
        "tried": sum(entry["tried"] for entry in report),
        "products": len(tasks),
        "searched": len(report),
        "kept": sum(entry["kept"] for entry in report),
        "gain": gain,
    }
    (folder / REPORT).write_text(json.dumps({**summary, "tasks": report}, indent=1) + "\n")
    return whole


def _searched(
    tasks: Mapping[str, Task],
    trials: int,
    end: float,
    vectors: tuple[int, int],
    machine: tvm.target.Target,
    folder: Path,
) -> Iterator[tuple[str, search.Search]]:
    """The tasks that are worth a search, the dearest first, each searched as it is asked for. `end` is on
    time.monotonic(): a task may take the share of what is left till then that it has of the trials left."""
    from tvm.s_tir import meta_schedule as ms

    shares = allot({name: task.calls * task.seconds for name, task in tasks.items()}, trials)
    (folder / DATABASE).mkdir()
    files = (str(folder / DATABASE / name) for name in ("workloads.json", "records.json"))
    database, left = ms.database.JSONDatabase(*files), sum(shares.values())
    for name, share in shares.items():
        now = time.monotonic()
        until = now + max(0.0, end - now) * share / left
        left -= share
        yield name, search.search(tasks[name].function, name, machine, vectors, share, until, database)


def _whole(
    module: tvm.IRModule,
    scheduled: tvm.IRModule,
    kept: Mapping[str, Any],
    schedule: Callable[[tvm.IRModule], tvm.IRModule],
    machine: tvm.target.Target,
    io: IOSpec,
) -> tuple[tvm.IRModule, float | None]:
    """The model with the kept kernels, where it is the quicker one; its time over the other's."""
    import tvm
    from tvm.runtime.vm import VirtualMachine

    if not kept:
        return scheduled, None
    changed = module.clone()
    for name, function in kept.items():
        # As a scheduled one is marked: the schedule leaves it alone.
        changed[name] = function.without_attr("global_symbol").with_attr("tirx.is_scheduled", True)
    changed = schedule(changed)
    arguments = tensors(list(support_arrays.untimed_inputs(io).values()))
    mine, its = (
        VirtualMachine(tvm.compile(one.clone(), machine), tvm.cpu())["main"] for one in (changed, scheduled)
    )
    quicker, gain = duel(
        lambda: search.seconds(mine, arguments, LOOK_S),
        lambda: search.seconds(its, arguments, LOOK_S),
    )
    return (changed if quicker else scheduled), gain


def duel(one: Callable[[], float], other: Callable[[], float]) -> tuple[bool, float]:
    """Whether the first is quicker in most of DUELS pairs of timings in turns, and its time over the other's
    (median)."""
    ratios = []
    for i in range(DUELS):
        order = (one, other) if i % 2 else (other, one)
        taken = {timing: timing() for timing in order}
        ratios.append(taken[one] / taken[other])
    return sum(ratio < 1 for ratio in ratios) > DUELS / 2, round(median(ratios), 3)


def _judge(task: Task, found: search.Search, machine: tvm.target.Target) -> dict[str, Any]:
    """Whether the found kernel is kept, and why not; `gain` is its time over the scheduled kernel's."""
    if found.best is None:
        return {"kept": False, "why": "no candidate ran"}
    ours, its = (compiled(alone(function), machine) for function in (found.best, task.scheduled))
    arrays = values(task.scheduled)
    if not search.agrees(ours, its, arrays):
        return {"kept": False, "why": "its outputs are others"}
    arguments = tensors(arrays)
    quicker, gain = duel(lambda: search.seconds(ours, arguments), lambda: search.seconds(its, arguments))
    return {"kept": quicker, "why": "" if quicker else "it is not quicker", "gain": gain}


def _tasks(module: tvm.IRModule, scheduled: tvm.IRModule, machine: tvm.target.Target) -> dict[str, Task]:
    """The products, timed as scheduled."""
    import tvm

    calls = _calls(scheduled)
    tasks = {}
    for variable, function in module.functions_items():
        name = variable.name_hint
        if not isinstance(function, tvm.tirx.PrimFunc) or not any(kind in name for kind in PRODUCTS):
            continue
        ready = scheduled[name]
        kernel, arguments = compiled(alone(ready), machine), tensors(values(ready))
        tasks[name] = Task(calls[name], function, ready, search.seconds(kernel, arguments))
    return tasks


def _calls(module: tvm.IRModule) -> Counter[str]:
    """Kernel → how often `main` calls it."""
    import tvm
    from tvm import relax

    calls: Counter[str] = Counter()

    def visit(expression: Any) -> None:
        if isinstance(expression, relax.Call) and expression.op == tvm.ir.Op.get("relax.call_tir"):
            calls[expression.args[0].name_hint] += 1

    relax.analysis.post_order_visit(module["main"], visit)
    return calls
